// What other tools leave in a store, made by their own commands: listed, chosen by time, verified and fetched.
#include "backup/fetch.h"
#include "backup/selection.h"
#include "backup/verification.h"
#include "sample.h"
#include "world/process.h"
#include "world/scratch.h"

using namespace lifeboat;
using namespace lifeboat::test;
namespace fs = std::filesystem;

namespace {

ForeignPart part(const std::string& pattern, const std::string& kind, const std::string& time = "iso",
                 const std::string& name = {}) {
    return {.pattern = NamePattern(pattern, time, "UTC"), .component = name.empty() ? kind : name, .kind = kind};
}

struct Others : Bench {
    ForeignLayout layout;

    explicit Others(ForeignLayout made) : layout(std::move(made)) {}

    // By bash, in the store's folder; names files in the order in which they were made last, so that their times of
    // modification speak against those in their names.
    void make(const std::string& script, std::map<std::string, std::string> variables = {}) {
        Command command;
        command.argv = {"bash", "-euo", "pipefail", "-c", script};
        command.environment = clean_environment();
        for (auto& [name, value] : variables)
            command.environment[name] = std::move(value);
        command.folder = folder / "nas";
        const ChildResult result = run_child(command, {});
        INFO(result.errors);
        REQUIRE(result.exit_code == 0);
    }
    Catalogue catalogue() { return read_foreign_catalogue("old", stores, layout); }
    std::vector<std::string> ids() {
        std::vector<std::string> list;
        for (const CatalogueEntry& entry : catalogue().entries)
            list.push_back(entry.id + (entry.manifest ? "" : " refused"));
        return list;
    }
    Selection chosen(SelectionLimits limits = {}) {
        limits.now = clock.now();
        return select_backups(catalogue().entries, limits);
    }
    CatalogueEntry entry(const std::string& id) {
        for (const CatalogueEntry& each : catalogue().entries)
            if (each.id == id) return each;
        FAIL("no backup " + id);
        return {};
    }
    Verification verified(const std::string& id, Level level = Level::readable) {
        return verify_backup(*nas, "old", entry(id), KeyRing{}, level, work());
    }
    FetchRequest request(const std::vector<std::string>& wanted) {
        FetchRequest request{.set = "old", .stores = stores, .foreign = layout, .folder = folder / "fetched"};
        for (const std::string& id : wanted)
            request.candidates.push_back({.id = id, .store = "nas", .manifest_sha256 = entry(id).manifest_sha256});
        return request;
    }
    Fetched fetched(const std::vector<std::string>& wanted) { return fetch_backup(request(wanted), work()); }
    fs::path stored(const std::string& key) { return folder / "nas" / key; }
    void flip(const std::string& key, std::size_t place) {
        std::string bytes = bytes_of(stored(key));
        bytes.at(place) = static_cast<char>(bytes.at(place) ^ 0x40);
        overwrite(stored(key), bytes);
    }
    void cut(const std::string& key, std::size_t length) {
        overwrite(stored(key), bytes_of(stored(key)).substr(0, length));
    }
    void check_whole(const std::string& id) {
        INFO(id);
        const Verification found = verified(id);
        CHECK(found.level == Level::readable);
        for (const VerificationProblem& problem : found.problems)
            FAIL_CHECK(problem.object + ": " + problem.why);
    }
    // Found, named, and not taken for a fetch, which falls back to `older`.
    void check_damaged(const std::string& id, const std::string& object, const std::string& older) {
        INFO(id);
        const Verification found = verified(id);
        REQUIRE(found.problems.size() == 1);
        CHECK(found.problems[0].object == object);
        const Fetched fallen_back = fetched({id, older});
        CHECK(fallen_back.manifest.id == older);
        REQUIRE(fallen_back.refused.size() == 1);
        CHECK(fallen_back.refused[0].id == id);
    }
};

// With a small database to be dumped.
struct OthersWithPostgres : Others {
    ScratchPostgres server;

    explicit OthersWithPostgres(ForeignLayout made)
        : Others(std::move(made)),
          server(start_scratch_postgres({.folder = folder / "cluster", .nonce = "foreign-test"})) {
        PostgresConnection(server.target()).execute("create database shop");
        PostgresConnection(server.target("shop"))
            .execute(
                "create table orders(id serial primary key, name text);"
                "insert into orders(name) select 'order ' || i from generate_series(1, 3000) i");
    }
    ~OthersWithPostgres() { destroy_scratch_postgres(folder / "cluster"); }

