#include <catch2/catch.hpp>

#include "base/error.h"
#include "script/expression.h"

using namespace lifeboat;

namespace {

const Json& scope() {
    static const Json value = parse_json(
        R"({"a": {"b": "text"}, "n": 3, "f": 1.5, "yes": true, "none": null, "list": [1, 2], "trap": "${{ n }}",
            "pw": {"secret": "pw"}, "url": {"secret": ["x/", {"secret": "token"}]}})",
        "scope");
    return value;
}

std::string expanded(std::string_view text) {
    return to_text(Template(text).expand(scope()));
}

std::string failure(std::string_view text) {
    try {
        return "no failure: " + expanded(text);
    } catch (const Error& error) {
        const std::string place = error.details.is_null() ? "" : " @" + to_text(error.details["offset"]);
        return std::string(info(error.code).name) + ": " + error.message + place;
    }
}

}  // namespace

TEST_CASE("text without an expression stays as it is") {
    for (const char* text : {"", "plain", "$", "$$", "${x}", "${ {x} }", "a }} b", "{{ x }}", "$ {{ x }}", "100$"}) {
        CAPTURE(text);
        CHECK(Template(text).is_plain());
        CHECK(Template(text).expand(scope()) == text);
    }
}

TEST_CASE("a text that is one expression keeps its type") {
    CHECK(expanded("${{ n }}") == "3");
    CHECK(expanded("${{n}}") == "3");
    CHECK(expanded("${{ yes }}") == "true");
    CHECK(expanded("${{ none }}") == "null");
    CHECK(expanded("${{ list }}") == "[1,2]");
    CHECK(expanded("${{ a }}") == R"({"b":"text"})");
    CHECK(expanded("${{ pw }}") == R"({"secret":"pw"})");
}

TEST_CASE("anything around an expression makes it text") {
    CHECK(expanded(" ${{ n }}") == R"(" 3")");
    CHECK(expanded("${{ n }}\n") == R"("3\n")");
    CHECK(expanded("${{ n }}${{ f }}${{ yes }}") == R"("31.5true")");
    CHECK(expanded("<${{ a.b }}>") == R"("<text>")");
}

TEST_CASE("null, lists and maps have no text") {
    CHECK(failure("x ${{ none }}") == "expression_failed: '${{ none }}' is null, which has no text");
    CHECK(failure("x ${{ list }}") == "expression_failed: '${{ list }}' is a list, which has no text");
    CHECK(failure("x ${{ a }}") == "expression_failed: '${{ a }}' is a map, which has no text");
}

TEST_CASE("a doubled dollar is the text itself") {
    CHECK(expanded("$${{ n }}") == R"("${{ n }}")");
    CHECK(expanded("$${{ n }} is ${{ n }}") == R"("${{ n }} is 3")");
    CHECK(expanded("$$${{ n }}") == R"("$${{ n }}")");
    CHECK(Template("$${{ n }}").is_plain());
}

TEST_CASE("the braces of tables and strings do not end an expression") {
    CHECK(expanded("${{ {a={1}} }}") == R"({"a":[1]})");
    CHECK(expanded("${{ {a={b={}}}}}") == R"({"a":{"b":[]}})");
    CHECK(expanded("${{ '}}' }}") == R"("}}")");
    CHECK(expanded("<${{ '}}' .. \"}}\" .. [[}}]] }}>") == R"("<}}}}}}>")");
    CHECK(expanded("${{ '${{' }}") == R"("${{")");
}

TEST_CASE("text is expanded once, never twice") {
    CHECK(expanded("${{ trap }}") == R"("${{ n }}")");
    CHECK(expanded("a ${{ trap }}") == R"("a ${{ n }}")");
}

TEST_CASE("R11 text with a secret in it is secret text") {
    CHECK(expanded("postgres://${{ pw }}@h/${{ n }}") == R"({"secret":["postgres://",{"secret":"pw"},"@h/3"]})");
    CHECK(expanded("${{ url }}?${{ pw }}") == R"({"secret":["x/",{"secret":"token"},"?",{"secret":"pw"}]})");
}

TEST_CASE("a bad expression is refused with its place in the text") {
    CHECK(failure("ab ${{ n + }} cd") == "expression_failed: unexpected symbol near its end @10");
    CHECK(failure("ab ${{ n m }} ${{ n }}") == "expression_failed: unexpected symbol near 'm' @9");
    CHECK(failure("ab ${{ n") == "expression_failed: '${{' is never closed @3");
    CHECK(failure("${{ }}") == "expression_failed: the expression is empty @3");
    CHECK(failure("${{ function() end }}") == "expression_failed: an expression cannot define functions @4");
    CHECK(failure("${{ n +" + [] {
              std::string ends;
              for (int i = 0; i < 5000; ++i)
                  ends += " }}";
              return ends;
          }()) == "expression_failed: unexpected symbol near '}' @8");
}

TEST_CASE("the parts of a template know their places") {
    const Template text("ab ${{ n }} cd ${{a.b}}");
    REQUIRE(text.parts().size() == 4);
    CHECK(text.parts()[0].literal == "ab ");
    CHECK(text.parts()[0].offset == 0);
    CHECK(text.parts()[1].expression->text() == " n ");
    CHECK(text.parts()[1].offset + text.parts()[1].expression->names().at(0).offset == 7);
    CHECK(text.parts()[2].literal == " cd ");
    CHECK(text.parts()[2].offset == 11);
    CHECK(text.parts()[3].offset == 18);
    CHECK_FALSE(text.is_plain());
}

TEST_CASE("every string of a value is expanded, its keys are not") {
    const Json value = parse_json(
        R"({"${{ n }}": ["${{ n }}", {"x": "<${{ n }}>"}], "y": 1, "z": "${{ trap }}", "s": {"secret": ["${{ n }}"]}})",
        "x");
    CHECK(to_text(expand_all(value, scope())) ==
          R"({"${{ n }}":[3,{"x":"<3>"}],"s":{"secret":["${{ n }}"]},"y":1,"z":"${{ n }}"})");
}
