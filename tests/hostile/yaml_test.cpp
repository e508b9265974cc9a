// Files that nobody wrote by mistake: none of them may crash, hang, grow, or be taken for a runbook (R30).
#include <catch2/catch.hpp>

#include "runbook/load.h"

using namespace lifeboat;

namespace {

Specs no_specs() {
    Specs specs;
    specs.actions.push_back(
        {.name = "log.note", .parameters = {{.name = "text", .required = true}}, .repeatable = true});
    return specs;
}

// The first mistake of the file, whichever kind it is read as.
std::string first_mistake(const std::string& text) {
    const Specs specs = no_specs();
    const auto runbook = load_runbook(text, "x.yaml", specs, nullptr);
    const auto site = load_site(text, "x.yaml", specs);
    const auto drill = load_drill(text, "x.yaml", specs, nullptr);
    CHECK_FALSE(runbook.value);
    CHECK_FALSE(site.value);
    CHECK_FALSE(drill.value);
    CHECK(runbook.diagnostics.has_errors());
    CHECK(site.diagnostics.has_errors());
    CHECK(drill.diagnostics.has_errors());
    CHECK_FALSE(runbook.diagnostics.render().empty());
    const Diagnostic& first = runbook.diagnostics.all().front();
    return std::to_string(first.span.at.line) + ":" + std::to_string(first.span.at.column) + " " + first.message;
}

std::string repeated(const std::string& text, std::size_t times) {
    std::string all;
    all.reserve(text.size() * times);
    for (std::size_t i = 0; i < times; ++i)
        all += text;
    return all;
}

// Nine levels of nine aliases each: 332 bytes that stand for 387 million texts.
std::string alias_bomb() {
    std::string bomb = "a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n";
    for (char level = 'b'; level <= 'i'; ++level) {
        const std::string before = std::string("*") + static_cast<char>(level - 1);
        bomb += std::string(1, level) + ": &" + level + " [" + before + repeated("," + before, 8) + "]\n";
    }
    return bomb;
}

const std::string head = "lifeboat: runbook/v1\nname: x\n";

}  // namespace

TEST_CASE("R30 files without content are refused") {
    CHECK(first_mistake("") == "0:0 the file is empty");
    CHECK(first_mistake("\n\n  \n") == "0:0 the file is empty");
    CHECK(first_mistake("# a comment\n") == "0:0 the file is empty");
    CHECK(first_mistake("---\n") == "0:0 the file is empty");
    CHECK(first_mistake("~") == "0:0 the file is empty");
    CHECK(first_mistake("\xef\xbb\xbf") == "0:0 the file is empty");
}

TEST_CASE("R30 files that are no text are refused") {
    CHECK(first_mistake(std::string("\x7f"
                                    "ELF\x02\x01\x01",
                                    7)) == "1:1 the file holds a control character, '\\x7f'");
    CHECK(first_mistake(std::string("a: \0b\n", 6)) == "1:4 the file holds a control character, '\\x00'");
    CHECK(first_mistake(head + "summary: \x1b[2J\n") == "3:10 the file holds a control character, '\\x1b'");
    CHECK(first_mistake("a: \xff\xfe\n") == "0:0 the file is no UTF-8 text");
    CHECK(first_mistake("a: \xc0\xaf\n") == "0:0 the file is no UTF-8 text");
    CHECK(first_mistake(std::string("l\0i\0f\0e\0", 8)) == "1:2 the file holds a control character, '\\x00'");
    CHECK(first_mistake("\xff\xfel\xff") == "0:0 the file is no UTF-8 text");
}

