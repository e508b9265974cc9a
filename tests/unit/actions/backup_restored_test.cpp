#include "actions/backup_restored.h"

#include <catch2/catch.hpp>

#include "actions/backup_family.h"
#include "support/test_server.h"
#include "unit/actions/deed_world.h"
#include "world/redis.h"
#include "world/scratch.h"
#include "world/sqlite.h"

using namespace lifeboat;
using namespace lifeboat::test;
namespace fs = std::filesystem;

namespace {

// A site whose sets are made once all resources are known.
struct Harbour {
    ScratchFolder folder;
    GivenSecrets secrets;
    SystemClock clock;
    std::map<std::string, Resource> resources;
    std::map<std::string, BackupSet> sets;
    std::unique_ptr<Resources> site;
    std::unique_ptr<ActionWorld> world;
    ActionList actions;
    int steps = 0;

    Harbour() {
        for (const char* store : {"nas", "offsite"}) {
            fs::create_directory(folder / store);
            add(store, "local", {{"path", (folder / store).string()}});
        }
    }
    void add(const std::string& name, const std::string& type, const Json& fields) {
        resources[name] = Resource{.name = name, .type = type, .fields = fields};
    }
    void set_of(std::vector<std::string> of, Json checks = Json::array(), const std::string& format = {}) {
        sets["all"] = BackupSet{.name = "all", .of = std::move(of), .to = {"nas", "offsite"}};
        sets["all"].checks = std::move(checks);
        sets["all"].format = format;
        site = std::make_unique<Resources>(resources, sets, std::nullopt);
        world = std::make_unique<ActionWorld>(ActionWorld{
            .resources = *site, .secrets = secrets, .clock = clock, .program = {}, .state = folder / "state"});
        actions = backup_actions(*world);
    }
    Context context(Json arguments) {
        Context context;
        context.run_id = "2026-02-01T02-00-00-recover-1a2b";
        context.step_id = "step" + std::to_string(++steps);
        arguments["backup"] = {{"backup", "all"}};
        context.arguments = std::move(arguments);
        const fs::path workspace = folder / ("work-" + context.step_id);
        fs::create_directories(workspace);
        context.workspace = workspace;
        context.clock = &clock;
        return context;
    }
    Outputs act(const std::string& name, Json arguments = Json::object()) {
        Context here = context(std::move(arguments));
        const Action& action = action_named(actions, name);
        const Outputs outputs = action.run(action.prepare(here), here);
        CHECK(fs::is_empty(here.workspace.path()));
        return outputs;
    }
    Outputs verify(const std::string& level) { return act("backup.verify", {{"level", level}, {"required", false}}); }
    // Level as every machine sees it, from the notes beside the copy.
    Level noted(const std::string& store) {
        const Catalogue catalogue = read_catalogue("all", open_stores(*world, sets.at("all"), {store}));
        REQUIRE(catalogue.entries.size() == 1);
        return catalogue.entries.front().verified.level;
    }
    void make_shop() {
        SqliteDatabase database = SqliteDatabase::create(folder / "shop.db");
        database.execute("create table orders(id integer primary key, name text)");
        database.execute("insert into orders(name) values ('a'), ('b')");
        add("shop", "sqlite", {{"path", (folder / "shop.db").string()}});
    }
};

Json check_of(const std::string& on, const std::string& query, const std::string& expect) {
    return {{"on", on}, {"name", "of " + on}, {"query", query}, {"expect", expect}};
}

}  // namespace

