#include <catch2/catch.hpp>
#include <fstream>
#include <mutex>
#include <thread>

#include <sys/stat.h>

#include "actions/postgres_connection.h"
#include "unit/actions/postgres_world.h"

using namespace lifeboat;
using namespace lifeboat::test;
namespace fs = std::filesystem;

namespace {

const Json db = PostgresWorld::db;
const std::string staged_name = "shop_lifeboat_run_1";

struct Attempt {
    Intent intent;
    Notes notes;
};

Context context_for(PostgresWorld& world, Attempt& attempt, const fs::path& from, Json more = Json::object()) {
    more["from"] = from.string();
    more["beside"] = db;
    Context context = world.context(world["postgres.restore"], std::move(more));
    context.note = [&attempt](std::string key, Json value) { attempt.notes[std::move(key)] = std::move(value); };
    return context;
}

Outputs restore(PostgresWorld& world, Attempt& attempt, const fs::path& from, Json more = Json::object()) {
    Context context = context_for(world, attempt, from, std::move(more));
    attempt.intent = world["postgres.restore"].prepare(context);
    return world["postgres.restore"].run(attempt.intent, context);
}

std::string undo(PostgresWorld& world, Attempt& attempt, const fs::path& from) {
    Context context = context_for(world, attempt, from);
    return world["postgres.restore"].undo(attempt.intent, attempt.notes, context);
}

Error refusal(PostgresWorld& world, const fs::path& from, Json more = Json::object()) {
    Attempt attempt;
    try {
        restore(world, attempt, from, std::move(more));
    } catch (const Error& error) {
        if (!attempt.intent.is_null()) undo(world, attempt, from);
        return error;
    }
    undo(world, attempt, from);
    return Error{ErrorCode::internal, "was not refused"};
}

void cut(const fs::path& from, const fs::path& to, std::uint64_t size) {
    fs::copy_file(from, to, fs::copy_options::overwrite_existing);
    fs::resize_file(to, size);
}

bool nothing_done(const Action& action, ErrorCode code) {
    for (const RaisedError& raised : action.spec().errors) {
        if (raised.code == code) return raised.nothing_done;
    }
    return false;
}

}  // namespace

TEST_CASE("every format of pg_dump is restored beside the live database, and undone") {
    PostgresWorld world;
    world.fill();
    world.inside().query("select lo_from_bytea(0, 'large object')");
    const std::string truth = world.fingerprint("shop");
    const std::string ownership = world.fingerprint("shop", "ownership");
    const fs::path plain = world.dump({"-Fp"}, "plain.sql");
    const auto shell = [](const std::string& line) { REQUIRE(std::system(line.c_str()) == 0); };
    shell("gzip -k " + plain.string());
    const std::vector<std::pair<std::string, fs::path>> dumps{
        {"custom", world.dump({"-Fc"}, "custom.dump")},
        {"directory", world.dump({"-Fd"}, "directory.dump")},
        {"directory", world.dump({"-Fd", "-Z0"}, "uncompressed.dump")},
        {"tar", world.dump({"-Ft"}, "tar.dump")},
        {"plain", plain},
        {"plain", plain.string() + ".gz"},
        {"plain", world.dump({"-Fp", "--inserts"}, "inserts.sql")},
    };
    for (const auto& [format, path] : dumps) {
        INFO(path);
        Attempt attempt;
        const Outputs outputs = restore(world, attempt, path);
        CHECK(outputs.at("database") == Json{{"of", "db"}, {"database", staged_name}});
        CHECK(outputs.at("format") == format);
        CHECK(outputs.at("tables") == 2);
        CHECK(outputs.at("tolerated") == Json::object());
        CHECK(outputs.at("dumped_from") == 15);
        CHECK(outputs.at("findings") == Json::array());
        CHECK(world.fingerprint(staged_name) == truth);
        CHECK(world.fingerprint(staged_name, "ownership") == ownership);
        CHECK(attempt.notes.at("oid") == world.oid(staged_name));
        // nobody but its owner and superusers
        CHECK(world.value("postgres", "select has_database_privilege('public', '" + staged_name + "', 'connect')") ==
              "f");

        CHECK(undo(world, attempt, path) == "dropped database '" + staged_name + "'");
        CHECK(undo(world, attempt, path).empty());
        CHECK(world.databases() == std::vector<std::string>{"shop"});
        CHECK(fs::is_empty(world.run_folder() / "steps" / "step"));
    }
    CHECK(world.fingerprint("shop") == truth);
}

