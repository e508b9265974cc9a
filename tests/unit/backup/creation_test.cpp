#include "backup/creation.h"

#include "backup/fetch.h"
#include "backup/verification.h"
#include "sample.h"
#include "world/sqlite.h"
#include "world/tree.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

struct Shop : Bench {
    Shop() {
        SqliteDatabase database = SqliteDatabase::create(folder / "shop.db");
        database.execute("create table orders(id integer primary key, name text)");
        database.execute("insert into orders(name) values ('a'), ('b'), ('c')");
        database.execute("create table \"odd \"\"name\"(x)");
        write_text(folder / "config/app.conf", "port = 80\n");
        write_text(folder / "config/sub/more.conf", "x\n");
    }
    CreateRequest request(const std::string& id = "2026-02-10T12-00-00Z") {
        return CreateRequest{.set = "shop",
                             .id = id,
                             .started_at = clock.now(),
                             .claim = "run-1/save",
                             .sources = {{.name = "db", .from = SqliteSource{folder / "shop.db"}},
                                         {.name = "config", .from = FilesSource{folder / "config"}}},
                             .stores = stores};
    }
    std::vector<std::string> keys(Store& store) {
        std::vector<std::string> found;
        store.list({},
                   [&](std::span<const Listed> page) {
                       for (const Listed& line : page)
                           found.push_back(line.object.key);
                       return true;
                   },
                   {});
        return found;
    }
    Verification verify(Store& store, Level level, const std::string& id = "2026-02-10T12-00-00Z") {
        const auto entry = read_entry(store, 0, "shop", id);
        REQUIRE(entry);
        return verify_backup(store, "shop", *entry, {}, level, work());
    }
};

}  // namespace

TEST_CASE("a backup of an SQLite database and a folder is whole in every store") {
    Shop shop;
    const CreatedBackup created = create_backup(shop.request(), shop.clock, shop.work());
    CHECK(created.stores == std::vector<std::string>{"nas", "offsite"});
    CHECK(created.troubles.empty());
    const std::vector<std::string> wanted{
        "shop/2026-02-10T12-00-00Z/SHA256SUMS", "shop/2026-02-10T12-00-00Z/config/config.tar",
        "shop/2026-02-10T12-00-00Z/db/db.db", "shop/2026-02-10T12-00-00Z/manifest.json",
        "shop/2026-02-10T12-00-00Z/notes/2026-02-10T12-00-00.000000Z-started.json"};
    CHECK(shop.keys(*shop.nas) == wanted);
    CHECK(shop.keys(*shop.offsite) == wanted);
    CHECK(std::filesystem::is_empty(shop.folder / "work"));

    const Manifest& manifest = created.manifest;
    CHECK(manifest.consistent_at == shop.clock.now());
    REQUIRE(manifest.components.size() == 2);
    CHECK(manifest.components[0].facts.at("rows") == Json{{"orders", 3}, {"odd \"name", 0}});
    CHECK(manifest.components[1].facts.at("entries") == 4);
    CHECK(manifest.components[1].facts.at("fingerprint") == fingerprint_tree(shop.folder / "config"));
    for (const auto& store : shop.stores) {
        const Verification verification = shop.verify(*store, Level::readable);
        CHECK(verification.level == Level::readable);
        CHECK(verification.problems.empty());
    }
    // by hand, with nothing of lifeboat
    const Command command{.argv = {"sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS"},
                          .environment = clean_environment(),
                          .folder = shop.folder / "nas/shop/2026-02-10T12-00-00Z"};
    CHECK(run_child(command, {}).exit_code == 0);
}

TEST_CASE("R27 rows that are still in the write-ahead log are in the backup") {
    Shop shop;
    SqliteDatabase writer = SqliteDatabase::open(shop.folder / "shop.db");
    writer.execute("pragma journal_mode = wal");
    writer.execute("insert into orders(name) values ('late')");
    const CreatedBackup created = create_backup(shop.request(), shop.clock, shop.work());
    CHECK(created.manifest.components[0].facts.at("rows").at("orders") == 4);
}

