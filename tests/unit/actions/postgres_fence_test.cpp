#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "actions/postgres_connection.h"
#include "actions/postgres_lock.h"
#include "unit/actions/postgres_world.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

const Json db = PostgresWorld::db;

ErrorCode code_of(const std::function<void()>& act) {
    try {
        act();
    } catch (const Error& error) {
        return error.code;
    }
    return ErrorCode::internal;  // nothing was thrown
}

}  // namespace

TEST_CASE("a fence keeps everybody out, superusers too, and its undo lets them in again") {
    PostgresWorld world;
    world.server().execute("ALTER DATABASE shop CONNECTION LIMIT 7");
    PostgresConnection user = world.inside();
    const Action& fence = world["postgres.fence"];
    Context context = world.context(fence, {{"database", db}});
    Notes notes;
    context.note = [&notes](std::string key, Json value) { notes[std::move(key)] = std::move(value); };
    const Intent intent = fence.prepare(context);
    CHECK(
        intent ==
        Json{{"database", "shop"}, {"oid", world.oid("shop")}, {"allows_connections", true}, {"connection_limit", 7}});

    CHECK(fence.probe(intent, {}, context).answer == ProbeResult::Answer::not_done);
    const Outputs outputs = fence.run(intent, context);
    CHECK(outputs.at("sessions_ended") == 1);
    CHECK(outputs.at("existed") == true);
    CHECK(notes.at("writes_stopped_at") == outputs.at("writes_stopped_at"));
    CHECK(code_of([&] { user.query("select 1"); }) == ErrorCode::connection_lost);
    CHECK(code_of([&] { world.inside(); }) == ErrorCode::denied);

    const ProbeResult seen = fence.probe(intent, notes, context);
    CHECK(seen.answer == ProbeResult::Answer::done);
    CHECK(seen.outputs.at("writes_stopped_at") == outputs.at("writes_stopped_at"));
    // again, as a resume would after a kill
    CHECK(fence.run(intent, context).at("sessions_ended") == 0);

    CHECK(fence.undo(intent, notes, context) == "database 'shop' allows connections again");
    CHECK(world.inside().value("select 1") == "1");
    CHECK(fence.undo(intent, notes, context).empty());
}

TEST_CASE("a fence that was closed before stays closed, and its undo follows the database to its new name") {
    PostgresWorld world;
    const Action& fence = world["postgres.fence"];
    Context context = world.context(fence, {{"database", db}});
    world.server().execute("ALTER DATABASE shop ALLOW_CONNECTIONS false");
    const Intent closed = fence.prepare(context);
    fence.run(closed, context);
    CHECK(fence.undo(closed, {}, context).empty());
    CHECK(world.fenced("shop"));

    world.server().execute("ALTER DATABASE shop ALLOW_CONNECTIONS true");
    const Intent open = fence.prepare(context);
    fence.run(open, context);
    world.server().execute("ALTER DATABASE shop RENAME TO moved");
    fence.undo(open, {}, context);
    CHECK_FALSE(world.fenced("moved"));
    world.server().execute("DROP DATABASE moved");
    CHECK(code_of([&] { fence.undo(open, {}, context); }) == ErrorCode::not_found);
}

TEST_CASE("a fence on a missing database has nothing to do, and notices when the database moved") {
    PostgresWorld world;
    world.server().execute("DROP DATABASE shop");
    const Action& fence = world["postgres.fence"];
    Context context = world.context(fence, {{"database", db}});
    const Intent missing = fence.prepare(context);
    CHECK(fence.run(missing, context).at("existed") == false);
    CHECK(fence.probe(missing, {}, context).answer == ProbeResult::Answer::done);
    CHECK(fence.undo(missing, {}, context).empty());

    world.server().execute("CREATE DATABASE shop");
    CHECK(code_of([&] { fence.run(missing, context); }) == ErrorCode::moved);
    CHECK(fence.probe(missing, {}, context).answer == ProbeResult::Answer::cannot_tell);
    const Intent there = fence.prepare(context);
    world.server().execute("DROP DATABASE shop");
    CHECK(code_of([&] { fence.run(there, context); }) == ErrorCode::moved);
    world.server().execute("CREATE DATABASE shop");
    CHECK(code_of([&] { fence.run(there, context); }) == ErrorCode::moved);
    CHECK_FALSE(world.fenced("shop"));
}

