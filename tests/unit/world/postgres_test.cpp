#include "world/postgres.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "world/postgres_programs.h"
#include "world/scratch.h"

using namespace lifeboat;
namespace fs = std::filesystem;

namespace {

class Server {
  public:
    Server() {
        char pattern[] = "/tmp/lifeboat-postgres-test-XXXXXX";
        REQUIRE(mkdtemp(pattern) != nullptr);
        folder_ = pattern;
        scratch =
            start_scratch_postgres({.folder = folder_ / "pg", .nonce = "port-test", .password = Secret("s3:cret\\")});
    }
    ~Server() {
        destroy_scratch_postgres(folder_ / "pg");
        fs::remove_all(folder_);
    }
    const fs::path& folder() const { return folder_; }
    ScratchPostgres scratch;

  private:
    fs::path folder_;
};

ErrorCode code_of(const std::function<void()>& act, std::string* state = nullptr) {
    try {
        act();
    } catch (const Error& error) {
        if (state != nullptr) *state = sqlstate_of(error);
        return error.code;
    }
    FAIL("nothing was thrown");
    return ErrorCode::internal;
}

SteadyTime soon(Duration from_now) {
    return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::steady_clock::now()) + from_now;
}

}  // namespace

TEST_CASE("a session answers, reports its errors by SQLSTATE, and stays usable") {
    const Server server;
    PostgresConnection session(server.scratch.target());
    const PostgresRows rows = session.query("select $1::int + 1 as n, null as nothing, 'ä'::text as t", {"41"});
    CHECK(rows.columns == std::vector<std::string>{"n", "nothing", "t"});
    CHECK(rows.rows == std::vector<std::vector<PostgresValue>>{{"42", std::nullopt, "ä"}});
    CHECK(rows.types.front() == 23);

    session.execute(
        "create table t(id int primary key, v text); insert into t select i, 'x' || i from generate_series(1, 10) i");
    CHECK(session.query("delete from t where id > $1", {"7"}).affected == 3);
    CHECK(session.value("select v from t where id = 99") == std::nullopt);

    std::string state;
    CHECK(code_of([&] { session.query("select * from missing"); }, &state) == ErrorCode::sql_failed);
    CHECK(state == "42P01");
    CHECK(code_of([&] { session.query("select 1; select 2"); }) == ErrorCode::sql_failed);
    CHECK(code_of([&] { session.execute("create table t(id int)"); }) == ErrorCode::already_exists);
    CHECK(code_of([&] { session.execute("copy t from stdin"); }) != ErrorCode::internal);
    CHECK(session.value("select count(*) from t") == "7");

    std::string copied;
    CHECK(session.copy_out("copy (select id, v from t order by id limit 2) to stdout",
                           [&](std::string_view row) { copied += row; }) == 2);
    CHECK(copied == "1\tx1\n2\tx2\n");
    CHECK(code_of([&] { session.copy_out("copy missing to stdout", [](std::string_view) {}); }) ==
          ErrorCode::sql_failed);
    CHECK(code_of([&] { session.copy_out("select 1", [](std::string_view) {}); }) == ErrorCode::sql_failed);
    CHECK_THROWS_AS(session.copy_out("copy (select generate_series(1, 1000000)) to stdout",
                                     [](std::string_view) { throw std::runtime_error("enough"); }),
                    std::runtime_error);
    CHECK(session.value("select 1") == "1");

    session.execute("do $$ begin raise warning 'careful'; end $$");
    CHECK(session.take_notices() == std::vector<std::string>{"WARNING: careful"});
}

TEST_CASE("what a session cannot reach is told apart") {
    const Server server;
    PostgresTarget target = server.scratch.target("no_such_database");
    std::string state;
    CHECK(code_of([&] { PostgresConnection{target}; }, &state) == ErrorCode::not_found);
    CHECK(state == "3D000");

    target = server.scratch.target();
    target.password = Secret("wrong");
    CHECK(code_of([&] { PostgresConnection{target}; }, &state) == ErrorCode::denied);
    CHECK(state == "28P01");

    target = server.scratch.target();
    target.port = 1;
    CHECK(code_of([&] { PostgresConnection{target}; }) == ErrorCode::unreachable);
    target.host = "no-such-host.invalid";
    CHECK(code_of([&] { PostgresConnection{target}; }) == ErrorCode::unreachable);

    {
        PostgresConnection session(server.scratch.target());
        session.execute("create database closed");
        session.execute("alter database closed allow_connections false");
    }
    CHECK(code_of([&] { PostgresConnection{server.scratch.target("closed")}; }, &state) == ErrorCode::denied);
    CHECK(state == "55000");
}