    void make(const std::string& script, std::map<std::string, std::string> variables = {}) {
        variables["PATH"] = server.programs.string() + ":" + clean_environment().at("PATH");
        variables["PGHOST"] = server.host;
        variables["PGPORT"] = std::to_string(server.port);
        variables["PGUSER"] = server.user;
        variables["PGDATABASE"] = "shop";
        Others::make(script, std::move(variables));
    }
};

using Ids = std::vector<std::string>;

}  // namespace

TEST_CASE("R19 full backups as one archive are listed, chosen by time, verified and fetched") {
    OthersWithPostgres others({{part("full_backup_<time>.tar.gz", "archive", "%Y%m%d_%H%M%S")}});
    others.make(
        "mkdir ../live; cd ../live; mkdir config ssl; echo port=80 > config/app.conf; echo SECRET=1 > .env; "
        "ln -s /etc/ssl/certs ssl/certs");
    // the newest is made first
    for (const std::string time : {"20260203_020000", "20260202_020000", "20260201_020000"})
        others.make(
            R"(root=$PWD; mkdir "$TIMESTAMP"
               pg_dump --format=custom --compress=9 shop > "$TIMESTAMP/database.dump"
               printf 'REDIS0011\377' > "$TIMESTAMP/redis.rdb"
               tar -czf "$root/$TIMESTAMP/config.tar.gz" --exclude='*.log' -C ../live .env config/ ssl/
               printf 'Full Backup\nCreated: %s\n' "$TIMESTAMP" > "$TIMESTAMP/manifest.txt"
               tar -czf "full_backup_$TIMESTAMP.tar.gz" -C "$root" "$TIMESTAMP"
               rm -rf "$TIMESTAMP")",
            {{"TIMESTAMP", time}});
    others.make(
        "touch full_backup_20260230_020000.tar.gz full_backup_20260204_020000.tar.gz.part; ln -s "
        "full_backup_20260203_020000.tar.gz full_backup_latest.tar.gz");
    CHECK(others.ids() ==
          Ids{"2026-02-03T02-00-00Z", "2026-02-02T02-00-00Z", "2026-02-01T02-00-00Z", "20260230_020000 refused"});
    CHECK(others.chosen().eligible.at(0).id == "2026-02-03T02-00-00Z");
    CHECK(others.chosen({.before = at("2026-02-02T12:00:00Z")}).eligible.at(0).id == "2026-02-02T02-00-00Z");

    others.check_whole("2026-02-02T02-00-00Z");
    const Fetched fetched = others.fetched({"2026-02-02T02-00-00Z"});
    CHECK(fetched.components.at("archive") == fetched.folder / "archive/full_backup_20260202_020000.tar.gz");
    CHECK(bytes_of(fetched.components.at("archive")) == bytes_of(others.stored("full_backup_20260202_020000.tar.gz")));
    others.make(
        "tar -xzf \"$ARCHIVE\" -C ../work; pg_restore --list ../work/20260202_020000/database.dump | grep -q "
        "'TABLE DATA public orders'; rm -rf ../work/*",
        {{"ARCHIVE", fetched.components.at("archive").string()}});

    const std::string newest = "full_backup_20260203_020000.tar.gz";
    const std::string whole = bytes_of(others.stored(newest));
    others.flip(newest, whole.size() / 2);
    others.check_damaged("2026-02-03T02-00-00Z", "archive", "2026-02-02T02-00-00Z");
    overwrite(others.stored(newest), whole);
    others.cut(newest, whole.size() - 1);
    others.check_damaged("2026-02-03T02-00-00Z", "archive", "2026-02-01T02-00-00Z");
}