TEST_CASE("R30 files that are too large are refused") {
    CHECK(first_mistake(repeated("# filler\n", 500'000)) == "0:0 the file is larger than 4 MiB");
    CHECK(first_mistake(head + "summary: " + std::string(300'000, 'x') + "\n") ==
          "3:1 the line is longer than 256 KiB");
    CHECK(first_mistake(head + "inputs:\n" + repeated("  - a\n", 250'000)) ==
          "200000:5 the file holds more than 200000 values");
}

TEST_CASE("R30 nesting has an end in every style") {
    CHECK(first_mistake("a: " + repeated("[", 150) + repeated("]", 150)) ==
          "1:103 lists and maps are nested more than 100 deep");
    CHECK(first_mistake(repeated("{a: ", 150) + "1" + repeated("}", 150)) ==
          "1:401 lists and maps are nested more than 100 deep");
    // never closed: the parser takes the first bracket for a key before it gives up
    CHECK(first_mistake(repeated("[", 100'000)) == "1:1 a key has to be text, not a list");
    CHECK(first_mistake(repeated("{a: ", 50'000)) == "1:1 a key has to be text, not a map");
    CHECK(first_mistake(repeated("- ", 100'000)) == "1:201 lists and maps are nested more than 100 deep");
    CHECK(first_mistake(repeated("? ", 100'000)) == "1:3 a key has to be text, not a map");
    std::string stairs;
    for (std::size_t depth = 0; depth < 300; ++depth)
        stairs += std::string(depth, ' ') + "a:\n";
    CHECK(first_mistake(stairs) == "101:101 lists and maps are nested more than 100 deep");
    // within the limit, over it with an alias
    CHECK(first_mistake("a: &a " + repeated("[", 60) + repeated("]", 60) + "\nb: " + repeated("[", 60) + "*a" +
                        repeated("]", 60) + "\n") == "2:64 lists and maps are nested more than 100 deep");
}

TEST_CASE("R30 an alias bomb is refused before it goes off") {
    const std::string bomb = alias_bomb();
    CHECK(bomb.size() < 500);
    CHECK(first_mistake(bomb).ends_with("the aliases of the file stand for more than 20000 values"));
    CHECK(first_mistake(head + bomb).ends_with("the aliases of the file stand for more than 20000 values"));
    CHECK(first_mistake("a: &a [*a]\n") == "1:8 this alias stands inside the value that it repeats");
    CHECK(first_mistake("a: &a {b: *a}\n") == "1:11 this alias stands inside the value that it repeats");
    CHECK(first_mistake("a: &a " + std::string(200'000, 'x') + "\nb: [" + repeated("*a,", 20'000) + "]\n")
              .ends_with("the aliases of the file stand for more than 20000 values"));
    CHECK(first_mistake("&a a: *a\n*a : b\n") != "");
}

TEST_CASE("R30 truncating a file anywhere never crashes") {
    const std::string whole =
        head +
        "summary: \"a \\u00e9 'quoted' text\"\ninputs: {n: {type: integer, default: 3}}\nsteps:\n"
        "  - id: a\n    uses: log.note\n    with:\n      text: |\n        one ${{ inputs.n }}\n        two\n"
        "  - {id: b, uses: log.note, with: {text: 'it''s ${{ inputs.n }}'}, retry: {max_attempts: 2}}\n";
    REQUIRE(load_runbook(whole, "x.yaml", no_specs(), nullptr).value);
    for (std::size_t length = 0; length < whole.size(); ++length) {
        const auto loaded = load_runbook(whole.substr(0, length), "x.yaml", no_specs(), nullptr);
        CHECK(loaded.value.has_value() != loaded.diagnostics.has_errors());
        CHECK((loaded.diagnostics.render().empty() || !loaded.diagnostics.all().empty()));
    }
}

TEST_CASE("R30 hostile expressions are mistakes like others") {
    const auto text = [](const std::string& expression) {
        return head + "steps: [{id: a, uses: log.note, with: {text: \"" + expression + "\"}}]\n";
    };
    CHECK(first_mistake(text("${{ " + repeated("(", 5000) + " }}")).find("this is no expression") != std::string::npos);
    CHECK(first_mistake(text(repeated("${{ }} ", 2000))).find("this is no expression") != std::string::npos);
    CHECK(first_mistake(text("${{" + repeated("}}", 2000))).find("this is no expression") != std::string::npos);
    CHECK(first_mistake(text("${{ os.exit(3) }}")).find("unknown name 'os'") != std::string::npos);
    CHECK(first_mistake(text("${{ (function() while true do end end)() }}")).find("this is no expression") !=
          std::string::npos);
}
