#include "actions/postgres_plain_dump.h"

#include <catch2/catch.hpp>

using namespace lifeboat;

namespace {

const std::string tail = "--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n\n";
const std::string head =
    "--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\n-- Dumped from database version 15.20 (Debian)\n"
    "-- Dumped by pg_dump version 16.1\n\nSET standard_conforming_strings = on;\nSELECT "
    "pg_catalog.set_config('search_path', '', false);\n";

PlainDump read(const std::string& script, const std::string& database = "shop") {
    return read_plain_dump([&script](const auto& take) { take(script); }, "x.sql", database);
}

std::string loaded(const std::string& script, const PlainDump& dump) {
    return script.substr(dump.load.begin, dump.load.end - dump.load.begin);
}

ErrorCode refusal(const std::string& script) {
    try {
        read(script);
    } catch (const Error& error) {
        return error.code;
    }
    return ErrorCode::internal;  // not refused
}

}  // namespace

TEST_CASE("a plain dump says where it comes from, and all of it is loaded") {
    const std::string script = head + "CREATE TABLE t (a int);\nCOPY t (a) FROM stdin;\n1\n\\.\n" + tail;
    const PlainDump dump = read(script);
    CHECK(loaded(script, dump) == script);
    CHECK(dump.server_major == 15);
    CHECK(dump.program_major == 16);
    CHECK(dump.optional.empty());
}

TEST_CASE("R8 a plain dump without its last line is refused, wherever it was cut") {
    const std::string script =
        head + "CREATE TABLE t (a int);\nCOPY t (a) FROM stdin;\n1\n2\n\\.\nALTER TABLE t ADD PRIMARY KEY (a);\n" +
        tail;
    const std::size_t end = script.find("dump complete") + std::string("dump complete").size();
    for (std::size_t length = 0; length < end; ++length)
        CHECK(refusal(script.substr(0, length)) == ErrorCode::incomplete);
    CHECK(refusal(script) == ErrorCode::internal);
    // the last line inside of the data is no last line
    CHECK(refusal("COPY t (a) FROM stdin;\n-- PostgreSQL database dump complete\n") == ErrorCode::incomplete);
    CHECK(refusal(script + "select 1;") == ErrorCode::incomplete);
}

TEST_CASE("what reaches beyond the database is refused") {
    for (const char* statement : {"CREATE DATABASE other;",
                                  "DROP DATABASE shop;",
                                  "drop database if exists shop;",
                                  "ALTER DATABASE shop SET work_mem = '1MB';",
                                  "CREATE ROLE bob;",
                                  "ALTER ROLE bob SUPERUSER;",
                                  "DROP ROLE bob;",
                                  "CREATE USER bob;",
                                  "ALTER USER bob PASSWORD 'x';",
                                  "CREATE GROUP g;",
                                  "CREATE TABLESPACE t LOCATION '/x';",
                                  "DROP TABLESPACE t;",
                                  "ALTER TABLESPACE t RENAME TO u;",
                                  "ALTER SYSTEM SET fsync = off;",
                                  "GRANT a TO b;",
                                  "GRANT CONNECT ON DATABASE shop TO bob;",
                                  "COMMENT ON DATABASE shop IS 'x';",
                                  "COMMENT ON ROLE bob IS 'x';",
                                  "COPY t FROM PROGRAM 'id';",
                                  "COPY t TO '/etc/passwd';",
                                  "COPY t FROM '/etc/passwd';",
                                  "DROP OWNED BY bob;",
                                  "REASSIGN OWNED BY a TO b;",
                                  "/* x */ DROP /* y */ DATABASE shop;",
                                  "\\! id\n",
                                  "\\i other.sql\n",
                                  "\\copy t from x\n",
                                  "select 'drop database shop' \\gexec\n;",
                                  "\\connect other\nCREATE TABLE u (a int);\n",
                                  "\\c other\nselect f();"}) {
        INFO(statement);
        CHECK(refusal(head + "CREATE TABLE t (a int);\n" + statement + "\n" + tail) == ErrorCode::dump_leaves_database);
    }
    for (const char* statement :
         {"CREATE USER MAPPING FOR bob SERVER s;", "ALTER USER MAPPING FOR bob SERVER s OPTIONS (x 'y');",
          "CREATE TABLE database (a int);", "COMMENT ON TABLE role IS 'x';", "ALTER TABLE t OWNER TO bob;",
          "GRANT SELECT ON TABLE t TO bob;", "INSERT INTO t VALUES ('DROP DATABASE shop; \\connect x');",
          "COPY t (a) FROM stdin;\nDROP DATABASE shop;\n\\connect x\n\\.", "-- DROP DATABASE shop;",
          "SELECT pg_catalog.setval('s', 1, true);",
          "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ begin execute 'drop database x'; end $$;"}) {
        INFO(statement);
        CHECK(refusal(head + "CREATE TABLE t (a int);\n" + statement + "\n" + tail) == ErrorCode::internal);
    }
}