TEST_CASE("R26 nobody gets in between fence and unfence, however hard a client knocks") {
    PostgresWorld world;
    world.inside().execute("create table visits(at timestamptz default clock_timestamp())");
    std::atomic<bool> over = false;
    std::atomic<int> knocks = 0;
    std::vector<std::jthread> clients;
    for (int i = 0; i < 3; ++i) {
        clients.emplace_back([&] {
            while (!over) {
                try {
                    PostgresConnection session(test_server().target("shop"));
                    for (int j = 0; j < 5; ++j)
                        session.execute("insert into visits default values");
                } catch (const Error&) {
                }
                ++knocks;
            }
        });
    }
    const auto wait_for_knocks = [&knocks](int more) {
        const int before = knocks;
        for (int round = 0; round < 10000 && knocks < before + more; ++round)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        REQUIRE(knocks >= before + more);
    };
    wait_for_knocks(5);
    const Action& fence = world["postgres.fence"];
    Context context = world.context(fence, {{"database", db}});
    const Intent intent = fence.prepare(context);
    const Outputs stopped = fence.run(intent, context);
    const std::uint32_t oid = world.oid("shop");
    PostgresConnection server = world.server();
    for (int round = 0; round < 20; ++round) {
        CHECK(count_sessions(server, oid) == 0);
        wait_for_knocks(3);
    }
    const Outputs reopened = world.run(world["postgres.unfence"], {{"database", db}});
    wait_for_knocks(5);
    over = true;
    clients.clear();

    PostgresConnection session = world.inside();
    const std::string between = "select count(*) from visits where at >= $1::timestamptz and at < $2::timestamptz";
    CHECK(session.value(between, {stopped.at("writes_stopped_at").get<std::string>(),
                                  reopened.at("reopened_at").get<std::string>()}) == "0");
    CHECK(session.value("select count(*) > 0 from visits where at < $1::timestamptz",
                        {stopped.at("writes_stopped_at").get<std::string>()}) == "t");
    CHECK(session.value("select count(*) > 0 from visits where at >= $1::timestamptz",
                        {reopened.at("reopened_at").get<std::string>()}) == "t");
}

TEST_CASE("unfence opens the database, its probe sees it, and its undo fences again") {
    PostgresWorld world;
    world.server().execute("ALTER DATABASE shop ALLOW_CONNECTIONS false");
    const Action& unfence = world["postgres.unfence"];
    CHECK(unfence.spec().reopens);
    Context context = world.context(unfence, {{"database", db}});
    const Intent intent = unfence.prepare(context);
    CHECK(unfence.probe(intent, {}, context).answer == ProbeResult::Answer::not_done);
    unfence.run(intent, context);
    CHECK(unfence.probe(intent, {}, context).answer == ProbeResult::Answer::done);
    PostgresConnection user = world.inside();
    CHECK(unfence.undo(intent, {}, context) == "database 'shop' allows no connections again");
    CHECK(world.fenced("shop"));
    CHECK(code_of([&] { user.query("select 1"); }) == ErrorCode::connection_lost);
    CHECK(unfence.undo(intent, {}, context).empty());

    world.server().execute("DROP DATABASE shop");
    CHECK(code_of([&] { unfence.prepare(context); }) == ErrorCode::not_found);
    CHECK(code_of([&] { unfence.run(intent, context); }) == ErrorCode::moved);
    CHECK(unfence.probe(intent, {}, context).answer == ProbeResult::Answer::cannot_tell);
}

TEST_CASE("drop takes derived databases, and the declared one only when its name is repeated") {
    PostgresWorld world;
    world.server().execute("CREATE DATABASE spare");
    const Action& drop = world["postgres.drop"];
    CHECK(world.error_of(drop, {{"database", db}}).code == ErrorCode::refused);
    CHECK(world.error_of(drop, {{"database", db}, {"confirm", "shop2"}}).code == ErrorCode::refused);

    const Json spare{{"of", "db"}, {"database", "spare"}};
    world.inside("spare").execute("create table t()");
    CHECK(world.error_of(drop, {{"database", spare}, {"only_if_empty", true}}).code == ErrorCode::refused);
    Context context = world.context(drop, {{"database", spare}});
    const Intent intent = drop.prepare(context);
    CHECK(drop.probe(intent, {}, context).answer == ProbeResult::Answer::not_done);
    PostgresConnection user = world.inside("spare");
    CHECK(drop.run(intent, context) == Json{{"dropped", true}});
    CHECK(drop.probe(intent, {}, context).answer == ProbeResult::Answer::done);
    CHECK(world.databases() == std::vector<std::string>{"shop"});
    // another database of that name is not the one that was meant
    world.server().execute("CREATE DATABASE spare");
    CHECK(code_of([&] { drop.run(intent, context); }) == ErrorCode::moved);
    world.server().execute("DROP DATABASE spare");
    CHECK(world.run(drop, {{"database", spare}}) == Json{{"dropped", false}});

    CHECK(world.run(drop, {{"database", db}, {"confirm", "shop"}}) == Json{{"dropped", true}});
}

