#include <catch2/catch.hpp>

#include "base/error.h"
#include "cli/command_line.h"

using namespace lifeboat;

namespace {

std::vector<Subcommand> two_verbs() {
    return {{.spec = {.name = "plan",
                      .summary = "plans",
                      .doc = "Plans.",
                      .positionals = {{.name = "runbook", .doc = "A runbook."}},
                      .options = {{.name = "--set", .value = "a=b", .doc = "Sets.", .repeatable = true},
                                  {.name = "--output", .value = "file", .doc = "Writes.", .letter = 'o'},
                                  {.name = "--yes", .value = "", .doc = "Does not ask."}}},
             .act = [](const Call&, Session&) { return 0; }},
            {.spec = {.name = "validate",
                      .summary = "validates",
                      .doc = "Validates.",
                      .positionals = {{.name = "files", .doc = "Files.", .repeatable = true}}},
             .act = [](const Call&, Session&) { return 0; }}};
}

std::string refusal(const std::vector<std::string>& words) {
    const auto verbs = two_verbs();
    try {
        parse_command_line(words, verbs);
    } catch (const Error& error) {
        CHECK(error.code == ErrorCode::usage);
        return error.message;
    }
    return "accepted";
}

}  // namespace

TEST_CASE("options, values and positionals are told apart") {
    const auto verbs = two_verbs();
    const Parsed parsed =
        parse_command_line({"plan", "--set", "a=1", "--set", "b=x=y", "dr", "-o", "out.json", "--yes"}, verbs);
    REQUIRE(parsed.verb == &verbs[0]);
    CHECK(parsed.call.one("runbook") == "dr");
    CHECK(parsed.call.pairs("--set") == std::map<std::string, std::string>{{"a", "1"}, {"b", "x=y"}});
    CHECK(parsed.call.one("--output") == "out.json");
    CHECK(parsed.call.has("--yes"));
    CHECK_FALSE(parsed.help);
}

TEST_CASE("options of every verb stand before or behind the verb") {
    const auto verbs = two_verbs();
    CHECK(parse_command_line({"--site", "x.yaml", "plan", "dr"}, verbs).call.one("--site") == "x.yaml");
    CHECK(parse_command_line({"plan", "dr", "--site=y.yaml"}, verbs).call.one("--site") == "y.yaml");
    CHECK(parse_command_line({"plan", "-h"}, verbs).help);
    CHECK(parse_command_line({"plan", "dr"}, verbs).log_level == "off");
}

TEST_CASE("several files are one repeatable positional") {
    const auto verbs = two_verbs();
    CHECK(parse_command_line({"validate", "a", "b", "c"}, verbs).call.all("files") ==
          std::vector<std::string>{"a", "b", "c"});
}

TEST_CASE("no words ask for the help of all") {
    const auto verbs = two_verbs();
    CHECK(parse_command_line({}, verbs).verb == nullptr);
}

TEST_CASE("what is not known is refused with a did-you-mean") {
    CHECK(refusal({"plna", "x"}) == "unknown verb 'plna' (did you mean 'plan'?)");
    CHECK(refusal({"plan", "x", "--yse"}) == "unknown option '--yse' (did you mean '--yes'?)");
    CHECK(refusal({"plan", "x", "--otput=f"}) == "unknown option '--otput' (did you mean '--output'?)");
    CHECK(refusal({"--jsno", "plan", "x"}) == "unknown option '--jsno' (did you mean '--json'?)");
    CHECK(refusal({"plan", "x", "y"}) == "unexpected argument 'y'");
    CHECK(refusal({"plan"}) == "'lifeboat plan' needs <runbook>");
    CHECK(refusal({"plan", "x", "--log-level", "debgu"}) == "unknown log level 'debgu' (did you mean 'debug'?)");
    CHECK(refusal({"pl\x1b[31man"}) == "unknown verb 'pl\\x1b[31man'");
}

TEST_CASE("an option that stands alone is not given twice, and one with a value has it") {
    CHECK(refusal({"plan", "x", "-o", "a", "-o", "b"}) != "accepted");
    CHECK(refusal({"plan", "x", "-o"}) != "accepted");
}

TEST_CASE("pairs are refused without '=' and when said twice") {
    Call call;
    call.values["--set"] = {"a"};
    CHECK_THROWS_AS(call.pairs("--set"), Error);
    call.values["--set"] = {"a=1", "a=2"};
    CHECK_THROWS_AS(call.pairs("--set"), Error);
    call.values["--set"] = {"a="};
    CHECK(call.pairs("--set").at("a").empty());
}