TEST_CASE("dumps of pg_dump in all four formats are listed, chosen by time, verified and fetched") {
    OthersWithPostgres others({{part("idkarr-db-<time>.dump", "postgres"), part("idkarr-db-<time>.sql", "postgres"),
                                part("idkarr-db-<time>.tar", "postgres"), part("idkarr-db-<time>/<**>", "postgres")}});
    const std::string dump = "pg_dump -d shop -F \"$FLAG\" $MORE -f \"idkarr-db-$TIME$EXTENSION\"";
    // as `new Date().toISOString().replace(/[:.]/g, '-')` has it
    others.make(dump, {{"FLAG", "d"}, {"MORE", "-Z 6 -j 2"}, {"TIME", "2026-02-04T02-00-00-417Z"}, {"EXTENSION", ""}});
    others.make(dump, {{"FLAG", "t"}, {"MORE", ""}, {"TIME", "2026-02-03T02-00-00-000Z"}, {"EXTENSION", ".tar"}});
    others.make(dump, {{"FLAG", "p"}, {"MORE", ""}, {"TIME", "2026-02-02T02-00-00-000Z"}, {"EXTENSION", ".sql"}});
    others.make(dump, {{"FLAG", "c"}, {"MORE", "-Z 9"}, {"TIME", "2026-02-01T02-00-00-000Z"}, {"EXTENSION", ".dump"}});
    const Ids all{"2026-02-04T02-00-00.417Z", "2026-02-03T02-00-00Z", "2026-02-02T02-00-00Z", "2026-02-01T02-00-00Z"};
    CHECK(others.ids() == all);
    CHECK(others.chosen({.before = at("2026-02-04T02:00:00.416Z")}).eligible.at(0).id == "2026-02-03T02-00-00Z");
    for (const std::string& id : all)
        others.check_whole(id);

    const Fetched folder = others.fetched({all[0]});
    CHECK(folder.components.at("postgres") == folder.folder / "postgres");
    CHECK(bytes_of(folder.folder / "postgres/toc.dat") ==
          bytes_of(others.stored("idkarr-db-2026-02-04T02-00-00-417Z/toc.dat")));
    for (const std::string& id : {all[0], all[1], all[3]})
        others.make("pg_restore --list \"$DUMP\" | grep -q 'TABLE DATA public orders'",
                    {{"DUMP", others.fetched({id}).components.at("postgres").string()}});
    others.make(
        "psql -q --set ON_ERROR_STOP=1 -c 'create database back'; psql -q --set ON_ERROR_STOP=1 -d back -f "
        "\"$DUMP\" > ../work/out; test \"$(psql -d back -Atc 'select count(*) from orders')\" = 3000",
        {{"DUMP", others.fetched({all[2]}).components.at("postgres").string()}});

    others.cut("idkarr-db-2026-02-03T02-00-00-000Z.tar", 20000);
    others.check_damaged(all[1], "postgres", all[3]);
    std::string plain = bytes_of(others.stored("idkarr-db-2026-02-02T02-00-00-000Z.sql"));
    others.cut("idkarr-db-2026-02-02T02-00-00-000Z.sql", plain.size() / 2);
    others.check_damaged(all[2], "postgres", all[3]);
    std::string rows;
    for (const auto& file : fs::directory_iterator(others.stored("idkarr-db-2026-02-04T02-00-00-417Z")))
        if (file.path().extension() == ".gz" && fs::file_size(file.path()) > 1000) rows = file.path().filename();
    const std::string packed = "idkarr-db-2026-02-04T02-00-00-417Z/" + rows;
    const std::string whole = bytes_of(others.stored(packed));
    for (const std::size_t length : {std::size_t{0}, whole.size() / 3, whole.size() - 1}) {
        INFO(length);
        overwrite(others.stored(packed), whole.substr(0, length));
        others.check_damaged(all[0], "postgres", all[3]);
    }
    overwrite(others.stored(packed), whole);
    others.check_whole(all[0]);
    fs::remove(others.stored("idkarr-db-2026-02-04T02-00-00-417Z/toc.dat"));
    CHECK(others.ids() == Ids{all[1], all[2], all[3], all[0] + " refused"});
}

