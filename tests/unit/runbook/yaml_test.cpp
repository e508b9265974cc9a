#include "runbook/yaml.h"

#include <catch2/catch.hpp>

#include "runbook/load.h"

using namespace lifeboat;

namespace {

struct Read {
    std::optional<Json> value;
    std::string mistakes;
};

Read read(const std::string& text) {
    SourceFile file("x.yaml", text);
    const auto root = read_yaml(file);
    Read result{.value = root ? std::optional(to_json(*root)) : std::nullopt, .mistakes = {}};
    result.mistakes = file.take_diagnostics().render();
    return result;
}

}  // namespace

TEST_CASE("values have the types of YAML 1.2") {
    const Read found = read(
        "a: true\nb: True\nc: yes\nd: ~\ne: 12\nf: -3\ng: 1.5\nh: 1e3\ni: 12s\nj: 2026-02-01\nk: \"12\"\nl: 'true'\nm: "
        "0\nn: +4\no: .5\n"
        "p: 1.2.3\nq: .inf\nr: null\ns: on\n");
    CHECK(found.mistakes.empty());
    CHECK(*found.value == Json({{"a", true},
                                {"b", "True"},
                                {"c", "yes"},
                                {"d", nullptr},
                                {"e", 12},
                                {"f", -3},
                                {"g", 1.5},
                                {"h", 1000.0},
                                {"i", "12s"},
                                {"j", "2026-02-01"},
                                {"k", "12"},
                                {"l", "true"},
                                {"m", 0},
                                {"n", 4},
                                {"o", 0.5},
                                {"p", "1.2.3"},
                                {"q", ".inf"},
                                {"r", nullptr},
                                {"s", "on"}}));
}

TEST_CASE("aliases repeat the value of their anchor") {
    const Read found = read("a: &x {p: [1, 2]}\nb: *x\nc: [*x, &y text, *y]\n");
    CHECK(found.mistakes.empty());
    CHECK(*found.value ==
          Json({{"a", {{"p", {1, 2}}}}, {"b", {{"p", {1, 2}}}}, {"c", {{{"p", {1, 2}}}, "text", "text"}}}));
}

TEST_CASE("block scalars, folded text and windows line ends are read") {
    CHECK(*read("a: |\n  one\n  two\nb: >-\n  one\n  two\n").value == Json({{"a", "one\ntwo\n"}, {"b", "one two"}}));
    CHECK(*read("a: 1\r\nb: \"x\"\r\n").value == Json({{"a", 1}, {"b", "x"}}));
    CHECK(*read("\xef\xbb\xbf"
                "a: 1\n")
               .value == Json({{"a", 1}}));
    CHECK(*read("{\"a\": [1, \"x\"]}").value == Json({{"a", {1, "x"}}}));
}

TEST_CASE("R30 duplicate keys are all reported, the first one counts") {
    const Read found = read("a: 1\nb: 2\na: 3\nb: 4\n");
    CHECK(*found.value == Json({{"a", 1}, {"b", 2}}));
    CHECK(found.mistakes ==
          "x.yaml:3:1: error: duplicate key 'a'\n"
          "    3 | a: 3\n"
          "      | ^\n"
          "hint: It was given before on line 1.\n"
          "x.yaml:4:1: error: duplicate key 'b'\n"
          "    4 | b: 4\n"
          "      | ^\n"
          "hint: It was given before on line 2.\n"
          "2 errors\n");
}

TEST_CASE("places inside scalars are exact where the scalar stands on one line") {
    struct Case {
        std::string text;
        std::string sought;
        SourcePosition at;
    };
    const std::vector<Case> cases{
        {"a: one ${{ two }}\n", "two", {1, 12}},
        {"a: 'it''s ${{ two }}'\n", "two", {1, 15}},
        {"a: \"\\t\\u00e9 é ${{ two }}\"\n", "two", {1, 20}},
        {"a: \"x\\\"y ${{ two }}\"\n", "two", {1, 14}},
        {"ä: {b: \"ü ${{ two }}\"}\n", "two", {1, 15}},
        {"a: |\n  one\n  ${{ one }} ${{ two }}\n", "two", {3, 18}},
        {"a: >\n  ${{ one }}\n\n  and ${{ two }}\n", "two", {4, 11}},
        {"a: one\n  and ${{ two }}\n", "two", {2, 11}},
    };
    for (const Case& each : cases) {
        CAPTURE(each.text);
        SourceFile file("x.yaml", each.text);
        const auto root = read_yaml(file);
        REQUIRE(root);
        const Node* scalar = &root->entries.front().value;
        if (scalar->kind == Node::Kind::map) scalar = &scalar->entries.front().value;
        const SourceSpan span = span_inside(file, *scalar, scalar->text.find(each.sought), each.sought.size());
        CHECK(span.at.line == each.at.line);
        CHECK(span.at.column == each.at.column);
        CHECK(span.length == 3);
    }
}

TEST_CASE("kind_of goes by the first key") {
    CHECK(kind_of("# a comment\n\n---\nlifeboat: site/v1\n") == FileKind::site);
    CHECK(kind_of("lifeboat: 'runbook/v1'   # c\n") == FileKind::runbook);
    CHECK(kind_of("{\"lifeboat\": \"drill/v1\", \"x\": 1}") == FileKind::drill);
    CHECK(kind_of("\xef\xbb\xbflifeboat: runbook/v9\n") == FileKind::runbook);
    CHECK(kind_of("name: x\nlifeboat: runbook/v1\n") == std::nullopt);
    CHECK(kind_of("lifeboat: playbook/v1\n") == std::nullopt);
    CHECK(kind_of("") == std::nullopt);
    CHECK(kind_of("\n\n# nothing\n") == std::nullopt);
}