TEST_CASE("R10 a wait for a silent server ends at its deadline or when asked to stop") {
    // accepts connections and never says a word
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    REQUIRE(bind(listener, reinterpret_cast<sockaddr*>(&address), length) == 0);
    REQUIRE(listen(listener, 4) == 0);
    REQUIRE(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0);
    PostgresTarget target;
    target.host = "127.0.0.1";
    target.port = ntohs(address.sin_port);
    target.user = "x";
    CHECK(code_of([&] { PostgresConnection(target, {.deadline = soon(std::chrono::milliseconds(100))}); }) ==
          ErrorCode::timed_out);
    target.connect_timeout = std::chrono::milliseconds(100);
    CHECK(code_of([&] { PostgresConnection{target}; }) == ErrorCode::unreachable);
    std::stop_source stop;
    stop.request_stop();
    CHECK(code_of([&] { PostgresConnection(target, {.stop = stop.get_token()}); }) == ErrorCode::cancelled);
    close(listener);
}

TEST_CASE("R10 a statement is cancelled on the server at the deadline or when asked to stop, and the session goes on") {
    const Server server;
    PostgresConnection session(server.scratch.target());
    session.set_patience({.deadline = soon(std::chrono::milliseconds(100))});
    CHECK(code_of([&] { session.query("select pg_sleep(100)"); }) == ErrorCode::timed_out);
    std::stop_source stop;
    session.set_patience({.stop = stop.get_token()});
    std::jthread stopper([&] {
        PostgresConnection other(server.scratch.target());
        while (other.value(
                   "select count(*) from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'") !=
               "1") {
        }
        stop.request_stop();
    });
    CHECK(code_of([&] { session.query("select pg_sleep(100)"); }) == ErrorCode::cancelled);
    stopper.join();
    session.set_patience({});
    CHECK(session.value(
              "select count(*) from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'") == "0");
}

TEST_CASE("a session that the server ended is lost") {
    const Server server;
    PostgresConnection session(server.scratch.target());
    PostgresConnection other(server.scratch.target());
    other.query("select pg_terminate_backend($1::int)", {std::to_string(session.backend_pid())});
    CHECK(code_of([&] { session.query("select 1"); }) == ErrorCode::connection_lost);
    CHECK(code_of([&] { session.query("select 1"); }) == ErrorCode::connection_lost);
}

TEST_CASE("R6 nothing of the environment reaches a session or a program") {
    const Server server;
    const std::pair<const char*, const char*> hostile[] = {
        {"PGHOST", "192.0.2.1"},
        {"PGHOSTADDR", "192.0.2.1"},
        {"PGPORT", "1"},
        {"PGDATABASE", "elsewhere"},
        {"PGUSER", "elsewhere"},
        {"PGPASSWORD", "elsewhere"},
        {"PGOPTIONS", "-c work_mem=66kB"},
        {"PGAPPNAME", "elsewhere"},
        {"PGSSLMODE", "verify-full"},
        {"PGSSLROOTCERT", "/nowhere/at/all"},
        {"PGTZ", "Asia/Tokyo"},
        {"PGDATESTYLE", "German"},
        {"PGCLIENTENCODING", "LATIN1"},
        {"PGPASSFILE", "/nowhere/pass"},
        {"PGTARGETSESSIONATTRS", "standby"},
        {"PGCONNECT_TIMEOUT", "1"},
    };
    for (const auto& [name, value] : hostile)
        setenv(name, value, 1);
    const std::string seen =
        "select current_database() || ' ' || current_user || ' ' || current_setting('work_mem') || ' ' || "
        "current_setting('application_name') "
        "|| ' ' || current_setting('timezone') || ' ' || split_part(current_setting('datestyle'), ',', 1) || ' ' || "
        "current_setting('client_encoding')";
    PostgresTarget target = server.scratch.target();
    target.application_name = "lifeboat run-1";
    {
        PostgresConnection session(target);
        CHECK(session.value(seen) == "postgres postgres 4MB lifeboat run-1 UTC ISO UTF8");
    }
    // and over a unix socket, where PGHOSTADDR would win over the host
    PostgresTarget by_socket = target;
    by_socket.host = server.scratch.socket;
    if (geteuid() == 0) {
        PostgresConnection session(by_socket);
        CHECK(session.value("select inet_server_addr() is null") == "t");
    }

    const PostgresLogin login(target, server.folder(), {{"work_mem", "1MB"}, {"search_path", "a, b"}});
    Command command = login.command(find_postgres_program("psql", 15),
                                    {"-X", "-At", "-c", seen + " || ' ' || current_setting('search_path')"});
    const ChildResult result = run_child_checked(command, {});
    CHECK(result.output == "postgres postgres 1MB lifeboat run-1 UTC ISO UTF8 a, b\n");
    for (const auto& [name, value] : hostile)
        unsetenv(name);
}

