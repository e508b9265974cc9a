#include "base/name_pattern.h"

#include <catch2/catch.hpp>

#include "base/error.h"

using namespace lifeboat;

namespace {

// "<id>|<time>|<impossible>|<rest>", or "-" where the name does not match.
std::string read_by(const NamePattern& pattern, const std::string& name) {
    const auto match = pattern.match(name);
    if (!match) return "-";
    return match->id + "|" + (match->time ? to_text(*match->time) : "") + "|" + match->impossible + "|" + match->rest;
}

std::string refusal_of(const std::string& pattern, const std::string& format = "iso", const std::string& zone = "UTC") {
    try {
        const NamePattern unused(pattern, format, zone);
    } catch (const Error& error) {
        CHECK(error.code == ErrorCode::invalid_file);
        return error.message;
    }
    return "";
}

}  // namespace

TEST_CASE("R19 a time is read from the name by its format and its zone") {
    const NamePattern utc("full_backup_<time>.tar.gz", "%Y%m%d_%H%M%S", "UTC");
    CHECK(read_by(utc, "full_backup_20260201_020304.tar.gz") == "|2026-02-01T02:03:04.000000Z||");
    const NamePattern east("full_backup_<time>.tar.gz", "%Y%m%d_%H%M%S", "+02:00");
    CHECK(read_by(east, "full_backup_20260201_013000.tar.gz") == "|2026-01-31T23:30:00.000000Z||");
    const NamePattern west("b-<time>", "%d.%m.%Y", "-03:30");
    CHECK(read_by(west, "b-28.02.2026") == "|2026-02-28T03:30:00.000000Z||");
    for (const std::string near :
         {"full_backup_20260201_020304.tar.gz.part", "full_backup_20260201_020304.tar.g",
          "afull_backup_20260201_020304.tar.gz", "full_backup_20260201-020304.tar.gz",
          "full_backup_2026020_020304.tar.gz", "full_backup_latest.tar.gz", "full_backup_20260201_020304Z.tar.gz",
          "full_backup_.tar.gz", "", "x/full_backup_20260201_020304.tar.gz", "FULL_BACKUP_20260201_020304.tar.gz",
          "full_backup_+0260201_020304.tar.gz"}) {
        INFO(near);
        CHECK(read_by(utc, near) == "-");
    }
}

TEST_CASE("an impossible time is named, not rounded to a possible one") {
    const NamePattern pattern("b_<time>.json", "%Y-%m-%d_%H-%M-%S", "UTC");
    for (const std::string time :
         {"2026-02-30_00-00-00", "2025-02-29_00-00-00", "2026-13-01_00-00-00", "2026-00-10_00-00-00",
          "2026-04-31_00-00-00", "2026-01-01_24-00-00", "2026-01-01_00-60-00", "0000-01-01_00-00-00"})
        CHECK(read_by(pattern, "b_" + time + ".json") == "||" + time + "|");
    CHECK(read_by(pattern, "b_2024-02-29_23-59-60.json") == "|2024-02-29T23:59:59.000000Z||");
}

TEST_CASE("'iso' reads the spellings that names have") {
    const NamePattern pattern("db-<time>.dump", "iso", "+01:00");
    const std::string noon = "|2026-02-01T12:00:00.000000Z||";
    for (const std::string time :
         {"2026-02-01T12:00:00Z", "2026-02-01T12-00-00Z", "20260201T120000Z", "2026-02-01T13:00:00",
          "2026-02-01T13-00-00", "2026-02-01_13.00.00", "2026-02-01 13:00:00", "2026-02-01T14:00:00+02:00",
          "2026-02-01T14-00-00+0200", "2026-02-01T10-00-00-02-00", "2026-02-01T10-00-00-0200",
          "2026-02-01T12-00-00-000Z"}) {
        INFO(time);
        CHECK(read_by(pattern, "db-" + time + ".dump") == noon);
    }
    CHECK(read_by(pattern, "db-2026-02-01T12-00-00-123Z.dump") == "|2026-02-01T12:00:00.123000Z||");
    CHECK(read_by(pattern, "db-2026-02-01T12:00:00.5Z.dump") == "|2026-02-01T12:00:00.500000Z||");
    CHECK(read_by(pattern, "db-2026-02-30T12-00-00Z.dump") == "||2026-02-30T12-00-00Z|");
    for (const std::string near : {"2026-02-01", "2026-02-01T12-00", "2026-0201T12-00-00Z", "2026-02-01T12-00:00Z",
                                   "latest", "2026-02-01T12-00-00ZZ", "2026-02-01T12-00-00-12Z"}) {
        INFO(near);
        CHECK(read_by(pattern, "db-" + near + ".dump") == "-");
    }
    const NamePattern tagged("<time>-<id>.dump", "iso", "UTC");
    CHECK(read_by(tagged, "2026-02-01T12-00-00Z-a.dump") == "a|2026-02-01T12:00:00.000000Z||");
    CHECK(read_by(tagged, "2026-02-01T12-00-00-123.dump") == "123|2026-02-01T12:00:00.000000Z||");
}