TEST_CASE("R8 an archive that is cut at any place is refused before anything is made") {
    PostgresWorld world;
    world.fill(3000);
    const Action& action = world["postgres.restore"];
    for (const char* format : {"c", "t", "p"}) {
        const fs::path whole = world.dump({std::string("-F") + format}, std::string("whole.") + format);
        const fs::path part = world.folder / (std::string("part.") + format);
        const std::uint64_t size = fs::file_size(whole);
        for (std::uint64_t percent = 0; percent < 100; percent += 5) {
            INFO("format " << format << ", cut at " << percent << " %");
            cut(whole, part, size * percent / 100);
            const Error error = refusal(world, part);
            CHECK((error.code == ErrorCode::incomplete || error.code == ErrorCode::corrupt));
            CHECK(nothing_done(action, error.code));
            CHECK(world.databases() == std::vector<std::string>{"shop"});
        }
        cut(whole, part, size - 1);
        if (*format != 'p') CHECK(refusal(world, part).code == ErrorCode::incomplete);
    }
}

TEST_CASE("R8 a directory dump with a file that is cut or missing is refused") {
    PostgresWorld world;
    world.fill(3000);
    for (const std::string compression : {"-Z6", "-Z0"}) {
        const fs::path whole = world.dump({"-Fd", compression}, "whole" + compression);
        const fs::path part = world.folder / ("part" + compression);
        for (const auto& entry : fs::directory_iterator(whole)) {
            const std::uint64_t size = fs::file_size(entry.path());
            for (std::uint64_t percent = 0; percent < 100; percent += 25) {
                INFO(entry.path().filename() << " cut at " << percent << " %");
                fs::remove_all(part);
                fs::copy(whole, part, fs::copy_options::recursive);
                fs::resize_file(part / entry.path().filename(), size * percent / 100);
                const ErrorCode code = refusal(world, part).code;
                CHECK((code == ErrorCode::incomplete || code == ErrorCode::corrupt));
            }
            fs::remove(part / entry.path().filename());
            CHECK(refusal(world, part).code != ErrorCode::internal);
        }
    }
    CHECK(world.databases() == std::vector<std::string>{"shop"});
}

TEST_CASE("R8 a gzipped dump with a flipped byte is refused") {
    PostgresWorld world;
    world.fill(3000);
    const fs::path plain = world.dump({"-Fp"}, "plain.sql");
    REQUIRE(std::system(("gzip -k " + plain.string()).c_str()) == 0);
    const fs::path packed = plain.string() + ".gz";
    {
        std::fstream file(packed, std::ios::in | std::ios::out | std::ios::binary);
        file.seekg(static_cast<std::streamoff>(fs::file_size(packed) / 2));
        const char byte = static_cast<char>(file.get() ^ 1);
        file.seekp(static_cast<std::streamoff>(fs::file_size(packed) / 2));
        file.put(byte);
    }
    CHECK(refusal(world, packed).code == ErrorCode::corrupt);
    CHECK(fs::is_empty(world.run_folder() / "steps" / "step"));
}

TEST_CASE("what is no dump is refused") {
    PostgresWorld world;
    write_text(world.folder / "empty", "");
    write_text(world.folder / "binary", std::string("\0\1\2", 3));
    write_text(world.folder / "hand.sql", "select 1;\n");
    fs::create_directory(world.folder / "folder");
    CHECK(refusal(world, world.folder / "empty").code == ErrorCode::incomplete);
    CHECK(refusal(world, world.folder / "binary").code == ErrorCode::corrupt);
    CHECK(refusal(world, world.folder / "hand.sql").code == ErrorCode::incomplete);
    CHECK(refusal(world, world.folder / "folder").code == ErrorCode::corrupt);
    CHECK(refusal(world, world.folder / "missing").code == ErrorCode::not_found);
    CHECK(world.databases() == std::vector<std::string>{"shop"});
}

