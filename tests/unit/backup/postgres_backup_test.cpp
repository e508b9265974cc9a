#include "backup/creation.h"
#include "backup/fetch.h"
#include "backup/readable.h"
#include "sample.h"
#include "world/files.h"
#include "world/scratch.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

// One throw-away cluster with a small database for all that follows in a test.
struct Cluster : Bench {
    ScratchPostgres server;

    Cluster()
        : server(start_scratch_postgres(
              {.folder = folder / "cluster", .nonce = "backup-test", .password = Secret("geheim")})) {
        PostgresConnection maintenance(server.target());
        maintenance.execute("create role shop_owner");
        maintenance.execute("create database shop owner shop_owner");
        PostgresConnection shop(server.target("shop"));
        shop.execute("create extension if not exists plpgsql");
        shop.execute("create table orders(id serial primary key, name text)");
        shop.execute("insert into orders(name) select 'order ' || i from generate_series(1, 5000) i");
        shop.execute("create schema \"odd\"; create table odd.\"Mixed Case\"(x int)");
    }
    ~Cluster() { destroy_scratch_postgres(folder / "cluster"); }

    CreateRequest request(const std::string& format) {
        const PostgresTarget target = server.target("shop");
        return CreateRequest{
            .set = "shop",
            .id = "2026-02-10T12-00-00Z",
            .started_at = clock.now(),
            .claim = "run-1/save",
            .sources = {{.name = "db",
                         .from = PostgresSource{.target = target,
                                                .connect = [target] { return PostgresConnection(target); },
                                                .format = format}}},
            .stores = {nas}};
    }
    FetchRequest fetching(const CreatedBackup& created, Level level = Level::readable) {
        return FetchRequest{.set = "shop",
                            .candidates = {{created.manifest.id, "nas", created.manifest_sha256}},
                            .stores = {nas},
                            .folder = folder / "fetched",
                            .level = level};
    }
};

}  // namespace

TEST_CASE("a PostgreSQL database is backed up in all four formats, with what was measured in the same snapshot") {
    Cluster cluster;
    PostgresConnection clock_of_server(cluster.server.target());
    for (const auto& [format, path] : std::vector<std::pair<std::string, std::string>>{
             {"custom", "db/db.dump"}, {"directory", "db"}, {"tar", "db/db.tar"}, {"plain", "db/db.sql"}}) {
        DYNAMIC_SECTION(format) {
            const auto before = parse_timestamp(*clock_of_server.value(
                "select to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"));
            const CreatedBackup created = create_backup(cluster.request(format), cluster.clock, cluster.work());
            const ManifestComponent& component = created.manifest.components.at(0);
            CHECK(component.format == format);
            CHECK(component.consistent_at >= *before);
            CHECK(created.manifest.consistent_at == component.consistent_at);
            CHECK(component.facts.at("rows") == Json{{"public.orders", 5000}, {"odd.Mixed Case", 0}});
            CHECK(component.facts.at("encoding") == "UTF8");
            CHECK(component.facts.at("owner") == "shop_owner");
            CHECK(component.facts.at("roles") == Json::array({"shop_owner"}));
            CHECK(component.facts.at("extensions").contains("plpgsql"));
            CHECK(component.facts.at("database") == "shop");
            CHECK(component.facts.at("lsn").get<std::string>().find('/') != std::string::npos);
            CHECK(component.facts.at("timeline") == "1");
            CHECK_FALSE(component.facts.at("system_identifier").is_null());
            CHECK((component.objects.size() > 2) == (format == "directory"));
            CHECK(std::filesystem::is_empty(cluster.folder / "work"));

            const Fetched fetched = fetch_backup(cluster.fetching(created), cluster.work());
            CHECK(fetched.components.at("db") == fetched.folder / path);
        }
    }
}

TEST_CASE("schemas that are chosen and tables that are left out are so in the dump and in what was counted") {
    Cluster cluster;
    const auto dumped = [&](const std::vector<std::string>& schemas, const std::vector<std::string>& excluded,
                            const std::string& id) {
        CreateRequest request = cluster.request("plain");
        request.id = id;
        auto& source = std::get<PostgresSource>(request.sources[0].from);
        source.schemas = schemas;
        source.exclude_tables = excluded;
        const CreatedBackup created = create_backup(request, cluster.clock, cluster.work());
        return std::pair(created.manifest.components[0].facts.at("rows"),
                         bytes_of(cluster.folder.path() / "nas/shop" / id / "db/db.sql"));
    };
    const auto [without, dump] = dumped({}, {"odd.Mixed Case"}, "2026-02-10T12-00-00Z");
    CHECK(without == Json{{"public.orders", 5000}});
    CHECK(dump.find("Mixed Case") == std::string::npos);
    CHECK(dump.find("order 5000") != std::string::npos);
    const auto [only, odd] = dumped({"odd"}, {}, "2026-02-10T12-00-00Z-2");
    CHECK(only == Json{{"odd.Mixed Case", 0}});
    CHECK(odd.find("order 5000") == std::string::npos);
    CHECK(odd.find("Mixed Case") != std::string::npos);
}

