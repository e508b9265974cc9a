#include <catch2/catch.hpp>

#include "actions/postgres_connection.h"
#include "unit/actions/postgres_world.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

const Json db = PostgresWorld::db;
const Json staged{{"of", "db"}, {"database", "staged"}};
const std::string old_name = "shop_old_run_1";

// A live database with an owner, privileges and settings of its own, and a staged one that has none of them.
struct Scene : PostgresWorld {
    Scene() {
        server().execute("CREATE ROLE owner LOGIN; CREATE ROLE app LOGIN; CREATE ROLE \"we ird\" LOGIN");
        server().execute(
            "ALTER DATABASE shop OWNER TO owner; REVOKE ALL ON DATABASE shop FROM PUBLIC; GRANT CONNECT ON DATABASE "
            "shop TO app;"
            "GRANT TEMPORARY, CONNECT ON DATABASE shop TO \"we ird\" WITH GRANT OPTION; ALTER DATABASE shop CONNECTION "
            "LIMIT 17;"
            "COMMENT ON DATABASE shop IS 'it''s \\ live'; ALTER DATABASE shop SET work_mem TO '7MB';"
            "ALTER DATABASE shop SET search_path TO \"$user\", public, \"odd, name\"; ALTER ROLE app IN DATABASE shop "
            "SET statement_timeout TO '5s';"
            "ALTER DATABASE shop SET my.setting TO 'a ''b'' c'");
        server().execute("CREATE DATABASE staged");
        inside().execute("create table which as select 'live' as name");
        inside("staged").execute("create table which as select 'restored' as name");
        live_oid = oid("shop");
        staged_oid = oid("staged");
        live_before = properties("shop");
        staged_before = properties("staged");
    }
    PostgresProperties properties(const std::string& database) const {
        PostgresConnection session = server();
        return properties_of(session, oid(database));
    }
    Context swap_context() {
        Context context = this->context((*this)["postgres.swap"], {{"live", db}, {"staged", staged}});
        context.note = [this](std::string key, Json value) { notes[std::move(key)] = std::move(value); };
        return context;
    }
    void check_swapped() const {
        CHECK(databases() == std::vector<std::string>{"shop", old_name});
        CHECK(oid("shop") == staged_oid);
        CHECK(oid(old_name) == live_oid);
        CHECK(fenced("shop"));
        CHECK(fenced(old_name));
    }
    void check_as_before() const {
        CHECK(databases() == std::vector<std::string>{"shop", "staged"});
        CHECK(oid("shop") == live_oid);
        CHECK(oid("staged") == staged_oid);
        CHECK_FALSE(fenced("shop"));
        CHECK_FALSE(fenced("staged"));
        CHECK(properties("shop") == live_before);
        CHECK(properties("staged") == staged_before);
        CHECK(value("shop", "select name from which") == "live");
    }
    std::uint32_t live_oid = 0;
    std::uint32_t staged_oid = 0;
    PostgresProperties live_before;
    PostgresProperties staged_before;
    Notes notes;
};

ErrorCode code_of(const std::function<void()>& act) {
    try {
        act();
    } catch (const Error& error) {
        return error.code;
    }
    return ErrorCode::internal;  // nothing was thrown
}

}  // namespace

TEST_CASE("a swap puts the restored database in place with owner, privileges and settings, and keeps the old one") {
    Scene scene;
    CHECK(scene.live_before.settings.size() == 4);
    const Action& swap = scene["postgres.swap"];
    Context context = scene.swap_context();
    const Intent intent = swap.prepare(context);
    scene.check_as_before();
    PostgresConnection user = scene.inside();
    PostgresConnection curious = scene.inside("staged");

    const Outputs outputs = swap.run(intent, context);
    scene.check_swapped();
    CHECK(scene.properties("shop") == scene.live_before);
    CHECK(outputs.at("kept") == Json::array({"database:db/" + old_name}));
    CHECK(outputs.at("database") == db);
    CHECK(outputs.at("swapped_at") == scene.notes.at("swapped_at"));
    CHECK(outputs.at("writes_stopped_at").is_string());

    const ProbeResult seen = swap.probe(intent, scene.notes, context);
    CHECK(seen.answer == ProbeResult::Answer::done);
    CHECK(seen.outputs == outputs);
    CHECK(code_of([&] { swap.run(intent, context); }) == ErrorCode::moved);

    scene.run(scene["postgres.unfence"], {{"database", db}});
    CHECK(scene.value("shop", "select name from which") == "restored");
    PostgresTarget as_app = test_server().target("shop");
    CHECK(scene.value("shop", "show search_path") == "\"$user\", public, \"odd, name\"");
    CHECK(scene.value("shop", "show my.setting") == "a 'b' c");

    // and back again: once, and once more with nothing left to do
    CHECK(swap.undo(intent, scene.notes, context) == "swapped 'shop' back");
    scene.check_as_before();
    CHECK(swap.undo(intent, scene.notes, context).empty());
    scene.check_as_before();
    CHECK(swap.probe(intent, scene.notes, context).answer == ProbeResult::Answer::not_done);
}

TEST_CASE("a swap leaves what was fenced before fenced when it is undone") {
    Scene scene;
    const Action& swap = scene["postgres.swap"];
    scene.run(scene["postgres.fence"], {{"database", db}});
    Context context = scene.swap_context();
    const Intent intent = swap.prepare(context);
    CHECK(swap.run(intent, context).at("writes_stopped_at").is_null());
    swap.undo(intent, scene.notes, context);
    CHECK(scene.oid("shop") == scene.live_oid);
    CHECK(scene.fenced("shop"));
    CHECK_FALSE(scene.fenced("staged"));
}