TEST_CASE("a database file and a folder are verified up to 'queried', and the notes beside each copy say so") {
    Harbour harbour;
    harbour.make_shop();
    write_text(harbour.folder / "config/app.conf", "port = 80\n");
    write_text(harbour.folder / "config/sub/more.conf", "x\n");
    fs::create_symlink("/etc/hosts", harbour.folder / "config/hosts");
    harbour.add("config", "files", {{"path", (harbour.folder / "config").string()}});
    harbour.set_of({"shop", "config"}, Json::array({check_of("shop", "select count(*) from orders", "value == 2")}));
    harbour.act("backup.create");
    const Outputs restored = harbour.verify("restored");
    CHECK(restored.at("problems") == Json::array());
    CHECK(restored.at("level") == "restored");
    CHECK(harbour.noted("offsite") == Level::restored);
    const Outputs queried = harbour.verify("queried");
    CHECK(queried.at("problems") == Json::array());
    CHECK(queried.at("level") == "queried");
    for (const char* store : {"nas", "offsite"})
        CHECK(harbour.noted(store) == Level::queried);
}

TEST_CASE("a check that fails on the restored copy leaves the level at 'restored', and names the check") {
    Harbour harbour;
    harbour.make_shop();
    harbour.set_of({"shop"}, Json::array({check_of("shop", "select count(*) from orders", "value > 100")}));
    harbour.act("backup.create");
    const Outputs verified = harbour.verify("queried");
    CHECK(verified.at("level") == "restored");
    REQUIRE(verified.at("problems").size() == 2);
    CHECK(verified.at("problems")[0] == Json{{"store", "nas"},
                                             {"object", "shop"},
                                             {"why", "the check 'of shop' fails: expected value > 100, value is 2"}});
}

TEST_CASE("a set without checks asked for 'queried' is refused with a hint") {
    Harbour harbour;
    harbour.make_shop();
    harbour.set_of({"shop"});
    harbour.act("backup.create");
    Context here = harbour.context({{"level", "queried"}});
    const Action& verify = action_named(harbour.actions, "backup.verify");
    try {
        verify.run(verify.prepare(here), here);
        FAIL("nothing was thrown");
    } catch (const Error& error) {
        CHECK(error.code == ErrorCode::refused);
        CHECK(error.hint == "Give the set 'checks' in the site, or verify it up to 'restored'.");
    }
}

TEST_CASE("a restored copy that has not what its manifest says is found out, table by table") {
    Harbour harbour;
    harbour.make_shop();
    harbour.set_of({"shop"});
    Manifest manifest{.id = "2026-02-01T02-00-00Z", .set = "all"};
    manifest.components.push_back({.name = "shop",
                                   .kind = ComponentKind::sqlite,
                                   .format = "database",
                                   .facts = {{"rows", {{"orders", 3}, {"customers", 1}}}}});
    const Context here = harbour.context(Json::object());
    const Verification found = restore_and_ask(*harbour.world, harbour.sets.at("all"), manifest,
                                               {{"shop", harbour.folder / "shop.db"}}, Level::restored, here);
    CHECK(found.level == Level::readable);
    REQUIRE(found.problems.size() == 2);
    CHECK(found.problems[0].why == "the table 'customers' is missing after a restore");
    CHECK(found.problems[1].why == "the table 'orders' has 2 rows after a restore, it had 3");
    CHECK(fs::is_empty(here.workspace.path()));
}

TEST_CASE("a snapshot that no Redis server loads, or that holds fewer keys than it should, is found out") {
    if (const std::string missing = TestServer::missing("redis.sh"); !missing.empty()) {
        WARN("SKIPPED: not installed: " + missing);
        return;
    }
    Harbour harbour;
    harbour.add("cache", "redis", {{"host", "127.0.0.1"}});
    harbour.set_of({"cache"});
    Manifest manifest{.id = "2026-02-01T02-00-00Z", .set = "all"};
    manifest.components.push_back(
        {.name = "cache", .kind = ComponentKind::redis, .format = "rdb", .facts = {{"snapshot_keys", 7}}});
    const fs::path snapshot = harbour.folder / "a \"quoted\" place/cache.rdb";
    const auto found_in = [&](const std::string& bytes) {
        write_text(snapshot, bytes);
        const Context here = harbour.context(Json::object());
        const Verification found = restore_and_ask(*harbour.world, harbour.sets.at("all"), manifest,
                                                   {{"cache", snapshot}}, Level::restored, here);
        CHECK(found.level == Level::readable);
        REQUIRE(found.problems.size() == 1);
        return found.problems[0].why;
    };
    CHECK_THAT(
        found_in("REDIS0010 and no more"),
        Catch::Matchers::StartsWith("it cannot be restored: a Redis server does not load the snapshot 'cache.rdb': "));
    const std::string empty = std::string("REDIS0010\xFF") + std::string(8, '\0');
    CHECK(found_in(empty) == "there are 0 keys after a restore, the snapshot had 7");
}

