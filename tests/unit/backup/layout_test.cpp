#include "backup/layout.h"

#include "sample.h"

using namespace lifeboat;
using namespace lifeboat::test;

TEST_CASE("an id is the UTC second of the beginning, with a number where that was taken") {
    CHECK(backup_id(at("2026-02-01T02:00:00.999999Z")) == "2026-02-01T02-00-00Z");
    CHECK(backup_id(at("2026-02-01T03:00:00+01:00"), 2) == "2026-02-01T02-00-00Z-2");
    CHECK(time_of_backup_id("2026-02-01T02-00-00Z") == at("2026-02-01T02:00:00Z"));
    CHECK(time_of_backup_id("2026-02-01T02-00-00Z-17") == at("2026-02-01T02:00:00Z"));
}

TEST_CASE("what is no id is not taken for one") {
    for (const std::string text :
         {"", "latest", "2026-02-01T02-00-00", "2026-02-01T02:00:00Z", "2026-02-31T02-00-00Z", "2026-02-01T25-00-00Z",
          "2026-02-01T02-00-00Z-", "2026-02-01T02-00-00Z-1", "2026-02-01T02-00-00Z-02", "2026-02-01T02-00-00Z-x",
          "2026-02-01T02-00-00Zx", "2026-02-01 02-00-00Z", "2026-02-01T02-00-00Z-12345678"}) {
        INFO(text);
        CHECK_FALSE(time_of_backup_id(text));
    }
}

TEST_CASE("keys of a backup are as the design says") {
    CHECK(object_key("shop", "2026-02-01T02-00-00Z", "db/db.dump") == "shop/2026-02-01T02-00-00Z/db/db.dump");
    CHECK(manifest_key("shop", "2026-02-01T02-00-00Z") == "shop/2026-02-01T02-00-00Z/manifest.json");
    CHECK(note_key("shop", "2026-02-01T02-00-00Z", at("2026-02-02T03:04:05.678Z"), "verified") ==
          "shop/2026-02-01T02-00-00Z/notes/2026-02-02T03-04-05.678000Z-verified.json");
}

TEST_CASE("a note's name gives its time and kind back") {
    const auto name = parse_note_name("2026-02-02T03-04-05.678000Z-verified.json");
    REQUIRE(name);
    CHECK(name->at == at("2026-02-02T03:04:05.678Z"));
    CHECK(name->kind == "verified");
    for (const std::string text : {"", "verified.json", "2026-02-02T03-04-05Z.json", "2026-02-02T03-04-05Z-.json",
                                   "2026-02-02T03-04-05Z-verified.txt", "x2026-02-02T03-04-05Z-a.json"})
        CHECK_FALSE(parse_note_name(text));
}

TEST_CASE("names that would not be plain parts of a key are refused") {
    for (const std::string good : {"shop", "shop-db_2.old", "A1"})
        CHECK_NOTHROW(check_part_name(good, "component"));
    for (const std::string bad : {"", ".hidden", "..", "a/b", "a b", "größe", "notes", "SHA256SUMS", "manifest.json"}) {
        INFO(bad);
        CHECK(error_of([&] { check_part_name(bad, "component"); }).code == ErrorCode::refused);
    }
}