TEST_CASE("R19 what is written after the snapshot is neither counted nor dumped, so the time is never too late") {
    Cluster cluster;
    CreateRequest request = cluster.request("plain");
    BackupWork work = cluster.work();
    bool written = false;
    work.progress = [&](const std::string& what, auto, auto) {
        if (written || what.find("counting the rows") == std::string::npos) return;
        written = true;
        PostgresConnection(cluster.server.target("shop")).execute("insert into orders(name) values ('too late')");
    };
    const CreatedBackup created = create_backup(request, cluster.clock, work);
    REQUIRE(written);
    CHECK(created.manifest.components[0].facts.at("rows").at("public.orders") == 5000);
    const std::string dump = bytes_of(cluster.folder / "nas/shop/2026-02-10T12-00-00Z/db/db.sql");
    CHECK(dump.find("order 5000") != std::string::npos);
    CHECK(dump.find("too late") == std::string::npos);
}

TEST_CASE("R8 a dump cut at every twentieth is not readable, though its list may be") {
    Cluster cluster;
    const CreatedBackup created = create_backup(cluster.request("custom"), cluster.clock, cluster.work());
    const ManifestComponent& component = created.manifest.components[0];
    const std::string whole = bytes_of(cluster.folder / "nas/shop/2026-02-10T12-00-00Z/db/db.dump");
    const std::filesystem::path cut = cluster.folder / "cut.dump";
    overwrite(cut, whole);
    CHECK_NOTHROW(require_readable(component, cut, cluster.work()));
    for (std::size_t twentieth = 0; twentieth < 20; ++twentieth) {
        INFO(twentieth);
        overwrite(cut, whole.substr(0, whole.size() * twentieth / 20));
        const Error error = error_of([&] { require_readable(component, cut, cluster.work()); });
        CHECK((error.code == ErrorCode::corrupt || error.code == ErrorCode::incomplete));
    }
}

TEST_CASE("R8 a plain dump without its last line is not readable") {
    Cluster cluster;
    const CreatedBackup created = create_backup(cluster.request("plain"), cluster.clock, cluster.work());
    const ManifestComponent& component = created.manifest.components[0];
    const std::string whole = bytes_of(cluster.folder / "nas/shop/2026-02-10T12-00-00Z/db/db.sql");
    const std::filesystem::path cut = cluster.folder / "cut.sql";
    overwrite(cut, whole);
    CHECK_NOTHROW(require_readable(component, cut, cluster.work()));
    for (std::size_t twentieth = 0; twentieth < 20; ++twentieth) {
        overwrite(cut, whole.substr(0, whole.size() * twentieth / 20));
        CHECK(error_of([&] { require_readable(component, cut, cluster.work()); }).code == ErrorCode::incomplete);
    }
}

TEST_CASE("R11 the password of a dumped database is in no file that stays") {
    Cluster cluster;
    create_backup(cluster.request("custom"), cluster.clock, cluster.work());
    for (const std::string root : {"nas", "work"})
        for (const auto& entry : std::filesystem::recursive_directory_iterator(cluster.folder / root))
            if (entry.is_regular_file()) CHECK(bytes_of(entry.path()).find("geheim") == std::string::npos);
    for (const std::string& line : cluster.logged)
        CHECK(line.find("geheim") == std::string::npos);
}

TEST_CASE("a database that is not there makes no backup") {
    Cluster cluster;
    CreateRequest request = cluster.request("custom");
    const PostgresTarget target = cluster.server.target("nothing");
    request.sources[0].from =
        PostgresSource{.target = target, .connect = [target] { return PostgresConnection(target); }};
    CHECK(error_of([&] { create_backup(request, cluster.clock, cluster.work()); }).code == ErrorCode::not_found);
    CHECK(read_catalogue("shop", {cluster.nas}).entries.empty());
}