TEST_CASE("a dump made with -C --clean leaves the live database as it is") {
    PostgresWorld world;
    world.fill();
    world.server().execute(
        "CREATE ROLE reader; GRANT CONNECT ON DATABASE shop TO reader; ALTER DATABASE shop SET work_mem TO '9MB'");
    world.server().execute("COMMENT ON DATABASE shop IS 'before'");
    const fs::path dump = world.dump({"-Fp", "-C", "--clean"}, "clean.sql");
    const std::string restored = world.fingerprint("shop");
    // the live database as it is now, which the dump would put back
    world.inside().execute("delete from orders where id > 10");
    world.server().execute(
        "REVOKE CONNECT ON DATABASE shop FROM reader; ALTER DATABASE shop RESET work_mem; COMMENT ON DATABASE shop IS "
        "'now'");
    const std::string live = world.fingerprint("shop");
    const std::uint32_t oid = world.oid("shop");
    PostgresConnection server = world.server();
    const PostgresProperties properties = properties_of(server, oid);

    Attempt attempt;
    restore(world, attempt, dump);
    CHECK(world.oid("shop") == oid);
    CHECK(world.fingerprint("shop") == live);
    CHECK(properties_of(server, oid) == properties);
    CHECK(world.fingerprint(staged_name) == restored);
    undo(world, attempt, dump);

    // one that reaches beyond is refused as a whole
    write_text(world.folder / "evil.sql",
               read_text(world.dump({"-Fp"}, "plain.sql")).insert(0, "DROP DATABASE shop;\n"));
    const Error error = refusal(world, world.folder / "evil.sql");
    CHECK(error.code == ErrorCode::dump_leaves_database);
    CHECK(nothing_done(world["postgres.restore"], error.code));
    CHECK(world.oid("shop") == oid);
    CHECK(world.databases() == std::vector<std::string>{"shop"});
}

TEST_CASE("R8 owners that do not exist are left out by policy and counted, in every format") {
    PostgresWorld world;
    world.fill(10);
    world.server().execute("CREATE ROLE here; CREATE ROLE \"Gone \"\"x\"");
    world.inside().execute(
        "alter table customers owner to here; alter table orders owner to \"Gone \"\"x\"; grant select on orders to "
        "here;"
        "grant select on customers to \"Gone \"\"x\"; grant usage on schema public to here");
    std::vector<fs::path> dumps;
    for (const char* format : {"c", "d", "t", "p"})
        dumps.push_back(world.dump({std::string("-F") + format}, std::string("dump.") + format));
    world.inside().execute("reassign owned by \"Gone \"\"x\" to postgres; drop owned by \"Gone \"\"x\"");
    world.server().execute("DROP ROLE \"Gone \"\"x\"");
    const std::string owners =
        "select string_agg(relname || ' ' || pg_get_userbyid(relowner), ', ' order by relname) from pg_class "
        "where relname in ('customers', 'orders')";
    for (const fs::path& dump : dumps) {
        INFO(dump);
        Attempt attempt;
        const Outputs outputs = restore(world, attempt, dump);
        CHECK(outputs.at("tolerated").at("missing_role").get<int>() >= 2);
        CHECK(world.value(staged_name, owners) == "customers here, orders postgres");
        undo(world, attempt, dump);

        CHECK(refusal(world, dump, {{"tolerate", Json::array()}}).code == ErrorCode::refused);
        CHECK(world.databases() == std::vector<std::string>{"shop"});

        Attempt none;
        CHECK(restore(world, none, dump, {{"owner", "none"}}).at("tolerated") == Json::object());
        CHECK(world.value(staged_name, owners) == "customers postgres, orders postgres");
        undo(world, none, dump);
    }
}

TEST_CASE("an ordinary role restores too") {
    PostgresWorld world;
    world.fill(10);
    const fs::path custom = world.dump({"-Fc"}, "dump.c");
    const fs::path plain = world.dump({"-Fp"}, "dump.p");
    world.server().execute("CREATE ROLE restorer LOGIN CREATEDB PASSWORD 'restorer-pw'");
    Resource resource = postgres_resource_of(test_server(), "shop");
    resource.fields["user"] = "restorer";
    DeedWorld ordinary({{"db", resource}});
    ordinary.secrets.known["pw"] = "restorer-pw";
    const ActionList actions = postgres_actions(ordinary.world());
    const Action& action = action_named(actions, "postgres.restore");
    for (const fs::path& dump : {custom, plain}) {
        INFO(dump);
        const Json arguments{{"from", dump.string()}, {"beside", db}, {"owner", "none"}};
        Context context = ordinary.context(action, arguments);
        const Intent intent = action.prepare(context);
        CHECK(action.run(intent, context).at("tables") == 2);
        CHECK(world.value("postgres", "select pg_get_userbyid(datdba) from pg_database where datname = '" +
                                          staged_name + "'") == "restorer");
        CHECK_FALSE(action.undo(intent, {}, context).empty());
    }
}