TEST_CASE("assess reports what is there and what is damaged, and changes nothing") {
    PostgresWorld world;
    const Action& assess = world["postgres.assess"];
    CHECK(assess.spec().cheap);
    CHECK(assess.spec().effect == Effect::read);
    Outputs empty = world.run(assess, {{"database", db}});
    CHECK(empty.at("damages") == Json::array({"it holds no tables"}));

    world.fill(100);
    world.inside().execute("analyze");
    Outputs healthy = world.run(assess, {{"database", db}});
    CHECK(healthy.at("size").get<std::uint64_t>() > 1'000'000);
    healthy.erase("size");
    CHECK(healthy == Json{{"exists", true},
                          {"reachable", true},
                          {"accepts_connections", true},
                          {"in_recovery", false},
                          {"tables", 2},
                          {"rows_estimate", 200},
                          {"invalid_indexes", Json::array()},
                          {"amcheck", "not looked at"},
                          {"amcheck_skipped", 0},
                          {"damage", false},
                          {"damages", Json::array()}});

    world.inside().execute("create extension amcheck");
    CHECK(world.run(assess, {{"database", db}}).at("amcheck") == "ok");

    world.inside().execute("update pg_index set indisvalid = false where indexrelid = 'orders_customer_idx'::regclass");
    const Outputs invalid = world.run(assess, {{"database", db}});
    CHECK(invalid.at("invalid_indexes") == Json::array({"orders_customer_idx"}));
    CHECK(invalid.at("damages") == Json::array({"index 'orders_customer_idx' is invalid"}));

    world.server().execute("ALTER DATABASE shop ALLOW_CONNECTIONS false");
    const Outputs fenced = world.run(assess, {{"database", db}});
    CHECK(fenced.at("exists") == true);
    CHECK(fenced.at("reachable") == false);
    CHECK(fenced.at("accepts_connections") == false);
    CHECK(fenced.at("damage") == true);

    world.server().execute("DROP DATABASE shop");
    const Outputs missing = world.run(assess, {{"database", db}});
    CHECK(missing.at("exists") == false);
    CHECK(missing.at("damages") == Json::array({"database 'shop' is missing"}));
}

TEST_CASE("assess finds a damaged index with amcheck") {
    PostgresWorld world;
    PostgresConnection session = world.inside();
    // an index whose order is another one since its comparison was replaced
    const auto compare = [](const std::string& less, const std::string& more) {
        return "create or replace function fickle(a int4, b int4) returns int language sql as "
               "'select case when a = b then 0 when a > b then " +
               more + " else " + less + " end';";
    };
    session.execute("create extension amcheck;" + compare("-1", "1") +
                    "create operator class fickle_ops for type int4 using btree as operator 1 < (int4, int4), operator "
                    "2 <= (int4, int4),"
                    "operator 3 = (int4, int4), operator 4 >= (int4, int4), operator 5 > (int4, int4), function 1 "
                    "fickle(int4, int4);"
                    "create table t(i int4); insert into t select generate_series(1, 100); create index damaged on t(i "
                    "fickle_ops)");
    CHECK(world.run(world["postgres.assess"], {{"database", db}}).at("damage") == false);
    session.execute(compare("1", "-1"));
    const Outputs seen = world.run(world["postgres.assess"], {{"database", db}});
    REQUIRE(seen.at("amcheck").is_array());
    CHECK(seen.at("amcheck").size() == 1);
    CHECK(seen.at("amcheck")[0].get<std::string>().starts_with("index 'damaged': "));
    CHECK(seen.at("damages") == seen.at("amcheck"));
    CHECK(world.run(world["postgres.assess"], {{"database", db}, {"amcheck_within", "0s"}}).at("amcheck") ==
          "not looked at");
}

TEST_CASE("assess fails only when it cannot look") {
    Resource resource = postgres_resource_of(test_server(), "shop");
    resource.fields["port"] = 1;
    DeedWorld world({{"db", resource}});
    world.secrets.known["pw"] = "x";
    const ActionList actions = postgres_actions(world.world());
    CHECK(world.error_of(action_named(actions, "postgres.assess"), {{"database", db}}).code == ErrorCode::unreachable);
}

TEST_CASE("law 9: in a drill a server without the nonce is refused before anything is touched") {
    DrillMark mark{.drill = "d1", .nonces = {{"db", "unit-test"}}};
    {
        PostgresWorld world("shop", mark);
        CHECK(world.run(world["postgres.assess"], {{"database", db}}).at("exists") == true);
        CHECK(world.run(world["fault.sql"], {{"database", db}, {"statements", {"create table hit()"}}}) ==
              Json{{"statements", 1}});
    }
    mark.nonces["db"] = "another";
    PostgresWorld world("shop", mark);
    for (const char* action : {"postgres.assess", "postgres.fence", "postgres.unfence", "sql.fingerprint"}) {
        const Error error = world.error_of(world[action], {{"database", db}});
        CHECK(error.code == ErrorCode::refused);
    }
    CHECK(world.error_of(world["fault.sql"], {{"database", db}, {"statements", {"drop table t"}}}).code ==
          ErrorCode::refused);
    CHECK_FALSE(world.fenced("shop"));
    mark.nonces.clear();
    PostgresWorld unmade("shop", mark);
    CHECK(unmade.error_of(unmade["postgres.assess"], {{"database", db}}).code == ErrorCode::refused);
}

