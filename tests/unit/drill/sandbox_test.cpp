#include "drill/sandbox.h"

#include <catch2/catch.hpp>

#include "actions/family.h"
#include "drill/isolation.h"
#include "drill/leftovers.h"
#include "drill/snapshot.h"
#include "runbook/load.h"
#include "support/scratch_folder.h"
#include "world/postgres_programs.h"
#include "world/sqlite.h"

namespace lifeboat {

namespace {

namespace fs = std::filesystem;

const auto quiet = [](const std::string&) {};

// A drill file with its fixtures in a folder, and the sandbox made of it.
struct Bench {
    test::ScratchFolder scratch;
    Drill drill;
    Runbook runbook;

    explicit Bench(const std::string& sandbox) {
        test::write_text(scratch / "drills/fixtures/shop.sql",
                         "create table orders (id integer primary key, note text);\n"
                         "insert into orders values (1, 'first');\n");
        test::write_text(scratch / "drills/fixtures/etc/shop.conf", "workers = 4\n");
        Loaded<Drill> loaded = load_drill("lifeboat: drill/v1\nrunbook: r.yaml\nsandbox:\n" + sandbox +
                                              "expect: [{that: \"run.verdict == 'recovered'\"}]\n",
                                          scratch / "drills/d.yaml", all_specs(), nullptr);
        INFO(loaded.diagnostics.render());
        REQUIRE(loaded.value);
        drill = std::move(*loaded.value);
        runbook.name = "shop";
        for (const auto& [name, resource] : drill.sandbox)
            runbook.requires_.push_back({.name = name, .kind = resource.type, .span = {}});
    }
    fs::path parent() const { return scratch / "tmp"; }
};

std::int64_t orders_in(const fs::path& database) {
    return SqliteDatabase::open(database).value("select count(*) from orders").get<std::int64_t>();
}

Site site_of(const DrillSandbox& sandbox) {
    Loaded<Site> loaded = load_site(test::read_text(sandbox.site_file()), sandbox.site_file().string(), all_specs());
    INFO(loaded.diagnostics.render());
    REQUIRE(loaded.value);
    return *loaded.value;
}

bool postgres_is_here() {
    try {
        find_postgres_program("postgres");
        return true;
    } catch (const Error&) {
        return false;
    }
}

}  // namespace

TEST_CASE("R39 a sandbox is made of its fixtures, binds every name, and is isolated") {
    Bench bench(
        "  db: {type: sqlite, load: fixtures/shop.sql}\n"
        "  config: {type: files, load: fixtures/etc}\n"
        "  vault: {type: local}\n"
        "  app: {type: command, start: [\"{drill}/app\", \"{port}\", \"${{ resources.db.path }}\"], health_url: "
        "\"http://127.0.0.1:{port}/\"}\n");
    bench.runbook.requires_.push_back({.name = "oncall", .kind = "notifier", .span = {}});
    DrillSandbox sandbox(bench.drill, bench.runbook, bench.parent());
    sandbox.make({}, quiet);
    const Site site = site_of(sandbox);
    const std::string database = sandbox.folder_of("db") / "db.db";
    CHECK(site.resources.at("db").fields == Json{{"path", database}});
    CHECK(orders_in(database) == 1);
    CHECK(test::read_text(sandbox.folder_of("config") / "config" / "shop.conf") == "workers = 4\n");
    const Json& app = site.resources.at("app").fields;
    CHECK(app["start"][0] == (bench.scratch / "drills/app").string());
    CHECK(app["start"][2] == database);
    CHECK(app["health_url"] == "http://127.0.0.1:" + app["start"][1].get<std::string>() + "/");
    CHECK(app["pid_file"] == (sandbox.folder_of("app") / "app.pid").string());
    CHECK(site.resources.at("oncall").type == "outbox");
    CHECK(site.bindings.at("shop").at("oncall") == "oncall");
    REQUIRE(site.drill);
    CHECK(site.drill->nonces == sandbox.nonces());
    CHECK(doubts_about_definitions({.sandbox = site,
                                    .folder = sandbox.folder(),
                                    .drill = bench.drill,
                                    .runbook = bench.runbook,
                                    .specs = all_specs()})
              .empty());
    CHECK(doubts_about_nonces(sandbox).empty());

    test::write_text(sandbox.folder_of("db") / "nonce", "another\n");
    CHECK(doubts_about_nonces(sandbox) ==
          std::vector<std::string>{"'db' shows 'another' instead of the nonce that it was made with"});
    CHECK(sandbox.remove().empty());
    CHECK_FALSE(fs::exists(sandbox.folder()));
}

TEST_CASE("R39 a resource that would not be made in its own folder is a doubt before anything is made") {
    const auto doubts = [](const std::string& path) {
        Bench bench("  db: {type: sqlite, path: \"" + path + "\"}\n  vault: {type: local}\n");
        const DrillSandbox sandbox(bench.drill, bench.runbook, bench.parent());
        CHECK_FALSE(fs::exists(sandbox.folder_of("db")));
        return doubts_about_places(sandbox, all_specs()).size();
    };
    CHECK(doubts("deep/shop.db") == 0);
    CHECK(doubts("deep/../shop.db") == 0);
    CHECK(doubts("../vault/store/shop.db") == 1);
    CHECK(doubts("../../../../shop.db") == 1);
    CHECK(doubts("/var/lib/shop.db") == 1);
}

TEST_CASE("R39 the service of somebody else is not ended with a sandbox") {
    Bench bench("  app: {type: command, start: [sleep, \"1\"], pid_file: /run/shop.pid}\n");
    DrillSandbox sandbox(bench.drill, bench.runbook, bench.parent());
    const fs::path pid_file = bench.scratch / "shop.pid";
    test::write_text(pid_file, "1\n1\nanother boot\n");
    Json note = parse_json(test::read_text(sandbox.folder() / "drill.json"), "note");
    CHECK(note["services"] == Json{"/run/shop.pid"});
    note["services"] = {pid_file.string()};
    test::write_text(sandbox.folder() / "drill.json", to_text(note));
    CHECK(sandbox.remove().empty());
    CHECK(fs::exists(pid_file));
}

TEST_CASE("a name that the runbook requires and the sandbox does not have is refused") {
    Bench bench("  db: {type: sqlite}\n");
    bench.runbook.requires_.push_back({.name = "app", .kind = "service", .span = {}});
    CHECK_THROWS_WITH(DrillSandbox(bench.drill, bench.runbook, bench.parent()),
                      Catch::Contains("requires 'app' (service)"));
    CHECK_FALSE(fs::exists(bench.parent()));
}

TEST_CASE("a snapshot brings back files, databases and state, and a condition shows what differs") {
    Bench bench(
        "  db: {type: sqlite, load: fixtures/shop.sql}\n"
        "  config: {type: files, load: fixtures/etc}\n");
    DrillSandbox sandbox(bench.drill, bench.runbook, bench.parent());
    sandbox.make({}, quiet);
    test::write_text(sandbox.state() / "runs" / "a" / "plan.json", "{}");
    const SandboxSnapshot snapshot(sandbox, {});
    const Json before = condition_of(sandbox);

    const fs::path config = sandbox.folder_of("config") / "config";
    SqliteDatabase::open(sandbox.folder_of("db") / "db.db").execute("delete from orders");
    fs::rename(config / "shop.conf", config / "shop.conf.old");
    test::write_text(sandbox.state() / "runs" / "b" / "plan.json", "{}");
    std::vector<std::string> changed;
    for (const std::string& change : changes_between(before, condition_of(sandbox)))
        changed.push_back(change.substr(0, change.find(' ', change.find("': '") + 5)));
    CHECK(changed == std::vector<std::string>{"'config': 'config/shop.conf'", "'config': 'config/shop.conf.old'",
                                              "'db': 'db.db'"});

    snapshot.restore();
    CHECK(changes_between(before, condition_of(sandbox)) == std::vector<std::string>{});
    CHECK(orders_in(sandbox.folder_of("db") / "db.db") == 1);
    CHECK(fs::exists(sandbox.state() / "runs" / "a"));
    CHECK_FALSE(fs::exists(sandbox.state() / "runs" / "b"));
}

TEST_CASE("R39 a sandbox's server shows its nonce, is put back by a snapshot, and goes away") {
    if (!postgres_is_here()) {
        WARN("SKIPPED: PostgreSQL is not installed");
        return;
    }
    Bench bench("  db: {type: postgres, database: shop, load: fixtures/shop.sql}\n");
    DrillSandbox sandbox(bench.drill, bench.runbook, bench.parent());
    sandbox.make({}, quiet);
    CHECK(doubts_about_nonces(sandbox).empty());
    const Site site = site_of(sandbox);
    CHECK(site.resources.at("db").fields["database"] == "shop");
    CHECK(site.resources.at("db").fields["password"] == Json{{"secret", "password_1"}});

    const SandboxSnapshot snapshot(sandbox, {});
    const Json before = condition_of(sandbox);
    {
        PostgresConnection connection(sandbox.postgres("db", "shop"));
        CHECK(connection.value("select note from orders") == "first");
        connection.execute("truncate orders; alter database shop connection limit 3");
    }
    const std::vector<std::string> changes = changes_between(before, condition_of(sandbox));
    REQUIRE(changes.size() == 1);
    CHECK(changes.front().find("'db': 'shop' was ") == 0);
    snapshot.restore();
    CHECK(changes_between(before, condition_of(sandbox)).empty());
    CHECK(PostgresConnection(sandbox.postgres("db", "shop")).value("select count(*) from orders") == "1");
    CHECK(sandbox.remove().empty());
    CHECK_FALSE(fs::exists(sandbox.folder()));
}

TEST_CASE("leftovers are the sandboxes whose runner is gone, and kept ones only when asked") {
    Bench bench("  db: {type: sqlite}\n");
    DrillSandbox sandbox(bench.drill, bench.runbook, bench.parent());
    sandbox.make({}, quiet);
    CHECK(remove_leftovers(bench.parent(), true).removed.empty());  // its runner is this process

    const auto end_runner = [&](bool kept) {
        Json note = parse_json(test::read_text(sandbox.folder() / "drill.json"), "note");
        note["runner"]["start_ticks"] = 1;
        note["kept"] = kept;
        test::write_text(sandbox.folder() / "drill.json", to_text(note));
    };
    end_runner(true);
    CHECK(remove_leftovers(bench.parent(), false).removed.empty());
    end_runner(false);
    fs::create_directories(bench.parent() / "lifeboat-drill-of-somebody");
    const Leftovers found = remove_leftovers(bench.parent(), false);
    CHECK(found.removed == std::vector<std::string>{sandbox.folder().string()});
    CHECK(found.left.empty());
    CHECK_FALSE(fs::exists(sandbox.folder()));
    CHECK(fs::exists(bench.parent() / "lifeboat-drill-of-somebody"));
}

}  // namespace lifeboat