TEST_CASE("one store that fails does not stop the others, and nothing half made stays in it") {
    Shop shop;
    // an object already there under the claimed id, as a failing store could leave it
    shop.nas->write("shop/2026-02-10T12-00-00Z/SHA256SUMS", content_of("foreign"), {}, {});
    const CreatedBackup created = create_backup(shop.request(), shop.clock, shop.work());
    CHECK(created.stores == std::vector<std::string>{"offsite"});
    REQUIRE(created.troubles.size() == 1);
    CHECK(created.troubles[0].store == "nas");
    CHECK(created.troubles[0].error.code == ErrorCode::already_exists);
    CHECK(read_catalogue("shop", {shop.nas}).entries.empty());
    CHECK(shop.verify(*shop.offsite, Level::checksummed).problems.empty());
}

TEST_CASE("when no store takes the backup, the first one's error is told") {
    Shop shop;
    shop.stores = {std::make_shared<LocalStore>("gone", shop.folder / "not/there")};
    const Error error = error_of([&] { create_backup(shop.request(), shop.clock, shop.work()); });
    CHECK(error.code == ErrorCode::unreachable);
    CHECK(error.trail == std::vector<std::string>{"writing backup '2026-02-10T12-00-00Z' of set 'shop'"});
}

TEST_CASE("an id that somebody else has claimed meanwhile is theirs") {
    Shop shop;
    create_backup(shop.request(), shop.clock, shop.work());
    const std::vector<std::string> before = shop.keys(*shop.nas);
    CreateRequest second = shop.request();
    second.claim = "run-2/save";
    CHECK(error_of([&] { create_backup(second, shop.clock, shop.work()); }).code == ErrorCode::moved);
    CHECK_FALSE(remove_claimed(*shop.nas, "shop", second.id, second.claim));
    CHECK(shop.keys(*shop.nas) == before);
    CHECK(free_backup_id("shop", shop.stores, shop.clock.now()) == "2026-02-10T12-00-00Z-2");
}

TEST_CASE("a backup that was made can be removed by its claim, and only once") {
    Shop shop;
    create_backup(shop.request("2026-02-10T11-00-00Z"), shop.clock, shop.work());
    const std::vector<std::string> before = shop.keys(*shop.nas);
    create_backup(shop.request(), shop.clock, shop.work());
    CHECK(remove_claimed(*shop.nas, "shop", "2026-02-10T12-00-00Z", "run-1/save"));
    CHECK(shop.keys(*shop.nas) == before);
    CHECK_FALSE(remove_claimed(*shop.nas, "shop", "2026-02-10T12-00-00Z", "run-1/save"));

    // a removal that was killed half way goes on
    create_backup(shop.request(), shop.clock, shop.work());
    shop.nas->remove("shop/2026-02-10T12-00-00Z/manifest.json", {});
    shop.nas->remove("shop/2026-02-10T12-00-00Z/db/db.db", {});
    CHECK(remove_claimed(*shop.nas, "shop", "2026-02-10T12-00-00Z", "run-1/save"));
    CHECK(shop.keys(*shop.nas) == before);
}

TEST_CASE("a damaged SQLite database makes no backup") {
    Shop shop;
    std::string bytes = bytes_of(shop.folder / "shop.db");
    for (std::size_t i = 4096; i < 4200; ++i)
        bytes[i] = '\x7f';
    overwrite(shop.folder / "shop.db", bytes);
    CHECK(error_of([&] { create_backup(shop.request(), shop.clock, shop.work()); }).code == ErrorCode::corrupt);
    CHECK(shop.keys(*shop.nas).empty());
}