TEST_CASE(
    "R25 a dump of a newer server, and one that needs an extension that is not there, are refused before anything is "
    "made") {
    PostgresWorld world;
    world.fill(10);
    std::string text = read_text(world.dump({"-Fp"}, "plain.sql"));
    const std::string from = "Dumped from database version 15";
    text.replace(text.find(from), from.size(), "Dumped from database version 18");
    write_text(world.folder / "newer.sql", text);
    const Error error = refusal(world, world.folder / "newer.sql");
    CHECK(error.code == ErrorCode::unsupported);
    CHECK(error.message.find("PostgreSQL 18") != std::string::npos);
    Attempt attempt;
    CHECK(restore(world, attempt, world.folder / "newer.sql", {{"newer_dump", "try"}}).at("dumped_from") == 18);
    undo(world, attempt, world.folder / "newer.sql");

    // the archive names an extension of the same length that no server has
    world.inside().execute("create extension citext");
    const fs::path custom = world.dump({"-Fc"}, "custom.dump");
    std::string archive = read_text(custom);
    for (std::size_t at = archive.find("citext"); at != std::string::npos; at = archive.find("citext", at + 1))
        archive.replace(at, 6, "nonext");
    write_text(world.folder / "extension.dump", archive);
    const Error missing = refusal(world, world.folder / "extension.dump");
    CHECK(missing.code == ErrorCode::unsupported);
    CHECK(missing.message.find("'nonext'") != std::string::npos);
}

TEST_CASE("R25 a sequence behind its column is a finding") {
    PostgresWorld world;
    world.inside().execute(
        "create table t(id serial primary key); insert into t values (41), (42); select setval('t_id_seq', 5)");
    Attempt attempt;
    const fs::path dump = world.dump({"-Fc"}, "dump");
    CHECK(restore(world, attempt, dump).at("findings") ==
          Json::array({"sequence 'public.t_id_seq' stands at 5, column public.t.id at 42"}));
    undo(world, attempt, dump);
}

TEST_CASE("R1 a load that fails leaves the live database alone, and its remains go with the undo") {
    PostgresWorld world;
    world.fill(10);
    const std::string truth = world.fingerprint("shop");
    std::string text = read_text(world.dump({"-Fp"}, "plain.sql"));
    const std::string marker = "--\n-- PostgreSQL database dump complete";
    text.insert(text.find(marker), "SELECT 1 / 0;\n");
    write_text(world.folder / "broken.sql", text);
    Attempt attempt;
    try {
        restore(world, attempt, world.folder / "broken.sql");
        FAIL("a broken dump was restored");
    } catch (const Error& error) {
        CHECK(error.code == ErrorCode::sql_failed);
        CHECK(sqlstate_of(error) == "22012");
        CHECK(error.message.find("division by zero") != std::string::npos);
    }
    CHECK(world.value(staged_name, "select count(*) from pg_class where relname = 'orders'") == "0");
    CHECK_FALSE(undo(world, attempt, world.folder / "broken.sql").empty());
    CHECK(world.databases() == std::vector<std::string>{"shop"});
    CHECK(world.fingerprint("shop") == truth);
}

TEST_CASE("a restore that is stopped in the middle is undone while its sessions are still there") {
    PostgresWorld world;
    world.inside().execute(
        "create table big as select i, md5(i::text) as t from generate_series(1, 200000) i; create index on big(t)");
    for (const char* format : {"c", "p"}) {
        INFO(format);
        const fs::path dump = world.dump({std::string("-F") + format}, std::string("big.") + format);
        Attempt attempt;
        Context context = context_for(world, attempt, dump);
        std::stop_source stop;
        context.stop = stop.get_token();
        std::jthread stopper([&] {
            for (int round = 0; round < 20000; ++round) {
                const std::string active =
                    world.value("postgres", "select count(*) from pg_stat_activity where datname = '" + staged_name +
                                                "' and application_name = 'lifeboat run-1' and state = 'active'");
                if (active != "0") break;
            }
            stop.request_stop();
        });
        attempt.intent = world["postgres.restore"].prepare(context);
        try {
            world["postgres.restore"].run(attempt.intent, context);
            FAIL("was not stopped");
        } catch (const Error& error) {
            CHECK(error.code == ErrorCode::cancelled);
        }
        stopper.join();
        // somebody still works on it, as children of a killed runner would
        PostgresTarget target = test_server().target(staged_name);
        target.application_name = application_name("run-1");
        std::optional<PostgresConnection> orphan;
        if (world.oid(staged_name) != 0) orphan.emplace(target);
        undo(world, attempt, dump);
        CHECK(world.databases() == std::vector<std::string>{"shop"});
        CHECK(undo(world, attempt, dump).empty());
    }
}