TEST_CASE("fault.sql outside of a drill is refused") {
    PostgresWorld world;
    CHECK(world["fault.sql"].spec().drill_only);
    CHECK(world.error_of(world["fault.sql"], {{"database", db}, {"statements", {"select 1"}}}).code ==
          ErrorCode::refused);
}

TEST_CASE("R4 a target is known by its declared place and by what the server says of itself") {
    PostgresWorld world;
    const ResolvedResource resource = postgres_resource(world.world(), db);
    const TargetIdentity identity = identify_postgres(world.world(), resource);
    PostgresConnection server = world.server();
    CHECK(identity.measured == "postgres system " + system_identifier(server) + " primary, database shop");
    ResolvedResource by_name = resource;
    by_name.fields["host"] = "localhost";
    CHECK(identify_postgres(world.world(), by_name).declared == identity.declared);
    ResolvedResource elsewhere = resource;
    elsewhere.fields["host"] = "DB1.example.com.";
    elsewhere.fields["port"] = 1;
    elsewhere.fields["host"] = "127.0.0.1";
    CHECK(identify_postgres(world.world(), elsewhere).declared != identity.declared);
    CHECK_FALSE(identify_postgres(world.world(), elsewhere).measured);
}

TEST_CASE("what a dead runner left in the server is ended, and nothing else") {
    PostgresWorld world;
    PostgresTarget target = test_server().target("shop");
    target.application_name = application_name("run-1");
    PostgresConnection orphan(target);
    target.application_name = application_name("run-2");
    PostgresConnection other(target);
    const ResolvedResource resource = postgres_resource(world.world(), db);
    const std::vector<std::string> ended = end_postgres_orphans(world.world(), resource, "run-1");
    CHECK(ended == std::vector<std::string>{"session " + std::to_string(orphan.backend_pid()) +
                                            " of 'lifeboat run-1' on database 'shop'"});
    CHECK(code_of([&] { orphan.query("select 1"); }) == ErrorCode::connection_lost);
    CHECK(other.value("select 1") == "1");
    CHECK(end_postgres_orphans(world.world(), resource, "run-1").empty());
}

TEST_CASE("R14 the server's own lock is held by one run at a time, and names its holder") {
    PostgresWorld world;
    const ResolvedResource resource = postgres_resource(world.world(), db);
    const auto lock = [&world](const ResolvedResource& target, const std::string& run) {
        std::set<std::int64_t> taken;
        return lock_postgres(world.world(), target, run, taken);
    };
    std::unique_ptr<Held> held = lock(resource, "run-1");
    REQUIRE(held);
    try {
        lock(resource, "run-2");
        FAIL("locked twice");
    } catch (const Error& error) {
        CHECK(error.code == ErrorCode::locked);
        CHECK(error.details.at("holder").at("application") == "lifeboat-lock run-1");
    }
    ResolvedResource other = resource;
    other.fields["database"] = "other";
    CHECK(lock(other, "run-2"));
    // ending what run-1 left inside the database does not take its lock away
    end_postgres_orphans(world.world(), resource, "run-1");
    CHECK_THROWS_AS(lock(resource, "run-2"), Error);
    // a second name for the same database is the same lock
    std::set<std::int64_t> taken;
    const auto once = lock_postgres(world.world(), other, "run-3", taken);
    CHECK(once);
    CHECK_FALSE(lock_postgres(world.world(), other, "run-3", taken));
    // the run's next runner takes over what the dead one's session still holds
    const auto next = lock(resource, "run-1");
    CHECK(next);
    CHECK_THROWS_AS(lock(resource, "run-2"), Error);
}

TEST_CASE("the maintenance database cannot be the target") {
    PostgresWorld world;
    const Json same{{"of", "db"}, {"maintenance_database", "shop"}};
    CHECK(world.error_of(world["postgres.fence"], {{"database", same}}).code == ErrorCode::refused);
}

TEST_CASE("a run's databases carry it in their names") {
    CHECK(short_run_id("2026-02-01T02-03-04-database-corruption-ab12") == "20260201_020304_ab12");
    CHECK(short_run_id("run-1") == "run_1");
    CHECK(short_run_id("Some very long identifier of a run").size() <= 24);
}
