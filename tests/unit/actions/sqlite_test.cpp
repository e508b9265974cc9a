#include "world/sqlite.h"

#include <catch2/catch.hpp>
#include <fstream>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actions/files_family.h"
#include "actions/sqlite_swap.h"
#include "unit/actions/deed.h"
#include "world/files.h"
#include "world/tree.h"

using namespace lifeboat;
using namespace lifeboat::test;
namespace fs = std::filesystem;
using Answer = ProbeResult::Answer;

namespace {

void make_orders(const fs::path& path, int rows, const std::string& journal = "delete") {
    auto database = SqliteDatabase::create(path);
    database.execute("pragma journal_mode = " + journal);
    database.execute("create table orders (id integer primary key, what text); create index what on orders (what)");
    database.execute("with recursive n(i) as (select 1 union all select i + 1 from n where i < " +
                     std::to_string(rows) + ") insert into orders select i, 'order ' || i from n");
}

// In a child process, which then dies without closing anything: what was not checkpointed stays in the companions.
void write_and_crash(const fs::path& path, const std::string& sql) {
    const pid_t child = ::fork();
    if (child == 0) {
        try {
            auto database = SqliteDatabase::open(path);
            database.execute(sql);
            ::kill(::getpid(), SIGKILL);
        } catch (...) {
        }
        ::_exit(1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
}

// A live database of 2000 rows in its main file and 3000 more in its -wal, and a backup of 1000 rows.
struct Shop {
    explicit Shop(std::optional<DrillMark> drill = {})
        : root(fs::canonical(fs::temp_directory_path()) /
               ("lifeboat-db-" + std::to_string(::getpid()) + "-" + std::to_string(++count()))),
          world(
              {{"db",
                {.name = "db", .type = "sqlite", .fields = {{"path", (root / "data/shop.db").string()}}, .span = {}}}},
              std::move(drill)),
          files(files_actions(world.world())),
          list(sqlite_actions(world.world())) {
        remove_tree(root);
        fs::create_directories(root / "data");
        make_orders(live(), 2000, "wal");
        write_and_crash(live(),
                        "pragma wal_autocheckpoint = 0; with recursive n(i) as (select 2001 union all select i + 1 "
                        "from n where i < 5000) "
                        "insert into orders select i, 'late ' || i from n");
        make_orders(backup(), 1000);
        before = list_tree(root / "data");
        REQUIRE(before.contains("shop.db-wal"));
        REQUIRE(before.contains("shop.db-shm"));
    }
    ~Shop() { remove_tree(root); }
    Shop(const Shop&) = delete;
    Shop& operator=(const Shop&) = delete;

    static int& count() {
        static int made = 0;
        return made;
    }
    fs::path live() const { return root / "data/shop.db"; }
    fs::path kept() const { return root / "data/shop.db.lifeboat-run-1.old"; }
    fs::path backup() const { return root / "backup.db"; }
    Json restoring() const { return {{"from", backup().string()}, {"to", {{"of", "db"}}}}; }
    Json rows(const fs::path& path) const {
        const auto look = look_at_sqlite(path, root / "looks");
        CHECK(look.integrity_check().empty());
        return look.value("select count(*) from orders");
    }
    std::vector<std::string> names() const {
        std::vector<std::string> all;
        for (const auto& [name, entry] : list_tree(root / "data")) {
            if (name != ".") all.push_back(name);
        }
        return all;
    }

    fs::path root;
    DeedWorld world;
    ActionList files;
    ActionList list;
    TreeListing before;
};

const std::vector<std::string> restored_names{"shop.db", "shop.db.lifeboat-run-1.old", "shop.db.lifeboat-run-1.old-shm",
                                              "shop.db.lifeboat-run-1.old-wal"};

}  // namespace

TEST_CASE("R27 a leftover -wal does not undo an SQLite restore, and the old database is kept whole") {
    Shop shop;
    Deed deed{shop.world, shop.list, "sqlite.restore", shop.restoring()};
    deed.prepare();
    CHECK(deed.probe().answer == Answer::not_done);
    CHECK(list_tree(shop.root / "data") == shop.before);
    const Outputs outputs = deed.run();
    CHECK(shop.names() == restored_names);
    CHECK(shop.rows(shop.live()) == 1000);
    CHECK(shop.rows(shop.kept()) == 5000);
    CHECK(outputs.at("path") == shop.live().string());
    CHECK(outputs.at("digest") == hash_file(shop.backup()).sha256);
    CHECK(outputs.at("kept") == Json::array({"file:" + shop.kept().string(), "file:" + shop.kept().string() + "-wal",
                                             "file:" + shop.kept().string() + "-shm"}));
    const ProbeResult probed = deed.probe();
    CHECK(probed.answer == Answer::done);
    CHECK(probed.outputs == outputs);

    CHECK(deed.undo() == "put back '" + shop.live().string() + "'");
    CHECK(list_tree(shop.root / "data") == shop.before);
    CHECK(shop.rows(shop.live()) == 5000);
    CHECK(deed.undo().empty());
}

TEST_CASE("R27 a source with a live -wal is refused") {
    Shop shop;
    write_and_crash(shop.backup(), "pragma journal_mode = wal; delete from orders where id > 10");
    REQUIRE(fs::file_size(shop.backup().string() + "-wal") > 0);
    Deed deed{shop.world, shop.list, "sqlite.restore", shop.restoring()};
    CHECK(code_of([&] { deed.prepare_and_run(); }) == ErrorCode::refused);
    CHECK(list_tree(shop.root / "data") == shop.before);
}

TEST_CASE(
    "R1 an SQLite restore that is killed after any of its moves is told by the probe, goes on, and can be undone") {
    const int killed_after = GENERATE(-1, 0, 1, 2, 3, 4);
    const bool goes_on = GENERATE(true, false);
    CAPTURE(killed_after, goes_on);
    Shop shop;
    Deed deed{shop.world, shop.list, "sqlite.restore", shop.restoring()};
    deed.prepare();
    const FilesSwap swap = files_swap_from_json(deed.intent.at("swap"));
    if (killed_after < 0) {
        write_text(swap.staged, "half of i");  // while it was being staged
    } else {
        const HashedFile staged = copy_and_hash(shop.backup(), swap.staged, {});
        deed.notes["companions"] = to_json(companions_of(swap.live));
        deed.notes["fresh"] = {{"identity", to_json(*identity_of(swap.staged))},
                               {"digest", staged.sha256},
                               {"bytes", staged.size},
                               {"swapped_at", "2026-01-01T00:00:00.000000Z"}};
        for (int i = 0; i < killed_after; ++i)
            CHECK(step_database_forward(swap));
        CHECK(step_database_forward(swap) == (killed_after < 4));  // one more, then as if that one were the kill
    }
    const int moves = killed_after < 0 ? 0 : std::min(killed_after + 1, 4);
    CHECK(deed.probe().answer == (moves == 4 ? Answer::done : Answer::not_done));
    // Whatever opens now sees the old state or the new one.
    if (moves == 0) CHECK(shop.rows(shop.live()) == 5000);
    if (moves > 0 && moves < 4) CHECK_FALSE(identity_of(shop.live()));
    if (moves == 4) CHECK(shop.rows(shop.live()) == 1000);
    if (goes_on) {
        const Outputs outputs = deed.run();
        CHECK(outputs.at("digest") == hash_file(shop.backup()).sha256);
        CHECK(shop.names() == restored_names);
        CHECK(shop.rows(shop.live()) == 1000);
        CHECK(deed.probe().answer == Answer::done);
    }
    deed.undo();
    CHECK(list_tree(shop.root / "data") == shop.before);
    CHECK(deed.undo().empty());
}

TEST_CASE(
    "an undo of an SQLite restore that is killed after any of its moves can be done again, and so can the restore") {
    const int killed_after = GENERATE(0, 1, 2, 3, 4, 5, 6);
    const bool restore_again = GENERATE(true, false);
    CAPTURE(killed_after, restore_again);
    Shop shop;
    Deed deed{shop.world, shop.list, "sqlite.restore", shop.restoring()};
    deed.prepare_and_run();
    // Somebody used the restored database before it was decided to go back.
    write_and_crash(shop.live(), "pragma journal_mode = wal; delete from orders where id > 10");
    REQUIRE(identity_of(shop.live().string() + "-wal"));
    const FilesSwap swap = files_swap_from_json(deed.intent.at("swap"));
    const FileIdentity fresh = file_identity_from_json(deed.notes.at("fresh").at("identity"));
    const Companions companions = companions_from_json(deed.notes.at("companions"));
    for (int i = 0; i < killed_after; ++i)
        CHECK(step_database_back(swap, fresh, companions));
    if (restore_again && killed_after > 0) {
        deed.run();
        CHECK(shop.rows(shop.live()) == 1000);
    }
    deed.undo();
    CHECK(list_tree(shop.root / "data") == shop.before);
    CHECK(shop.rows(shop.live()) == 5000);
}

TEST_CASE("a database that another process has open is not replaced, and not put back under it") {
    Shop shop;
    Deed deed{shop.world, shop.list, "sqlite.restore", shop.restoring()};
    deed.prepare();
    const auto opened_by_child = [&](const std::function<void(pid_t)>& act) {
        int ready[2];
        REQUIRE(::pipe(ready) == 0);
        const pid_t child = ::fork();
        if (child == 0) {
            std::ifstream file{shop.live()};
            (void)!::write(ready[1], "x", 1);
            ::pause();
            ::_exit(0);
        }
        char byte = 0;
        REQUIRE(::read(ready[0], &byte, 1) == 1);
        act(child);
        REQUIRE(::kill(child, SIGKILL) == 0);
        REQUIRE(::waitpid(child, nullptr, 0) == child);
        ::close(ready[0]);
        ::close(ready[1]);
    };
    opened_by_child([&](pid_t child) {
        try {
            deed.run();
            FAIL("it was replaced");
        } catch (const Error& error) {
            CHECK(error.code == ErrorCode::busy);
            CHECK(error.details == Json{{"processes", {child}}});
        }
        CHECK(list_tree(shop.root / "data") == shop.before);
        const Survey survey = deed.action.survey(deed.context);
        CHECK(std::any_of(survey.findings.begin(), survey.findings.end(),
                          [](const Finding& finding) { return finding.kind == FindingKind::warning; }));
    });
    deed.run();
    opened_by_child([&](pid_t) { CHECK(code_of([&] { deed.undo(); }) == ErrorCode::busy); });
    CHECK(shop.rows(shop.live()) == 1000);
    deed.undo();
    CHECK(list_tree(shop.root / "data") == shop.before);
}

TEST_CASE("a damaged, empty or wrong source is refused and the live database is untouched") {
    Shop shop;
    Json arguments = shop.restoring();
    ErrorCode wanted = ErrorCode::corrupt;
    const auto size = fs::file_size(shop.backup());
    SECTION("cut") {
        fs::resize_file(shop.backup(), size / 2);
    }
    SECTION("empty") {
        fs::resize_file(shop.backup(), 0);
    }
    SECTION("no database") {
        write_text(shop.backup(), std::string(9000, 'n'));
    }
    SECTION("a page overwritten") {
        std::fstream file{shop.backup(), std::ios::in | std::ios::out | std::ios::binary};
        file.seekp(static_cast<std::streamoff>(size / 2));
        file << std::string(5000, 'Z');
    }
    SECTION("another file than the manifest says") {
        arguments["sha256"] = std::string(64, '0');
    }
    SECTION("the live database itself") {
        arguments["from"] = shop.live().string();
        wanted = ErrorCode::refused;
    }
    SECTION("nothing") {
        arguments["from"] = (shop.root / "missing.db").string();
        wanted = ErrorCode::not_found;
    }
    Deed deed{shop.world, shop.list, "sqlite.restore", arguments};
    CHECK(code_of([&] { deed.prepare_and_run(); }) == wanted);
    CHECK(list_tree(shop.root / "data") == shop.before);
}

TEST_CASE("a database that is missing is made, and a -wal that it left cannot reach the new one") {
    Shop shop;
    fs::remove(shop.live());
    const TreeListing before = list_tree(shop.root / "data");
    Deed deed{shop.world, shop.list, "sqlite.restore", shop.restoring()};
    const Outputs outputs = deed.prepare_and_run();
    CHECK(shop.rows(shop.live()) == 1000);
    CHECK(outputs.at("kept") ==
          Json::array({"file:" + shop.kept().string() + "-wal", "file:" + shop.kept().string() + "-shm"}));
    CHECK(deed.probe().answer == Answer::done);
    deed.undo();
    CHECK(list_tree(shop.root / "data") == before);
}

TEST_CASE("R4 a database that somebody replaced since the step was prepared is left alone") {
    Shop shop;
    Deed deed{shop.world, shop.list, "sqlite.restore", shop.restoring()};
    deed.prepare();
    fs::rename(shop.live(), shop.root / "elsewhere.db");
    fs::copy_file(shop.backup(), shop.live());
    const TreeListing theirs = list_tree(shop.root / "data");
    CHECK(code_of([&] { deed.run(); }) == ErrorCode::moved);
    CHECK(deed.probe().answer == Answer::cannot_tell);
    CHECK(code_of([&] { deed.undo(); }) == ErrorCode::moved);
    CHECK(list_tree(shop.root / "data") == theirs);
}

TEST_CASE("R28 a restored database belongs to whom the old one belonged") {
    Shop shop;
    fs::permissions(shop.live(), fs::perms{0660});
    if (::geteuid() == 0) REQUIRE(::chown(shop.live().c_str(), 1234, 4321) == 0);
    Deed{shop.world, shop.list, "sqlite.restore", shop.restoring()}.prepare_and_run();
    struct stat status {};
    REQUIRE(::stat(shop.live().c_str(), &status) == 0);
    CHECK((status.st_mode & 07777u) == 0660u);
    if (::geteuid() == 0) CHECK((status.st_uid == 1234 && status.st_gid == 4321));
}

TEST_CASE("a database is restored out of a fetched backup of several resources") {
    Shop shop;
    fs::create_directories(shop.root / "fetched/db");
    fs::copy_file(shop.backup(), shop.root / "fetched/db/db.db");
    Json arguments = shop.restoring();
    arguments["from"] = (shop.root / "fetched").string();
    Deed{shop.world, shop.list, "sqlite.restore", arguments}.prepare_and_run();
    CHECK(shop.rows(shop.live()) == 1000);
}

TEST_CASE("a sound database is told as sound and nothing of it changes") {
    Shop shop;
    const std::string level = GENERATE("quick", "full");
    Deed deed{shop.world,
              shop.list,
              "sqlite.check",
              {{"database", {{"of", "db"}}}, {"level", level}, {"expect_tables", {"orders"}}}};
    const Outputs outputs = deed.prepare_and_run();
    CHECK(outputs == Json{{"ok", true},
                          {"exists", true},
                          {"problems", Json::array()},
                          {"size", fs::file_size(shop.live())},
                          {"tables", {"orders"}},
                          {"looked_at", "as a copy"}});
    CHECK(list_tree(shop.root / "data") == shop.before);
    CHECK((!fs::exists(shop.world.world().state / "looks") || fs::is_empty(shop.world.world().state / "looks")));
}

TEST_CASE("R27 damage is reported, or fails the check, and either way nothing is written") {
    Shop shop;
    std::string problem;
    ErrorCode wanted = ErrorCode::corrupt;
    SECTION("a page overwritten") {
        for (const auto& suffix : sqlite_companions())
            remove_file(shop.live().string() + suffix);
        std::fstream file{shop.live(), std::ios::in | std::ios::out | std::ios::binary};
        file.seekp(static_cast<std::streamoff>(fs::file_size(shop.live()) / 2));
        file << std::string(5000, 'Z');
    }
    SECTION("a table missing") {
        problem = "the table 'customers' is missing";
    }
    SECTION("the file missing") {
        for (const auto& suffix : {"", "-wal", "-shm"})
            remove_file(shop.live().string() + suffix);
        problem = "the file does not exist";
        wanted = ErrorCode::not_found;
    }
    const TreeListing before = list_tree(shop.root / "data");
    Json arguments{{"database", {{"of", "db"}}}, {"expect_tables", {"orders", "customers"}}};
    Deed strict{shop.world, shop.list, "sqlite.check", arguments};
    CHECK(code_of([&] { strict.prepare_and_run(); }) == wanted);
    arguments["report"] = true;
    Deed reporting{shop.world, shop.list, "sqlite.check", arguments};
    const Outputs outputs = reporting.prepare_and_run();
    CHECK(outputs.at("ok") == false);
    REQUIRE_FALSE(outputs.at("problems").empty());
    if (!problem.empty()) CHECK(outputs.at("problems") == Json::array({problem}));
    CHECK(list_tree(shop.root / "data") == before);
}

TEST_CASE("what is large is not looked at before the run") {
    Shop shop;
    fs::resize_file(shop.live(), 300u << 20);
    Deed deed{shop.world, shop.list, "sqlite.check", {{"database", {{"of", "db"}}}, {"report", true}}};
    deed.context.run_id.clear();
    CHECK(code_of([&] { deed.prepare_and_run(); }) == ErrorCode::limit_exceeded);
}

TEST_CASE("R3 a snapshot of a database is consistent, and exact where it is too damaged for that") {
    Shop shop;
    Deed deed{shop.world, shop.files, "files.snapshot", {{"of", {{"of", "db"}}}}};
    const fs::path copy = shop.root / "data/.lifeboat-run-1-step.snapshot";
    SECTION("sound") {
        const Outputs outputs = deed.prepare_and_run();
        CHECK(outputs.at("exact") == false);
        CHECK(outputs.at("digest") == hash_file(copy).sha256);
        CHECK(shop.rows(copy) == 5000);
    }
    SECTION("no database any more") {
        write_text(shop.live(), std::string(9000, 'n'));
        write_text(shop.live().string() + "-wal", std::string(5000, 'w'));  // a sound one would still hold the database
        shop.before = list_tree(shop.root / "data");
        const Outputs outputs = deed.prepare_and_run();
        CHECK(outputs.at("exact") == true);
        CHECK(read_text(copy / "shop.db") == std::string(9000, 'n'));
        CHECK(hash_file(copy / "shop.db-wal").sha256 == shop.before.at("shop.db-wal").sha256);
    }
    deed.undo();
    CHECK(list_tree(shop.root / "data") == shop.before);
}