TEST_CASE("a PostgreSQL dump is restored into a throw-away cluster, counted and asked, in every format") {
    const std::string format = GENERATE("custom", "directory", "plain");
    Harbour harbour;
    const fs::path cluster = harbour.folder / "pg";
    const ScratchPostgres server = start_scratch_postgres({.folder = cluster, .nonce = "verify-test"});
    struct Guard {
        fs::path folder;
        ~Guard() { destroy_scratch_postgres(folder); }
    } const guard{cluster};
    PostgresConnection(server.target()).execute("create role keeper");
    PostgresConnection(server.target()).execute("create database shop");
    PostgresConnection shop(server.target("shop"));
    shop.execute(
        "create table orders(id serial primary key, name text); insert into orders(name) select 'o' || g from "
        "generate_series(1, 500) g; alter table orders owner to keeper; create schema \"Odd.Name\"; create table "
        "\"Odd.Name\".\"t\"\"x\"(a int); alter table orders enable row level security; create policy p on orders to "
        "keeper using (true)");
    harbour.add("shop", "postgres",
                {{"host", server.host}, {"port", server.port}, {"database", "shop"}, {"user", server.user}});
    harbour.set_of({"shop"},
                   Json::array({check_of("shop", "select count(*) as n from orders", "row.n == 500"),
                                check_of("shop", "select current_database()", "value ~= 'shop'")}),
                   format);
    harbour.act("backup.create");
    const Outputs verified = harbour.verify("queried");
    CHECK(verified.at("problems") == Json::array());
    CHECK(verified.at("level") == "queried");
}

TEST_CASE("a Redis snapshot is loaded by a throw-away server and asked; keys that expired meanwhile are not missing") {
    if (const std::string missing = TestServer::missing("redis.sh"); !missing.empty()) {
        WARN("SKIPPED: not installed: " + missing);
        return;
    }
    Harbour harbour;
    const TestServer server("redis.sh", {{"REDIS_PASSWORD", "s3cret"}});
    {
        RedisConnection redis(
            {.host = "127.0.0.1", .port = std::stoi(server["REDIS_PORT"]), .password = Secret("s3cret")}, {});
        redis.command({"MSET", "a", "1", "b", "2"});
        redis.command({"SET", "short", "x", "PX", "1"});
        redis.command({"SELECT", "15"});
        redis.command({"RPUSH", "queue", "x", "y"});
    }
    harbour.secrets.known["redis"] = "s3cret";
    harbour.add(
        "cache", "redis",
        {{"host", "127.0.0.1"}, {"port", std::stoi(server["REDIS_PORT"])}, {"password", {{"secret", "redis"}}}});
    harbour.set_of({"cache"}, Json::array({check_of("cache", "GET a", "value == '1'"),
                                           check_of("cache", "DBSIZE", "value == 2")}));
    harbour.act("backup.create");
    const Outputs verified = harbour.verify("queried");
    CHECK(verified.at("problems") == Json::array());
    CHECK(verified.at("level") == "queried");

    const TargetIdentity identity = identify_redis(*harbour.world, harbour.site->named("cache"));
    CHECK(identity.measured.value_or("").starts_with("redis run "));
    CHECK(identity.declared.ends_with(":" + server["REDIS_PORT"]));
}