TEST_CASE("a dump made with -C is loaded from behind its connect, up to the next") {
    const std::string before = head +
                               "DROP DATABASE shop;\nCREATE DATABASE shop WITH TEMPLATE = template0;\nALTER DATABASE "
                               "shop OWNER TO postgres;\n\\unrestrict abc\n";
    const std::string properties =
        "\n\\restrict abc\nCOMMENT ON DATABASE shop IS 'c';\nALTER DATABASE shop SET work_mem TO '8MB';\n\\unrestrict "
        "abc\n";
    const std::string content =
        "\\restrict abc\nCREATE TABLE t (a int);\nGRANT CONNECT ON DATABASE shop TO bob;\n" + tail;

    const std::string simple = before + "\\connect shop\n" + content;
    const PlainDump one = read(simple);
    CHECK(loaded(simple, one) == content);
    CHECK(one.database == "shop");
    REQUIRE(one.optional.size() == 1);
    CHECK(one.optional[0].kind == OptionalStatement::Kind::of_database);

    const std::string with_properties =
        before + "\\connect shop" + properties + "\\connect -reuse-previous=on \"dbname='shop'\"\n" + content;
    const PlainDump two = read(with_properties);
    CHECK(loaded(with_properties, two) == content);
    CHECK(two.database == "shop");

    // of several databases the one that is wanted
    const std::string both =
        before + "\\connect shop\nCREATE TABLE mine (a int);\n\\connect other\nCREATE TABLE theirs (a int);\n" + tail;
    CHECK(loaded(both, read(both, "shop")) == "CREATE TABLE mine (a int);\n");
    CHECK_THROWS_AS(read(both, "third"), Error);
    // what would be loaded is judged all the same
    CHECK(refusal(before + "\\connect shop\nCREATE TABLE t (a int);\nDROP DATABASE other;\n" + tail) ==
          ErrorCode::dump_leaves_database);
}

TEST_CASE("owners, privileges and transactions can be left out") {
    const std::string script =
        head +
        "CREATE TABLE t (a int);\nALTER TABLE t OWNER TO \"Bob\";\nGRANT SELECT ON TABLE t TO alice,\"c d\" WITH GRANT "
        "OPTION;\n"
        "REVOKE ALL ON SCHEMA public FROM PUBLIC;\nALTER DEFAULT PRIVILEGES FOR ROLE eve GRANT SELECT ON TABLES TO "
        "alice;\n"
        "BEGIN;\nSELECT pg_catalog.lo_open('1', 131072);\nCOMMIT;\nCOMMENT ON EXTENSION plpgsql IS 'x';\n" +
        tail;
    const PlainDump dump = read(script);
    using Kind = OptionalStatement::Kind;
    const std::vector<std::pair<Kind, std::vector<std::string>>> expected{
        {Kind::owner, {"Bob"}},       {Kind::privilege, {"alice", "c d"}},
        {Kind::privilege, {}},        {Kind::privilege, {"eve", "alice"}},
        {Kind::transaction, {}},      {Kind::transaction, {}},
        {Kind::extension_comment, {}}};
    REQUIRE(dump.optional.size() == expected.size());
    std::vector<ByteRange> all;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        CHECK(dump.optional[i].kind == expected[i].first);
        CHECK(dump.optional[i].roles == expected[i].second);
        all.push_back(dump.optional[i].range);
    }
    std::string left;
    for (const ByteRange& range : ranges_to_load(dump, all))
        left += script.substr(range.begin, range.end - range.begin);
    CHECK(left.find("OWNER") == std::string::npos);
    CHECK(left.find("GRANT") == std::string::npos);
    CHECK(left.find("BEGIN") == std::string::npos);
    CHECK(left.find("CREATE TABLE t (a int);") != std::string::npos);
    CHECK(left.find("lo_open") != std::string::npos);
    CHECK(ranges_to_load(dump, {}) == std::vector<ByteRange>{{0, script.size()}});
}

TEST_CASE("a dump that could be read in two ways is refused") {
    CHECK(refusal("SET standard_conforming_strings = off;\n" + tail) == ErrorCode::unsupported);
    CHECK(refusal("SET client_encoding = 'SJIS';\n" + tail) == ErrorCode::unsupported);
    CHECK(refusal("SET client_encoding = 'LATIN1';\n" + tail) == ErrorCode::internal);
}