TEST_CASE("a swap works when the live database is missing") {
    Scene scene;
    scene.server().execute("DROP DATABASE shop");
    const Action& swap = scene["postgres.swap"];
    Context context = scene.swap_context();
    const Intent intent = swap.prepare(context);
    CHECK(intent.at("live").is_null());
    const Outputs outputs = swap.run(intent, context);
    CHECK(outputs.at("kept") == Json::array());
    CHECK(scene.databases() == std::vector<std::string>{"shop"});
    CHECK(scene.oid("shop") == scene.staged_oid);
    CHECK(scene.fenced("shop"));
    CHECK(swap.probe(intent, scene.notes, context).answer == ProbeResult::Answer::done);
    // a restored database that nobody may connect to would be of no use
    const auto grants = scene.properties("shop").grants;
    CHECK(std::find(grants.begin(), grants.end(), PostgresGrant{"", "CONNECT", false}) != grants.end());

    CHECK(swap.undo(intent, scene.notes, context) == "took 'shop' away again");
    CHECK(scene.databases() == std::vector<std::string>{"staged"});
    CHECK_FALSE(scene.fenced("staged"));
    CHECK(swap.undo(intent, scene.notes, context).empty());
}

TEST_CASE("R1 wherever a swap is killed, its probe tells the truth, and it can be run again or undone") {
    // what the swap does, one committed change after the other
    const std::vector<std::string> moves{
        "ALTER DATABASE staged OWNER TO owner",
        "ALTER DATABASE shop ALLOW_CONNECTIONS false",
        "ALTER DATABASE staged ALLOW_CONNECTIONS false",
        "BEGIN; ALTER DATABASE shop RENAME TO " + old_name + "; ALTER DATABASE staged RENAME TO shop; COMMIT",
    };
    for (std::size_t done = 0; done <= moves.size(); ++done) {
        for (const bool undone : {true, false}) {
            INFO("killed after " << done << " moves, then " << (undone ? "undone" : "run again"));
            Scene scene;
            const Action& swap = scene["postgres.swap"];
            Context context = scene.swap_context();
            const Intent intent = swap.prepare(context);
            PostgresConnection server = scene.server();
            for (std::size_t i = 0; i < done; ++i)
                server.execute(moves[i]);
            const bool swapped = done == moves.size();
            CHECK(swap.probe(intent, {}, context).answer ==
                  (swapped ? ProbeResult::Answer::done : ProbeResult::Answer::not_done));
            if (undone) {
                swap.undo(intent, {}, context);
                scene.check_as_before();
            } else if (!swapped) {
                swap.run(intent, context);
                scene.check_swapped();
                CHECK(scene.properties("shop") == scene.live_before);
            }
        }
    }
}

TEST_CASE("a swap of databases that moved does nothing, and one that nobody can explain is left alone") {
    Scene scene;
    const Action& swap = scene["postgres.swap"];
    Context context = scene.swap_context();
    const Intent intent = swap.prepare(context);
    scene.server().execute("DROP DATABASE staged; ");
    scene.server().execute("CREATE DATABASE staged");
    CHECK(code_of([&] { swap.run(intent, context); }) == ErrorCode::moved);
    const ProbeResult seen = swap.probe(intent, {}, context);
    CHECK(seen.answer == ProbeResult::Answer::cannot_tell);
    CHECK(seen.evidence.find(std::to_string(scene.staged_oid)) != std::string::npos);
    CHECK(code_of([&] { swap.undo(intent, {}, context); }) == ErrorCode::refused);
    CHECK(scene.databases() == std::vector<std::string>{"shop", "staged"});
    CHECK_FALSE(scene.fenced("shop"));

    scene.server().execute("DROP DATABASE staged");
    CHECK(code_of([&] { swap.prepare(context); }) == ErrorCode::not_found);
}

TEST_CASE("what a rename would leave behind is found beforehand and refused") {
    Scene scene;
    const Action& swap = scene["postgres.swap"];
    Context context = scene.swap_context();
    const Intent intent = swap.prepare(context);
    const auto refused = [&](const std::string& named) {
        for (const auto& act : {std::function<void()>([&] { swap.prepare(context); }),
                                std::function<void()>([&] { swap.run(intent, context); })}) {
            try {
                act();
                FAIL("not refused: " + named);
            } catch (const Error& error) {
                CHECK(error.code == ErrorCode::refused);
                CHECK(error.message.find(named) != std::string::npos);
            }
        }
        const Survey survey = swap.survey(context);
        REQUIRE(survey.findings.size() == 1);
        CHECK(survey.findings[0].kind == FindingKind::blocker);
        scene.check_as_before();
    };
    scene.inside().execute("begin; insert into which values ('prepared'); prepare transaction 'tx-1'");
    refused("'tx-1'");
    scene.inside().execute("rollback prepared 'tx-1'");

    scene.inside().query("select pg_create_logical_replication_slot('slot_1', 'pgoutput')");
    refused("slot_1");
    scene.inside().query("select pg_drop_replication_slot('slot_1')");

    scene.inside().execute(
        "create subscription sub_1 connection 'host=/nowhere' publication p with (connect = false, slot_name = none)");
    refused("sub_1");
    scene.inside().execute("drop subscription sub_1");
    CHECK(swap.survey(context).findings[0].kind == FindingKind::ok);
    swap.run(intent, context);
    scene.check_swapped();
}

TEST_CASE("a database is not swapped with itself") {
    Scene scene;
    CHECK(scene.error_of(scene["postgres.swap"], {{"live", db}, {"staged", db}}).code == ErrorCode::refused);
}
