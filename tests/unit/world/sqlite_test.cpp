#include "world/sqlite.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "world/files.h"
#include "world/tree.h"

using namespace lifeboat;
namespace fs = std::filesystem;

namespace {

struct Sandbox {
    PrivateDirectory folder{fs::temp_directory_path(), "lifeboat-sqlite-test-"};
    fs::path operator/(const std::string& name) const { return folder.path() / name; }
    fs::path work() const { return folder.path() / "private"; }
};

ErrorCode code_of(const std::function<void()>& act) {
    try {
        act();
    } catch (const Error& error) {
        return error.code;
    }
    return ErrorCode::internal;
}

void make_orders(const fs::path& path, int rows, const std::string& journal = "delete") {
    auto database = SqliteDatabase::create(path);
    database.execute("pragma journal_mode = " + journal);
    database.execute("create table orders (id integer primary key, what text)");
    database.execute("with recursive n(i) as (select 1 union all select i + 1 from n where i < " +
                     std::to_string(rows) + ") insert into orders select i, 'order ' || i from n");
}

// Runs `act` in a child process that then dies without closing anything, as a crash does.
void crash_after(const std::function<SqliteDatabase()>& act) {
    const pid_t child = ::fork();
    if (child == 0) {
        try {
            const SqliteDatabase open = act();
            ::kill(::getpid(), SIGKILL);
        } catch (...) {
        }
        ::_exit(1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
}

// 2000 rows in the main file, 3000 more only in the -wal.
void make_crashed_wal(const fs::path& path) {
    make_orders(path, 2000, "wal");
    crash_after([&] {
        auto database = SqliteDatabase::open(path);
        database.execute("pragma wal_autocheckpoint = 0");
        database.execute(
            "with recursive n(i) as (select 2001 union all select i + 1 from n where i < 5000) insert into orders "
            "select i, 'late' from n");
        return database;
    });
    REQUIRE(fs::exists(path.string() + "-wal"));
}

// A transaction that was cut: its -journal is hot.
void make_crashed_journal(const fs::path& path) {
    make_orders(path, 2000);
    crash_after([&] {
        auto database = SqliteDatabase::open(path);
        database.execute("pragma cache_size = 1; pragma cache_spill = 1");
        database.execute("begin; update orders set what = what || ' changed and made quite a bit longer than before'");
        return database;
    });
    REQUIRE(fs::file_size(path.string() + "-journal") > 0);
}

Json count(const SqliteDatabase& database) {
    return database.value("select count(*) from orders");
}

}  // namespace

TEST_CASE("rows come back with their types") {
    const Sandbox sandbox;
    auto database = SqliteDatabase::create(sandbox / "a.db");
    database.execute(
        "create table t (a, b, c, d, e); insert into t values (null, 9007199254740993, 1.5, 'h\xc3\xa9', x'00ff')");
    const SqliteRows rows = database.query("select * from t");
    CHECK(rows.columns == std::vector<std::string>{"a", "b", "c", "d", "e"});
    CHECK(to_json(rows) == Json::parse(R"([{"a": null, "b": 9007199254740993, "c": 1.5, "d": "hé", "e": "00ff"}])"));
    CHECK(database.value("select ?1 || '-' || ?2", Json::array({"x", 3})) == "x-3");
    CHECK(database.value("select 1 where 0").is_null());
    CHECK(database.tables() == std::vector<std::string>{"t"});
}

TEST_CASE("statements that SQLite refuses, and more than one, are errors") {
    const Sandbox sandbox;
    auto database = SqliteDatabase::create(sandbox / "a.db");
    CHECK(code_of([&] { database.query("select nonsense"); }) == ErrorCode::sql_failed);
    CHECK(code_of([&] { database.query("select 1; drop table x"); }) == ErrorCode::sql_failed);
    CHECK(code_of([&] { database.query("  "); }) == ErrorCode::sql_failed);
    CHECK(database.value("select 1 ; ") == 1);
    CHECK(code_of([&] {
              database.query("with recursive n(i) as (select 1 union all select i + 1 from n) select i from n",
                             Json::array(), {}, 10);
          }) == ErrorCode::limit_exceeded);
    CHECK(code_of([&] { SqliteDatabase::create(sandbox / "a.db"); }) == ErrorCode::already_exists);
    CHECK(code_of([&] { SqliteDatabase::open(sandbox / "missing.db"); }) == ErrorCode::not_found);
    CHECK(code_of([&] { look_at_sqlite(sandbox / "missing.db", sandbox.work()); }) == ErrorCode::not_found);
}

TEST_CASE("a query ends at its deadline and when asked to stop") {
    const Sandbox sandbox;
    auto database = SqliteDatabase::create(sandbox / "a.db");
    const std::string endless =
        "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n";
    WorkControl late;
    late.deadline =
        std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()) + std::chrono::milliseconds(50);
    CHECK(code_of([&] { database.value(endless, Json::array(), late); }) == ErrorCode::timed_out);
    std::stop_source source;
    std::jthread stopper{[&] { source.request_stop(); }};
    CHECK(code_of([&] { database.value(endless, Json::array(), {.stop = source.get_token()}); }) ==
          ErrorCode::cancelled);
    CHECK(database.value("select 1") == 1);
}

TEST_CASE("R27 a look changes nothing on the disk, whatever state the database was left in") {
    const Sandbox sandbox;
    fs::create_directory(sandbox / "db");
    const fs::path path = sandbox / "db/a.db";
    std::int64_t rows = 0;
    bool copied = true;
    SECTION("closed properly") {
        make_orders(path, 2000);
        rows = 2000;
        copied = false;
    }
    SECTION("closed properly, WAL mode") {
        make_orders(path, 2000, "wal");
        rows = 2000;
        copied = false;
    }
    SECTION("crashed with rows only in the -wal") {
        make_crashed_wal(path);
        rows = 5000;
    }
    SECTION("crashed in a transaction") {
        make_crashed_journal(path);
        rows = 2000;
    }
    const TreeListing before = list_tree(sandbox / "db");
    {
        const auto look = look_at_sqlite(path, sandbox.work());
        CHECK(look.is_copy() == copied);
        CHECK(count(look) == rows);
        CHECK(look.integrity_check().empty());
        CHECK(look.quick_check().empty());
        CHECK(look.foreign_key_check().empty());
        CHECK(look.value("select count(*) from orders where what like '%changed%'") == 0);
        CHECK(look.still_as_opened());
    }
    CHECK(list_tree(sandbox / "db") == before);
    CHECK((!fs::exists(sandbox.work()) || fs::is_empty(sandbox.work())));
}

TEST_CASE("R27 copying the main file alone loses what is in the -wal, the backup does not") {
    const Sandbox sandbox;
    fs::create_directory(sandbox / "db");
    const fs::path path = sandbox / "db/a.db";
    make_crashed_wal(path);
    const TreeListing before = list_tree(sandbox / "db");
    copy_and_hash(path, sandbox / "naive.db", {});
    CHECK(count(look_at_sqlite(sandbox / "naive.db", sandbox.work())) == 2000);
    const HashedFile copied = backup_sqlite(path, sandbox / "copy.db", sandbox.work());
    CHECK(count(look_at_sqlite(sandbox / "copy.db", sandbox.work())) == 5000);
    CHECK(copied.sha256 == hash_file(sandbox / "copy.db").sha256);
    CHECK(list_tree(sandbox / "db") == before);
    CHECK(live_companions(path) == std::vector<fs::path>{path.string() + "-wal"});
    CHECK(live_companions(sandbox / "copy.db").empty());
    CHECK_FALSE(fs::exists(sandbox / "copy.db-wal"));
    CHECK_FALSE(fs::exists(sandbox / "copy.db-journal"));
}

TEST_CASE("a private copy larger than allowed is not made") {
    const Sandbox sandbox;
    make_crashed_wal(sandbox / "a.db");
    CHECK(code_of([&] { look_at_sqlite(sandbox / "a.db", sandbox.work(), {1000}); }) == ErrorCode::limit_exceeded);
}

TEST_CASE("a journal that its writer deletes during the look makes nobody else a holder") {
    const Sandbox sandbox;
    const fs::path path = sandbox / "a.db";
    make_orders(path, 10, "delete");
    // a stranger takes the inodes that become free
    const pid_t stranger = ::fork();
    if (stranger == 0) {
        const std::string own = (sandbox / "stranger").string();
        while (::getppid() != 1) {
            const int file = ::open(own.c_str(), O_WRONLY | O_CREAT, 0600);
            ::sched_yield();
            ::unlink(own.c_str());
            ::close(file);
        }
        ::_exit(0);
    }
    std::jthread writer([&path](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            ::close(::open((path.string() + "-journal").c_str(), O_WRONLY | O_CREAT, 0600));
            ::unlink((path.string() + "-journal").c_str());
        }
    });
    std::size_t seen = 0;
    for (int i = 0; i < 300; ++i)
        seen += who_has_open(path).holders.size();
    writer.request_stop();
    writer.join();
    REQUIRE(::kill(stranger, SIGKILL) == 0);
    REQUIRE(::waitpid(stranger, nullptr, 0) == stranger);
    CHECK(seen == 0);
}