TEST_CASE("a dump and its files below one id are one backup, taken by its id alone") {
    OthersWithPostgres others({{part("database/<id>/dump.sql.gz", "postgres", "iso", "database"),
                                part("storage/<id>/<**>", "files", "iso", "storage")}});
    for (const std::string id : {"backup_1", "backup_2"})
        others.make(
            R"(pg_dump "postgresql://$PGUSER@$PGHOST:$PGPORT/shop" > "../work/$ID.sql"; gzip "../work/$ID.sql"
               mkdir -p "database/$ID" "storage/$ID/content" "storage/$ID/images"
               mv "../work/$ID.sql.gz" "database/$ID/dump.sql.gz"
               head -c 30000 /dev/urandom > "storage/$ID/images/a b%20+ü.png"; echo hello > "storage/$ID/content/x"
               : > "storage/$ID/content/empty")",
            {{"ID", id}});
    others.make(
        "mkdir -p database/latest database/half; cp database/backup_2/dump.sql.gz database/latest/; cp "
        "database/backup_2/dump.sql.gz database/half/");
    CHECK(others.ids() == Ids{"backup_2", "backup_1", "half refused"});
    const Selection none = others.chosen();
    CHECK(none.eligible.empty());
    CHECK(none.refused.at(0).why == "the time of its data is not known: it is only taken when its id is asked for");
    CHECK(others.chosen({.max_age = std::chrono::hours(1), .id = "backup_1"}).eligible.empty());
    REQUIRE(others.chosen({.id = "backup_1"}).eligible.size() == 1);
    CHECK(others.chosen({.id = "backup_1"}).eligible[0].id == "backup_1");

    others.check_whole("backup_1");
    const Fetched fetched = others.fetched({"backup_1"});
    CHECK(fetched.components.at("database") == fetched.folder / "database/dump.sql.gz");
    CHECK(fetched.components.at("storage") == fetched.folder / "storage");
    for (const std::string key : {"images/a b%20+ü.png", "content/x", "content/empty"})
        CHECK(bytes_of(fetched.folder / "storage" / key) == bytes_of(others.stored("storage/backup_1/" + key)));
    CHECK(fs::file_size(fetched.folder / "storage/content/empty") == 0);

    const std::string dump = "database/backup_2/dump.sql.gz";
    const std::string whole = bytes_of(others.stored(dump));
    others.cut(dump, whole.size() / 2);
    others.check_damaged("backup_2", "database", "backup_1");
    overwrite(others.stored(dump), whole);
    others.flip(dump, whole.size() / 2);
    others.check_damaged("backup_2", "database", "backup_1");
    overwrite(others.stored(dump), whole);
    others.check_whole("backup_2");
}

TEST_CASE("of exports with an alias for the newest, the dated ones count") {
    Others others({{part("data/backup_<time>.json", "json", "%Y-%m-%dT%H-%M-%S")}});
    others.make("mkdir data");
    for (const std::string time : {"2026-02-03T06-00-00", "2026-02-02T06-00-00", "2026-02-01T06-00-00"})
        others.make(
            R"(python3 -c 'import json, sys; json.dump({"version": "2.0.3", "media": [{"id": i} for i in range(500)],
                           "at": sys.argv[1]}, open("data/backup_latest.json", "w"), indent=2)' "$TIME"
               cp data/backup_latest.json "data/backup_$TIME.json")",
            {{"TIME", time}});
    const Ids all{"2026-02-03T06-00-00Z", "2026-02-02T06-00-00Z", "2026-02-01T06-00-00Z"};
    CHECK(others.ids() == all);
    CHECK(others.chosen().eligible.at(0).id == all[0]);
    for (const std::string& id : all)
        others.check_whole(id);
    const Fetched fetched = others.fetched({all[0]});
    CHECK(bytes_of(fetched.components.at("json")) == bytes_of(others.stored("data/backup_2026-02-03T06-00-00.json")));
    others.cut("data/backup_2026-02-03T06-00-00.json", 2000);
    others.check_damaged(all[0], "json", all[1]);
    // nothing beside it is taken for a part of it
    CHECK(others.ids() == all);
}

TEST_CASE("R18 a foreign backup that changed since it was chosen is not taken") {
    Others others({{part("<id>/<**>", "files")}});
    others.make("mkdir one two; echo a > one/a; echo b > one/b; echo c > two/c");
    const FetchRequest request = others.request({"one", "two"});
    others.make("echo x > one/b");
    const Fetched fetched = fetch_backup(request, others.work());
    CHECK(fetched.manifest.id == "two");
    REQUIRE(fetched.refused.size() == 1);
    CHECK(fetched.refused[0].why.find("is another one than was chosen") != std::string::npos);

    FetchRequest again = others.request({"one"});
    fs::remove(others.stored("one/a"));
    const Error error = error_of([&] { fetch_backup(again, others.work()); });
    CHECK(error.code == ErrorCode::no_candidate);
}

TEST_CASE("notes about a foreign backup lie beside it and hold until it changes") {
    Others others({{part("b_<time>.json", "json")}});
    others.make("echo {} > b_2026-02-01T02-00-00Z.json");
    const std::string id = "2026-02-01T02-00-00Z";
    CHECK(others.entry(id).verified.level == Level::listed);
    write_note(
        *others.nas, "old", id,
        verified_note(at("2026-02-02T00:00:00Z"), others.entry(id).manifest_sha256, Level::readable, Json::array()));
    CHECK(others.ids() == Ids{id});
    CHECK(others.entry(id).verified.level == Level::readable);
    others.make("echo '{\"a\": 1}' > b_2026-02-01T02-00-00Z.json");
    CHECK(others.entry(id).verified.level == Level::listed);
}
