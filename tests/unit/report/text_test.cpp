#include <catch2/catch.hpp>

#include "report/event_line.h"
#include "report/markdown_text.h"
#include "report/plan_text.h"
#include "unit/report/golden.h"
#include "unit/report/stories.h"

using namespace lifeboat;
using sample::check_golden;

namespace {

std::string lines_of(const sample::Story& story, TextStyle style = {}) {
    std::string text;
    Timestamp before = story.events.front().at;
    for (const Event& event : story.events) {
        const bool ends =
            std::holds_alternative<AttemptEnded>(event.body) || std::holds_alternative<UndoEnded>(event.body);
        if (const auto line =
                event_line(story.plan, event, ends ? std::optional(elapsed(before, event.at)) : std::nullopt, style)) {
            text += *line + "\n";
        }
        before = event.at;
    }
    return text;
}

}  // namespace

TEST_CASE("each event is one line for the person who watches") {
    check_golden("recovered.lines.txt", lines_of(sample::recovered()));
    check_golden("rolled_back.lines.txt", lines_of(sample::rolled_back()));
    check_golden("rollback_incomplete.lines.txt", lines_of(sample::rollback_incomplete()));
    check_golden("unverified.lines.txt", lines_of(sample::unverified()));
    check_golden("paused.lines.txt", lines_of(sample::paused(), {.unicode = false}));
}

TEST_CASE("a line of an event is one line, whatever stands in it") {
    const sample::Story story = sample::hostile();
    for (const Event& event : story.events) {
        const auto line = event_line(story.plan, event);
        if (!line) continue;
        CHECK(line->find('\n') == std::string::npos);
        CHECK(line->find('\x1b') == std::string::npos);
    }
}

TEST_CASE("a plan shows its reviewer each step, the line of no return, the findings and the price") {
    check_golden("plan.txt", plan_text(sample::database_plan()));
}

TEST_CASE("a plan says what it does not know") {
    Plan plan = sample::database_plan();
    plan.predicted_rto_p50.reset();
    plan.predicted_rto_p90.reset();
    plan.predicted_rpo.reset();
    plan.surveys[4].estimate_p50.reset();
    plan.surveys[3].candidates.clear();
    plan.draft.objectives = {};
    plan.draft.contacts.clear();
    plan.draft.always.clear();
    plan.findings = {{.kind = FindingKind::blocker,
                      .step = "fetch",
                      .subject = "backups of 'shop'",
                      .message = "none satisfies the limits",
                      .hint = "Make one."}};
    plan.draft.steps[4].fallback = Deed{.action = "run", .effect = Effect::change};
    plan.draft.steps[4].rollback = Deed{.action = "run", .effect = Effect::change};
    plan.draft.steps[4].on_failure = OnFailure::pause;
    plan.draft.steps[5].on_failure = OnFailure::tolerate;
    plan.draft.steps[5].condition = "inputs.thorough";
    plan.draft.steps.pop_back();
    plan.draft.steps.back().crosses = false;
    plan.draft.steps.back().before_line = true;
    plan.draft.steps.back().reopens_elsewhere = true;
    plan.surveys.pop_back();
    check_golden("plan.unknown.txt", plan_text(plan, {.unicode = false}));
}

TEST_CASE("objectives that the plan cannot meet are said loudly, in colour where that is wanted") {
    Plan plan = sample::database_plan();
    plan.draft.objectives = {.rto = std::chrono::minutes(6), .rpo = std::chrono::minutes(5)};
    check_golden("plan.colour.txt", plan_text(plan, {.colour = true}));
}

TEST_CASE("text cannot format Markdown") {
    CHECK(markdown_escaped("plain text, snake_case and 'names'") == "plain text, snake_case and 'names'");
    CHECK(markdown_escaped("*a* _b_ `c` [d] <e> &amp; |f| ~g~") ==
          "\\*a\\* \\_b\\_ \\`c\\` \\[d\\] &lt;e> &amp;amp; \\|f\\| \\~g\\~");
    CHECK(markdown_escaped("# no heading\n# nor here") == "\\# no heading # nor here");
    CHECK(markdown_escaped("12. no list") == "12\\. no list");
    CHECK(markdown_escaped("- no item") == "\\- no item");
    CHECK(markdown_escaped("--- no rule") == "\\--- no rule");
    CHECK(markdown_escaped("+49 30 and 0.1.0 are text") == "+49 30 and 0.1.0 are text");
    CHECK(markdown_escaped("0.1.0 too") == "0.1.0 too");
    CHECK(markdown_escaped("http://host/path") == "http\\://host/path");
    CHECK(markdown_escaped("\x1b[1m") == "\\\\x1b\\[1m");
    CHECK(markdown_code("plain") == "`plain`");
    CHECK(markdown_code("a`b``c") == "``` a`b``c ```");
    CHECK(markdown_code("a|b\nc") == "`a|b c`");
    CHECK(markdown_code("") == "");
}

TEST_CASE("a Markdown table lines up in the raw text too") {
    CHECK(markdown_table({"a", "long head"}, {{"ä", "x"}, {"four", ""}}) ==
          "| a    | long head |\n|------|-----------|\n| ä    | x         |\n| four |           |\n");
    CHECK(markdown_table({"a"}, {{R"(x|y \| `z|`)"}}) ==
          "| a             |\n|---------------|\n"
          R"(| x\|y \| `z\|` |)"
          "\n");
}

TEST_CASE("values are said the same everywhere") {
    CHECK(value_text("text") == "text");
    CHECK(value_text({{"secret", "shop_pw"}}) == "‹shop_pw›");
    CHECK(value_text(Json::parse(R"({"secret": ["https://x/", {"secret": "token"}]})")) == "https://x/‹token›");
    CHECK(value_text({{"of", "shop"}}) == "shop");
    CHECK(value_text({{"of", "shop"}, {"database", "shop_new"}}) == "shop (database: shop_new)");
    CHECK(value_text({{"backup", "shop"}}) == "shop");
    CHECK(value_text({1, "two", nullptr, {{"k", true}}}) == "[1, two, none, {k: true}]");
    CHECK(value_text(std::string(300, 'x')).size() == 199 + std::string("…").size());
    CHECK(value_text("äöüß", 3) == "äö…");
    CHECK(value_text("a\x1b[2Jb\nc") == "a\\x1b[2Jb\\nc");
}