TEST_CASE("a restored database that is live by now is not dropped") {
    PostgresWorld world;
    world.fill(10);
    const fs::path dump = world.dump({"-Fc"}, "dump");
    Attempt attempt;
    const Outputs outputs = restore(world, attempt, dump);
    const Action& swap = world["postgres.swap"];
    Context context = world.context(swap, {{"live", db}, {"staged", outputs.at("database")}});
    const Intent intent = swap.prepare(context);
    swap.run(intent, context);
    try {
        undo(world, attempt, dump);
        FAIL("the live database was dropped");
    } catch (const Error& error) {
        CHECK(error.code == ErrorCode::refused);
    }
    swap.undo(intent, {}, context);
    CHECK_FALSE(undo(world, attempt, dump).empty());
    CHECK(world.databases() == std::vector<std::string>{"shop"});

    // nor is one of the same name that somebody else made
    world.server().execute("CREATE DATABASE " + staged_name);
    CHECK_THROWS_AS(undo(world, attempt, dump), Error);
    CHECK(world.oid(staged_name) != 0);
    // and the next run finds another name
    Attempt next;
    CHECK(restore(world, next, dump).at("database").at("database") == staged_name + "_2");
    undo(world, next, dump);
}

TEST_CASE("the new database has the live one's encoding and locale") {
    PostgresWorld world;
    world.fill(10);
    const fs::path dump = world.dump({"-Fc"}, "dump");
    world.server().execute("DROP DATABASE shop");
    world.server().execute("CREATE DATABASE shop TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'");
    Attempt attempt;
    restore(world, attempt, dump);
    CHECK(world.value("postgres",
                      "select pg_encoding_to_char(encoding) || ' ' || datcollate from pg_database where datname = '" +
                          staged_name + "'") == "LATIN1 C");
    undo(world, attempt, dump);

    // a live database that is missing is no reason not to restore
    world.server().execute("DROP DATABASE shop");
    Attempt alone;
    CHECK(restore(world, alone, dump).at("tables") == 2);
    undo(world, alone, dump);
}

TEST_CASE("R17 the survey names tools, privileges and space") {
    PostgresWorld world;
    world.fill(10);
    const fs::path dump = world.dump({"-Fc"}, "dump");
    const Action& action = world["postgres.restore"];
    Context context = world.context(action, {{"from", dump.string()}, {"beside", db}});
    const Survey survey = action.survey(context);
    std::vector<std::string> subjects;
    for (const Finding& finding : survey.findings) {
        CHECK(finding.kind == FindingKind::ok);
        subjects.push_back(finding.subject);
    }
    CHECK(subjects == std::vector<std::string>{"pg_restore", "psql", "privileges of 'postgres'", "dump 'dump'",
                                               "free space of 'db'"});
    CHECK(survey.bytes->count == fs::file_size(dump));

    Context unknown = world.context(action, {{"from", nullptr}, {"beside", db}});
    CHECK(action.survey(unknown).findings.size() == 4);
    CHECK(world.databases() == std::vector<std::string>{"shop"});
}

TEST_CASE("R11 the password is in no argument and no environment of the programs that load") {
    PostgresWorld world;
    world.inside().execute(
        "create table big as select i, md5(i::text) as t from generate_series(1, 100000) i; create index on big(t)");
    const fs::path dump = world.dump({"-Fc"}, "dump");
    Attempt attempt;
    Context context = context_for(world, attempt, dump);
    std::mutex mutex;
    std::vector<std::string> seen;
    std::vector<std::jthread> watchers;
    context.child_started = [&](const ChildGroup& child) {
        watchers.emplace_back([&, process = "/proc/" + std::to_string(child.group)] {
            // from when it has become the program until it ends
            const auto read = [](const std::string& path) {
                std::ifstream file(path);
                return std::string(std::istreambuf_iterator<char>(file), {});
            };
            while (fs::exists(process)) {
                const std::string command = read(process + "/cmdline");
                if (command.find("pg_restore") == std::string::npos) continue;
                const std::lock_guard lock(mutex);
                seen.push_back(command + read(process + "/environ"));
                return;
            }
        });
    };
    attempt.intent = world["postgres.restore"].prepare(context);
    world["postgres.restore"].run(attempt.intent, context);
    watchers.clear();
    REQUIRE_FALSE(seen.empty());
    for (const std::string& text : seen)
        CHECK(text.find("pg-secret") == std::string::npos);
    // the one that loads logs in by a file
    CHECK(std::any_of(seen.begin(), seen.end(), [](const std::string& text) {
        return text.find("--jobs=2") != std::string::npos && text.find("PGPASSFILE=") != std::string::npos;
    }));
    CHECK(to_text(attempt.intent).find("pg-secret") == std::string::npos);
    undo(world, attempt, dump);
}
