#include "base/text.h"

#include <catch2/catch.hpp>

using namespace lifeboat;

TEST_CASE("the name that was meant is found") {
    const std::vector<std::string> names{"database", "dump", "outputs", "retry", "max_attempts", "db"};
    CHECK(nearest("dmp", names) == "dump");
    CHECK(nearest("datbase", names) == "database");
    CHECK(nearest("ouptuts", names) == "outputs");
    CHECK(nearest("Retry", names) == "retry");
    CHECK(nearest("max-attempts", names) == "max_attempts");
    CHECK(nearest("bd", names) == "db");
    CHECK(did_you_mean("dmp", names) == " (did you mean 'dump'?)");
}

TEST_CASE("a name that resembles nothing gets no suggestion") {
    const std::vector<std::string> names{"database", "dump", "x"};
    CHECK_FALSE(nearest("frequency", names).has_value());
    CHECK_FALSE(nearest("y", names).has_value());
    CHECK_FALSE(nearest("", names).has_value());
    CHECK_FALSE(nearest("dump", {}).has_value());
    CHECK(did_you_mean("frequency", names).empty());
}

TEST_CASE("of several near names the nearest wins, of equals the first") {
    const std::vector<std::string> names{"restored", "restores", "restore"};
    CHECK(nearest("restor", names) == "restore");
    CHECK(nearest("restorez", names) == "restored");
}

TEST_CASE("joining and splitting undo each other") {
    CHECK(split("a,,b,", ',') == std::vector<std::string>{"a", "", "b", ""});
    CHECK(split("", ',') == std::vector<std::string>{""});
    CHECK(join(split("a,,b,", ','), ",") == "a,,b,");
    CHECK(join({}, ", ").empty());
}

TEST_CASE("trim removes blanks at both ends only") {
    CHECK(trim(" \t a b\r\n") == "a b");
    CHECK(trim(" \n").empty());
    CHECK(trim("").empty());
}

TEST_CASE("text from a child cannot drive the terminal") {
    CHECK(printable("\x1b[31mred\x07") == R"(\x1b[31mred\x07)");
    CHECK(printable("a\nb\tc\r") == R"(a\nb\tc\r)");
    CHECK(printable("a\nb\tc\r", true) == "a\nb\tc\\r");
    CHECK(printable("grün ☂ 🛟") == "grün ☂ 🛟");
    CHECK(printable("\xc2\x9b"
                    "2J") == R"(\x9b2J)");
    CHECK(printable("a\xff\xc3") == R"(a\xff\xc3)");
    CHECK(printable("ab\xe2\x80\xae"
                    "cd") == R"(ab\u202ecd)");
    CHECK(printable(std::string_view("\0\x7f", 2)) == R"(\x00\x7f)");
}

TEST_CASE("characters are counted, not bytes") {
    CHECK(characters("grün") == 4);
    CHECK(characters("🛟") == 1);
    CHECK(characters("a\xff\xfe") == 3);
    CHECK(characters("") == 0);
}

TEST_CASE("only well-formed UTF-8 is UTF-8") {
    CHECK(is_utf8("grün 🛟"));
    CHECK(is_utf8(""));
    for (const char* text :
         {"\xff", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80", "\xf8\x88\x80\x80\x80"}) {
        CHECK_FALSE(is_utf8(text));
    }
}

TEST_CASE("counts agree with their nouns") {
    CHECK(counted(1, "row") == "1 row");
    CHECK(counted(0, "row") == "0 rows");
    CHECK(counted(12, "row") == "12 rows");
    CHECK(counted(2, "entry", "entries") == "2 entries");
}