TEST_CASE("placeholders for text stay within a part of the path, the rest goes on") {
    const NamePattern database("database/<id>/dump.sql.gz", "iso", "UTC");
    CHECK(read_by(database, "database/backup_17/dump.sql.gz") == "backup_17|||");
    CHECK(read_by(database, "database/a/b/dump.sql.gz") == "-");
    CHECK(read_by(database, "database//dump.sql.gz") == "-");
    const NamePattern storage("storage/<id>/<**>", "iso", "UTC");
    CHECK(read_by(storage, "storage/17/images/a b/ü.png") == "17|||images/a b/ü.png");
    CHECK(read_by(storage, "storage/17") == "-");
    CHECK(read_by(storage, "storage/17/") == "-");
    CHECK(storage.match("storage/17/images/x")->stem == "storage/17/");
    const NamePattern hosts("<*>/<id>_<time>.sql", "%Y%m%d", "UTC");
    CHECK(read_by(hosts, "web1/shop_orders_20260201.sql") == "shop_orders|2026-02-01T00:00:00.000000Z||");

    CHECK(database.prefix() == "database/");
    CHECK(storage.prefix() == "storage/");
    CHECK(hosts.prefix().empty());
    CHECK(storage.goes_deeper());
    CHECK(hosts.goes_deeper());
    CHECK_FALSE(NamePattern("backups/b_<time>.json", "iso", "UTC").goes_deeper());
}

TEST_CASE("a hostile name costs no more than its length") {
    std::string pattern = "<*>";
    for (int i = 0; i < 30; ++i)
        pattern += "a<*>";
    CHECK(read_by(NamePattern(pattern + "b", "iso", "UTC"), std::string(255, 'a')) == "-");
}

TEST_CASE("patterns, formats and zones that cannot be are refused with the reason") {
    CHECK(refusal_of("").starts_with("the pattern is empty"));
    CHECK(refusal_of("a_<tiem>") == "pattern 'a_<tiem>': '<tiem>' is no placeholder (did you mean 'time'?)");
    CHECK(refusal_of("a_<time") == "pattern 'a_<time': '<' begins no placeholder");
    CHECK(refusal_of("a>b") == "pattern 'a>b': '>' ends no placeholder");
    CHECK(refusal_of("<time>/<time>") == "pattern '<time>/<time>': '<time>' stands twice");
    CHECK(refusal_of("<id>/<**>/x") == "pattern '<id>/<**>/x': '<**>' stands before the end");
    CHECK(refusal_of("<id>-<**>") == "pattern '<id>-<**>': '<**>' stands for whole parts of the path");
    CHECK(refusal_of("<id><*>") == "pattern '<id><*>': two placeholders for any text stand side by side");
    for (const std::string path : {"/a/<time>", "a//<time>", "../<time>", "a/./<time>", "a/<time>/"})
        CHECK(refusal_of(path) == "pattern '" + path + "': it is no relative path");
    CHECK(refusal_of("<time>", "%Y%m%d%j") ==
          "'%Y%m%d%j' is no format of a time: '%j' is not one of %Y %m %d %H %M %S");
    CHECK(refusal_of("<time>", "%Y%m") == "'%Y%m' is no format of a time: '%d' is missing");
    CHECK(refusal_of("<time>", "%Y%m%d%M") ==
          "'%Y%m%d%M' is no format of a time: it has minutes or seconds without what is above");
    CHECK(refusal_of("<time>", "%Y%m%d%") == "'%Y%m%d%' is no format of a time: it ends in '%'");
    CHECK(refusal_of("<time>", "%Y/%m/%d") ==
          "'%Y/%m/%d' is no format of a time: a time does not go over several parts of a path");
    for (const std::string zone : {"Europe/Berlin", "CET", "", "+2", "02:00", "+02:00x", "+25:00", "+02:60"})
        CHECK(refusal_of("<time>", "iso", zone) == "'" + zone + "' is no fixed zone");
    CHECK(refusal_of("<time>", "iso", "-05:30").empty());
}