TEST_CASE("a database is copied beside a process that goes on writing to it") {
    const Sandbox sandbox;
    const std::string journal = GENERATE("wal", "delete");
    const fs::path path = sandbox / "a.db";
    make_orders(path, 20000, journal);
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        try {
            auto database = SqliteDatabase::open(path);
            for (int i = 0; i < 100'000; ++i) {
                database.execute("insert into orders (what) values ('a'), ('b')");
                if (i == 3 && ::write(ready[1], "x", 1) != 1) ::_exit(1);
            }
        } catch (...) {
        }
        ::_exit(0);
    }
    char byte = 0;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    const FileHolders holders = who_has_open(path);
    REQUIRE(holders.holders.size() == 1);
    CHECK(holders.holders[0].pid == child);
    std::optional<Error> failed;
    try {
        backup_sqlite(path, sandbox / "copy.db", sandbox.work());
    } catch (const Error& error) {
        failed = error;
    }
    REQUIRE(::kill(child, SIGKILL) == 0);
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    ::close(ready[0]);
    ::close(ready[1]);
    INFO((failed ? failed->message : ""));
    REQUIRE_FALSE(failed);
    const auto copy = look_at_sqlite(sandbox / "copy.db", sandbox.work());
    CHECK(copy.integrity_check().empty());
    const auto rows = count(copy).get<int>();
    CHECK(rows >= 20000);
    CHECK(rows % 2 == 0);
    CHECK(who_has_open(path).holders.empty());
}

