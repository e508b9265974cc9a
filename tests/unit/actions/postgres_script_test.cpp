#include "actions/postgres_script.h"

#include <catch2/catch.hpp>

using namespace lifeboat;

namespace {

struct Part {
    ScriptPart::Kind kind;
    std::string text;  // the bytes of the script that it covers
    bool complete;
    bool operator==(const Part&) const = default;
};

std::vector<Part> parts_of(const std::string& script, std::size_t chunk) {
    std::vector<Part> parts;
    ScriptReader reader([&](const ScriptPart& part) {
        parts.push_back({part.kind, script.substr(part.begin, part.end - part.begin), part.complete});
    });
    for (std::size_t at = 0; at < script.size(); at += chunk)
        reader.push(std::string_view(script).substr(at, chunk));
    reader.finish();
    CHECK(reader.position() == script.size());
    return parts;
}

using enum ScriptPart::Kind;

// However the bytes arrive.
void check_parts(const std::string& script, const std::vector<Part>& expected) {
    for (const std::size_t chunk : {std::size_t{1}, std::size_t{3}, script.size() + 1}) {
        const std::vector<Part> parts = parts_of(script, chunk);
        REQUIRE(parts.size() == expected.size());
        for (std::size_t i = 0; i < parts.size(); ++i) {
            CHECK(parts[i].text == expected[i].text);
            CHECK(parts[i].kind == expected[i].kind);
            CHECK(parts[i].complete == expected[i].complete);
        }
    }
}

}  // namespace

TEST_CASE("a script is cut where psql cuts it") {
    check_parts("select 1; select 2;", {{statement, "select 1;", true}, {statement, "select 2;", true}});
    check_parts("select ';''; '; select 2;", {{statement, "select ';''; ';", true}, {statement, "select 2;", true}});
    check_parts(R"(select E'a\'; ''; b'; select '\';)",
                {{statement, R"(select E'a\'; ''; b';)", true}, {statement, R"(select '\';)", true}});
    check_parts(R"(select "a;""b"; x;)", {{statement, R"(select "a;""b";)", true}, {statement, "x;", true}});
    check_parts("do $$ begin; end; $$; x;", {{statement, "do $$ begin; end; $$;", true}, {statement, "x;", true}});
    check_parts("do $a$ $$; $b$ ; $a$; x;", {{statement, "do $a$ $$; $b$ ; $a$;", true}, {statement, "x;", true}});
    check_parts("select $1; select a$b$; x;",
                {{statement, "select $1;", true}, {statement, "select a$b$;", true}, {statement, "x;", true}});
    check_parts("select /* ; /* ; */ ; */ 1; x;",
                {{statement, "select /* ; /* ; */ ; */ 1;", true}, {statement, "x;", true}});
    check_parts("select 1 -- ; no\n; x;", {{statement, "select 1 -- ; no\n;", true}, {statement, "x;", true}});
    check_parts(
        "create rule r as on insert to t do (select 1; select 2); x;",
        {{statement, "create rule r as on insert to t do (select 1; select 2);", true}, {statement, "x;", true}});
    const std::string atomic =
        "create or replace function f() returns int begin atomic select case when true then 1 end; select 2; end;";
    check_parts(atomic + " x;", {{statement, atomic, true}, {statement, "x;", true}});
    check_parts("begin; commit;", {{statement, "begin;", true}, {statement, "commit;", true}});
    check_parts("select 1", {{statement, "select 1", false}});
    check_parts("select 'x", {{statement, "select 'x", false}});
    check_parts("", {});
}

TEST_CASE("COPY data is data, whatever it looks like") {
    check_parts("COPY t (a, b) FROM stdin;\n1\tx;\n\\connect evil\n\\.\nselect 1;",
                {{statement, "COPY t (a, b) FROM stdin;", true},
                 {copy_data, "1\tx;\n\\connect evil\n\\.\n", true},
                 {statement, "select 1;", true}});
    check_parts("copy t from stdin;\n\\.\n", {{statement, "copy t from stdin;", true}, {copy_data, "\\.\n", true}});
    check_parts("copy t from stdin;\n\\.x\n\\\\.\n\\.\n",
                {{statement, "copy t from stdin;", true}, {copy_data, "\\.x\n\\\\.\n\\.\n", true}});
    check_parts("copy t from stdin;\nabc", {{statement, "copy t from stdin;", true}, {copy_data, "abc", false}});
    // not from standard input: no data follows
    check_parts("copy t to stdout; x;", {{statement, "copy t to stdout;", true}, {statement, "x;", true}});
    check_parts("select 'copy t from stdin'; x;",
                {{statement, "select 'copy t from stdin';", true}, {statement, "x;", true}});
}

TEST_CASE("a backslash outside of quotes is a meta-command wherever it stands") {
    check_parts("\\restrict abc\nselect 1;\n\\connect x\n",
                {{meta, "\\restrict abc\n", true}, {statement, "select 1;", true}, {meta, "\\connect x\n", true}});
    check_parts("select 'drop database x' \\gexec\n;",
                {{meta, "\\gexec\n", true}, {statement, "select 'drop database x' \\gexec\n;", true}});
    const auto parts = parts_of("copy t from stdin; \\! id\nx\n\\.\n", 100);
    REQUIRE(parts.size() >= 2);
    CHECK(std::any_of(parts.begin(), parts.end(), [](const Part& part) { return part.kind == meta; }));
}

TEST_CASE("comments between statements are handed out") {
    check_parts(
        "--\n-- PostgreSQL database dump complete\n--\n",
        {{comment, "--", true}, {comment, "-- PostgreSQL database dump complete", true}, {comment, "--", true}});
    check_parts("/* a */ select 1; -- end", {{statement, "select 1;", true}, {comment, "-- end", true}});
}

TEST_CASE("the words of a statement") {
    const auto words = sql_tokens("ALTER Table \"We\"\"ird\".t -- c\n OWNER TO \"Bob\"; /* x */");
    std::vector<std::string> texts;
    for (const SqlToken& token : words)
        texts.push_back(token.text);
    CHECK(texts == std::vector<std::string>{"alter", "table", "We\"ird", ".", "t", "owner", "to", "Bob", ";"});
    CHECK(words[7].kind == SqlToken::Kind::quoted_name);
    CHECK(sql_tokens("select E'a\\'b', $x$ $$ $x$, 'it''s', 1.5").size() == 8);
}
