#include "stores/key.h"

#include <catch2/catch.hpp>

#include "base/error.h"

using namespace lifeboat;

TEST_CASE("keys are relative paths that mean the same everywhere") {
    for (const std::string key :
         {"a", "shop/2026-02-01T02-00-00Z/manifest.json", "with space/+%=&.x", "größe/日本", "...", "a/.b", "-"})
        CHECK(key_refusal(key).empty());
}

TEST_CASE("hostile keys are refused with a reason") {
    using namespace std::string_literals;
    const std::vector<std::pair<std::string, std::string>> hostile{
        {"", "it is empty"},
        {"/etc/passwd", "it is an absolute path"},
        {"..", "it holds '..'"},
        {"a/../b", "it holds '..'"},
        {"./a", "it holds '.'"},
        {"a//b", "a part of it is empty"},
        {"a/", "a part of it is empty"},
        {"a\0b"s, "it holds a control character"},
        {"a\nb", "it holds a control character"},
        {"a\x1b[2J", "it holds a control character"},
        {"a\x7f", "it holds a control character"},
        {"a\xff", "it is not well-formed UTF-8"},
        {std::string(256, 'x'), "a part of it is longer than 255 bytes"},
        {std::string(1025, 'x'), "it is longer than 1024 bytes"},
    };
    for (const auto& [key, why] : hostile)
        CHECK(key_refusal(key) == why);
}

TEST_CASE("a refused key names its store and is printable") {
    try {
        check_key("nas", "a\x1b/../b");
        FAIL("not refused");
    } catch (const Error& error) {
        CHECK(error.code == ErrorCode::refused);
        CHECK(error.message ==
              "object 'a\\x1b/../b' in store 'nas': this key is refused: it holds a control character");
        CHECK(error.details == Json{{"store", "nas"}, {"key", "a\\x1b/../b"}});
    }
}
