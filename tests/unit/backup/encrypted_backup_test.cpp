#include "backup/creation.h"
#include "backup/fetch.h"
#include "backup/verification.h"
#include "sample.h"
#include "world/sqlite.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

EncryptionKey key_of(char digit) {
    return EncryptionKey(Secret(std::string(64, digit)), "backup_key");
}

struct Vault : Bench {
    const EncryptionKey key = key_of('a');
    const KeyRing keys{{key}};

    Vault() {
        SqliteDatabase database = SqliteDatabase::create(folder / "shop.db");
        database.execute("create table orders(id integer primary key, name text)");
        database.execute("insert into orders(name) values ('a very private name')");
        write_text(folder / "config/app.conf", "port = 80\n");
    }
    CreatedBackup create() {
        return create_backup({.set = "shop",
                              .id = "2026-02-10T12-00-00Z",
                              .started_at = clock.now(),
                              .claim = "run-1/save",
                              .sources = {{.name = "db", .from = SqliteSource{folder / "shop.db"}},
                                          {.name = "config", .from = FilesSource{folder / "config"}}},
                              .stores = stores,
                              .key = key},
                             clock, work());
    }
    Fetched fetch(const CreatedBackup& created, const KeyRing& with) {
        return fetch_backup({.set = "shop",
                             .candidates = {{created.manifest.id, "nas", created.manifest_sha256},
                                            {created.manifest.id, "offsite", created.manifest_sha256}},
                             .stores = stores,
                             .keys = with,
                             .folder = folder / "fetched"},
                            work());
    }
    Verification verify(Level level, const KeyRing& with) {
        const auto entry = read_entry(*nas, 0, "shop", "2026-02-10T12-00-00Z");
        REQUIRE(entry);
        return verify_backup(*nas, "shop", *entry, with, level, work());
    }
    std::filesystem::path stored(const std::string& path) {
        return folder.path() / "nas/shop/2026-02-10T12-00-00Z" / path;
    }
};

}  // namespace

TEST_CASE("what is encrypted is encrypted once, lies nowhere in the open and comes back") {
    Vault vault;
    const CreatedBackup created = vault.create();
    CHECK(created.manifest.encrypted());
    CHECK(std::filesystem::is_empty(vault.folder / "work"));
    for (const ManifestComponent& component : created.manifest.components) {
        for (const ManifestObject& object : component.objects) {
            const std::string bytes = bytes_of(vault.stored(object.key));
            CHECK(bytes == bytes_of(vault.folder.path() / "offsite/shop/2026-02-10T12-00-00Z" / object.key));
            CHECK(sha256_hex(bytes) == object.sha256);
            CHECK(bytes.size() == object.size.count);
            CHECK(bytes.find("private") == std::string::npos);
            CHECK(bytes.find("port = 80") == std::string::npos);
            REQUIRE(object.encryption);
            CHECK(object.encryption->key_hint == vault.key.hint());
        }
    }
    CHECK(parse_manifest(manifest_text(created.manifest), "it") == created.manifest);
    CHECK(vault.verify(Level::readable, vault.keys).level == Level::readable);

    const Fetched fetched = vault.fetch(created, vault.keys);
    const SqliteDatabase copy = look_at_sqlite(fetched.components.at("db"), vault.folder / "work");
    CHECK(copy.value("select name from orders") == "a very private name");
    CHECK(sha256_hex(bytes_of(fetched.components.at("config"))) ==
          fetched.manifest.component("config")->objects.front().plain_sha256());
    // again: what is there is known by what the manifest says of the plain bytes
    CHECK(vault.fetch(created, vault.keys).kept == created.manifest.size().count);
}

TEST_CASE("without the key nothing is fetched, and no older backup is taken instead") {
    Vault vault;
    const CreatedBackup created = vault.create();
    for (const KeyRing& wrong : {KeyRing{}, KeyRing{{key_of('b')}}}) {
        const Error error = error_of([&] { vault.fetch(created, wrong); });
        CHECK(error.code == ErrorCode::denied);
        CHECK(error.message.find(vault.key.hint()) != std::string::npos);
        CHECK_FALSE(std::filesystem::exists(vault.folder / "fetched/2026-02-10T12-00-00Z"));
        // checksums of the stored bytes can be verified by whoever has no key
        CHECK(vault.verify(Level::checksummed, wrong).level == Level::checksummed);
        CHECK(error_of([&] { vault.verify(Level::readable, wrong); }).code == ErrorCode::denied);
    }
    const KeyRing with_old({key_of('b'), vault.key});
    CHECK(vault.fetch(created, with_old).refused.empty());
}

TEST_CASE("any flipped byte of an encrypted copy is found and named, and the other copy is taken") {
    Vault vault;
    const CreatedBackup created = vault.create();
    const std::string good = bytes_of(vault.stored("db/db.db"));
    for (std::size_t place = 0; place < good.size(); place += place < 200 ? 1 : 997) {
        std::string bad = good;
        bad[place] = static_cast<char>(bad[place] ^ 1);
        overwrite(vault.stored("db/db.db"), bad);
        const Verification found = vault.verify(Level::readable, vault.keys);
        CHECK(found.level == Level::complete);
        REQUIRE(found.problems.size() == 1);
        CHECK(found.problems.front().object == "db/db.db");
    }
    const Fetched fetched = vault.fetch(created, vault.keys);
    CHECK(fetched.from.store == "offsite");
    REQUIRE(fetched.refused.size() == 1);
    CHECK(fetched.refused.front().store == "nas");
}