TEST_CASE("names that cannot be parts of keys are refused before anything is dumped") {
    Shop shop;
    CreateRequest request = shop.request();
    request.sources[0].name = "../db";
    CHECK(error_of([&] { create_backup(request, shop.clock, shop.work()); }).code == ErrorCode::refused);
}

TEST_CASE("flipping a byte of any object, of the checksums or of the manifest is found and named") {
    Shop shop;
    create_backup(shop.request(), shop.clock, shop.work());
    const std::filesystem::path folder = shop.folder / "nas/shop/2026-02-10T12-00-00Z";
    const std::vector<std::pair<std::string, std::string>> flips{
        {"db/db.db", "db/db.db"}, {"config/config.tar", "config/config.tar"}, {"SHA256SUMS", "SHA256SUMS"}};
    for (const auto& [file, named] : flips) {
        const std::string whole = bytes_of(folder / file);
        for (const std::size_t place : {std::size_t{0}, whole.size() / 2, whole.size() - 1}) {
            INFO(file << " at " << place);
            std::string bytes = whole;
            bytes[place] = static_cast<char>(bytes[place] ^ 0x10);
            overwrite(folder / file, bytes);
            const Verification verification = shop.verify(*shop.nas, Level::checksummed);
            REQUIRE(verification.problems.size() == 1);
            CHECK(verification.problems[0].object == named);
            CHECK(verification.level == (file == "SHA256SUMS" ? Level::listed : Level::complete));
        }
        overwrite(folder / file, whole);
    }
    const std::string manifest = bytes_of(folder / "manifest.json");
    for (std::size_t place = 0; place < manifest.size(); place += 7) {
        INFO("manifest at " << place);
        std::string bytes = manifest;
        bytes[place] = static_cast<char>(bytes[place] ^ 0x01);
        overwrite(folder / "manifest.json", bytes);
        const auto entry = read_entry(*shop.nas, 0, "shop", "2026-02-10T12-00-00Z");
        REQUIRE(entry);
        if (entry->manifest)
            CHECK_FALSE(verify_backup(*shop.nas, "shop", *entry, {}, Level::complete, shop.work()).problems.empty());
        else
            CHECK_FALSE(entry->refused.empty());
    }
}

TEST_CASE("verification names everything that is missing or has another size") {
    Shop shop;
    create_backup(shop.request(), shop.clock, shop.work());
    const std::filesystem::path folder = shop.folder / "nas/shop/2026-02-10T12-00-00Z";
    std::filesystem::remove(folder / "db/db.db");
    overwrite(folder / "config/config.tar", "short");
    std::filesystem::remove(folder / "SHA256SUMS");
    const Verification verification = shop.verify(*shop.nas, Level::readable);
    CHECK(verification.level == Level::listed);
    std::vector<std::string> named;
    for (const VerificationProblem& problem : verification.problems)
        named.push_back(problem.object);
    CHECK(named == std::vector<std::string>{"db/db.db", "config/config.tar", "SHA256SUMS"});
    CHECK(shop.verify(*shop.nas, Level::listed).problems.empty());
    CHECK(error_of([&] { shop.verify(*shop.nas, Level::restored); }).code == ErrorCode::unsupported);
}

TEST_CASE("what was made can be fetched, read and is what was there") {
    Shop shop;
    const CreatedBackup created = create_backup(shop.request(), shop.clock, shop.work());
    const FetchRequest request{.set = "shop",
                               .candidates = {{created.manifest.id, "nas", created.manifest_sha256}},
                               .stores = shop.stores,
                               .folder = shop.folder / "fetched"};
    const Fetched fetched = fetch_backup(request, shop.work());
    CHECK(fetched.components.at("db") == fetched.folder / "db/db.db");
    const SqliteDatabase copy = look_at_sqlite(fetched.components.at("db"), shop.folder / "work");
    CHECK(copy.value("select group_concat(name) from orders") == "a,b,c");
    CHECK(fetched.components.at("config") == fetched.folder / "config/config.tar");
}