TEST_CASE("damage is a complaint of the checks, not a failure to look") {
    const Sandbox sandbox;
    make_orders(sandbox / "a.db", 20000);
    const auto size = fs::file_size(sandbox / "a.db");
    SECTION("a page overwritten") {
        std::fstream file{sandbox / "a.db", std::ios::in | std::ios::out | std::ios::binary};
        file.seekp(static_cast<std::streamoff>(size / 2));
        file << std::string(5000, 'Z');
    }
    SECTION("cut") {
        fs::resize_file(sandbox / "a.db", size / 2);
    }
    SECTION("no database at all") {
        std::ofstream{sandbox / "a.db"} << std::string(10000, 'n');
    }
    SECTION("empty") {
        fs::resize_file(sandbox / "a.db", 0);
    }
    const auto look = look_at_sqlite(sandbox / "a.db", sandbox.work());
    CHECK_FALSE(look.quick_check().empty());
    CHECK_FALSE(look.integrity_check().empty());
}

TEST_CASE("a row that refers to nothing is found by the foreign key check") {
    const Sandbox sandbox;
    {
        auto database = SqliteDatabase::create(sandbox / "a.db");
        database.execute(
            "create table p (id integer primary key); create table c (p integer references p(id)); insert into c "
            "values (7)");
    }
    const auto look = look_at_sqlite(sandbox / "a.db", sandbox.work());
    CHECK(look.integrity_check().empty());
    CHECK(look.foreign_key_check() ==
          std::vector<std::string>{"row 1 of 'c' refers to a row of 'p' that is not there"});
}

TEST_CASE("a backup is never put over something") {
    const Sandbox sandbox;
    make_orders(sandbox / "a.db", 10);
    make_orders(sandbox / "b.db", 20);
    CHECK(code_of([&] { backup_sqlite(sandbox / "a.db", sandbox / "b.db", sandbox.work()); }) ==
          ErrorCode::already_exists);
    CHECK(count(look_at_sqlite(sandbox / "b.db", sandbox.work())) == 20);
}
