#include "base/json.h"

#include <catch2/catch.hpp>

#include "base/error.h"

using namespace lifeboat;

namespace {

std::string refusal(std::string_view text) {
    try {
        parse_json(text, "a.json");
    } catch (const Error& error) {
        CHECK(error.code == ErrorCode::invalid_file);
        return error.message;
    }
    return "accepted";
}

}  // namespace

TEST_CASE("the same value always has the same text") {
    Json one = Json::object();
    one["b"] = 1;
    one["a"] = 2;
    Json two = Json::object();
    two["a"] = 2;
    two["b"] = 1;
    CHECK(to_text(one) == R"({"a":2,"b":1})");
    CHECK(to_text(one) == to_text(two));
    CHECK(to_pretty_text(one) == "{\n  \"a\": 2,\n  \"b\": 1\n}");
}

TEST_CASE("bytes that are no UTF-8 are replaced when written") {
    CHECK(to_text(Json("a\xff"
                       "b")) ==
          "\"a\xef\xbf\xbd"
          "b\"");
}

TEST_CASE("bad JSON is refused with its place") {
    CHECK(refusal("{\n  \"a\": x\n}").starts_with("'a.json' is not valid JSON at line 2, column 8: invalid literal"));
    CHECK(refusal("").starts_with("'a.json' is not valid JSON at line 1, column 1: unexpected end of input"));
    CHECK(refusal("[1] 2").starts_with("'a.json' is not valid JSON at line 1, column 5: unexpected number literal"));
    CHECK(refusal("1e999").starts_with("'a.json' is not valid JSON: number overflow"));
    CHECK(refusal("\"\x1b[31m\"").find('\x1b') == std::string::npos);
}

TEST_CASE("JSON may be nested 200 levels deep and no further") {
    const auto nested = [](std::size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); };
    CHECK(parse_json(nested(200), "x").is_array());
    CHECK(refusal(nested(201)) == "'a.json' is nested deeper than 200 levels at line 1, column 201");
    CHECK(refusal(std::string(5'000'000, '[')) == "'a.json' is nested deeper than 200 levels at line 1, column 201");
}

TEST_CASE("brackets inside JSON strings are no nesting") {
    const std::string text = "[\"" + std::string(300, '[') + "\\\"" + std::string(300, '{') + "\"]";
    CHECK(parse_json(text, "x").size() == 1);
}