TEST_CASE("R11 a program's password stands in a file of its own, for as long as it runs") {
    const Server server;
    const fs::path workspace = server.folder() / "work";
    fs::create_directory(workspace);
    std::ofstream(workspace / ".pgpass-1-0") << "left by a killed process";
    {
        const PostgresLogin login(server.scratch.target(), workspace);
        std::vector<fs::path> files;
        for (const auto& entry : fs::directory_iterator(workspace))
            files.push_back(entry.path());
        REQUIRE(files.size() == 1);
        struct stat found {};
        REQUIRE(stat(files[0].c_str(), &found) == 0);
        CHECK((found.st_mode & 0777U) == 0600U);

        const Command command = login.command(find_postgres_program("psql"), {"-X", "-At", "-c", "select 'in'"});
        std::string spoken;
        for (const std::string& argument : command.argv)
            spoken += argument + "\n";
        for (const auto& [name, value] : command.environment)
            spoken += name + "=" + value + "\n";
        CHECK(spoken.find("s3:cret") == std::string::npos);
        CHECK(run_child_checked(command, {}).output == "in\n");
    }
    CHECK(fs::is_empty(workspace));
}

TEST_CASE("the client programs are not older than their server") {
    CHECK(find_postgres_program("pg_dump", 15).major >= 15);
    CHECK(code_of([] { find_postgres_program("pg_dump", 99); }) == ErrorCode::program_missing);
    CHECK(code_of([] { find_postgres_program("no-such-program"); }) == ErrorCode::program_missing);
}

TEST_CASE("names and texts are quoted so that they stay what they are") {
    const Server server;
    PostgresConnection session(server.scratch.target());
    for (const std::string text : {"plain", "it's", "back\\slash", "\"double\"", "ä$$ü", "", "new\nline"}) {
        CHECK(session.value("select " + quote_literal(text)) == text);
        if (!text.empty()) CHECK(session.query("select 1 as " + quote_identifier(text)).columns.front() == text);
    }
    CHECK_THROWS_AS(quote_literal(std::string_view("a\0b", 3)), Error);
    CHECK(postgres_name("shop", "_old_1") == "shop_old_1");
    CHECK(postgres_name(std::string(80, 'x'), "_old").size() == 63);
    const std::string many(58, 'x');
    CHECK(postgres_name(many + "ää", "_old") == many + "_old");
}

TEST_CASE("SQLSTATEs have their error class") {
    CHECK(postgres_error_code("28P01") == ErrorCode::denied);
    CHECK(postgres_error_code("42501") == ErrorCode::denied);
    CHECK(postgres_error_code("3D000") == ErrorCode::not_found);
    CHECK(postgres_error_code("55006") == ErrorCode::busy);
    CHECK(postgres_error_code("57P03") == ErrorCode::busy);
    CHECK(postgres_error_code("53100") == ErrorCode::disk_full);
    CHECK(postgres_error_code("XX001") == ErrorCode::corrupt);
    CHECK(postgres_error_code("57P01") == ErrorCode::connection_lost);
    CHECK(postgres_error_code("42601") == ErrorCode::sql_failed);
    CHECK(sqlstate_in_message("psql:x:1: ERROR:  42704: role \"a\" does not exist") == "42704");
    CHECK(sqlstate_in_message("connection refused").empty());
}
