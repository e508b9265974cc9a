#include "base/path_pattern.h"

#include "base/error.h"

using namespace lifeboat;

namespace {

bool leaves_out(const std::string& pattern, std::string_view path, bool folder = false) {
    return PathPatterns({pattern}).match(path, folder);
}

}  // namespace

TEST_CASE("a pattern without a slash names entries at any depth") {
    CHECK(leaves_out("*.tmp", "a.tmp"));
    CHECK(leaves_out("*.tmp", "deep/er/a.tmp"));
    CHECK_FALSE(leaves_out("*.tmp", "a.tmp/b"));  // what lies below is left out with it, by whoever walks
    CHECK_FALSE(leaves_out("*.tmp", "a.tmpx"));
    CHECK(leaves_out("cache[0-9]", "x/cache7"));
    CHECK(leaves_out("ca?he", "cache"));
}

TEST_CASE("a pattern with a slash begins at the root") {
    CHECK(leaves_out("/core", "core"));
    CHECK_FALSE(leaves_out("/core", "lib/core"));
    CHECK(leaves_out("var/cache", "var/cache"));
    CHECK_FALSE(leaves_out("var/cache", "x/var/cache"));
    CHECK(leaves_out("var/*/log", "var/a/log"));
    CHECK_FALSE(leaves_out("var/*/log", "var/a/b/log"));
    CHECK(leaves_out("var/**/log", "var/log"));
    CHECK(leaves_out("var/**/log", "var/a/b/log"));
    CHECK(leaves_out("**/x/*.log", "a/x/1.log"));
    CHECK(leaves_out("logs/**", "logs/a/b"));
}

TEST_CASE("a slash at the end means folders alone") {
    CHECK(leaves_out("cache/", "a/cache", true));
    CHECK_FALSE(leaves_out("cache/", "a/cache", false));
}

TEST_CASE("of objects every folder above counts") {
    const PathPatterns patterns({"cache/", "*.tmp", "/logs/old"});
    CHECK(patterns.match_within("a/cache/b/c"));
    CHECK_FALSE(patterns.match_within("a/cache"));
    CHECK(patterns.match_within("b/x.tmp"));
    CHECK(patterns.match_within("logs/old/1"));
    CHECK_FALSE(patterns.match_within("x/logs/old/1"));
    CHECK_FALSE(PathPatterns().match_within("x"));
}

TEST_CASE("what would mean nothing or everything is no pattern") {
    for (const char* text : {"", "/", "//", "**", "/**", "a//b", "../a", "a/./b", "a**"}) {
        INFO(text);
        CHECK_FALSE(path_pattern_refusal(text).empty());
        CHECK_THROWS_AS(PathPatterns({text}), Error);
    }
    for (const char* text : {"a", "*", "/a/", "a/**/b", "**/a"})
        CHECK(path_pattern_refusal(text) == "");
}

TEST_CASE("a pattern of many stars takes no time") {
    std::string pattern = "a";
    std::string path = "a";
    for (int i = 0; i < 200; ++i) {
        pattern += "/**";
        path += "/x";
    }
    CHECK_FALSE(leaves_out(pattern + "/y", path));
}
