#include "backup/foreign.h"

#include <algorithm>
#include <random>

#include "base/text.h"
#include "sample.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

ForeignPart part(const std::string& pattern, const std::string& kind, const std::string& time = "iso",
                 const std::string& name = {}, bool optional = false, const std::string& zone = "UTC") {
    return {.pattern = NamePattern(pattern, time, zone),
            .component = name.empty() ? kind : name,
            .kind = kind,
            .optional = optional};
}

std::vector<StoredObject> objects_of(const std::vector<std::string>& keys) {
    std::vector<StoredObject> objects;
    for (const std::string& key : keys)
        objects.push_back(StoredObject{.key = key, .size = Bytes{10}, .modified = std::nullopt, .validator = "v1"});
    return objects;
}

// "<id> <time>: <component>/<format>=<key as stored>><key below the folder> …", or "<id> refused: <why>".
std::vector<std::string> lines_of(const std::vector<ForeignBackup>& backups) {
    std::vector<std::string> lines;
    for (const ForeignBackup& backup : backups) {
        if (!backup.manifest) {
            CHECK(backup.listing.empty());
            lines.push_back(backup.id + " refused: " + backup.refused);
            continue;
        }
        CHECK(backup.refused.empty());
        CHECK(backup.manifest->id == backup.id);
        CHECK(backup.manifest->set == "old");
        CHECK(is_foreign(*backup.manifest));
        std::string line = backup.id + " " +
                           (backup.manifest->time_known ? to_human(backup.manifest->consistent_at) : "unknown") + ":";
        for (const ManifestComponent& component : backup.manifest->components) {
            line += " " + component.name + "/" + component.format + "=";
            for (const ManifestObject& object : component.objects) {
                CHECK(object.sha256.empty());
                CHECK(stored_key(*backup.manifest, object) == object.stored_as);
                line += object.stored_as + ">" + object.key + ";";
            }
        }
        lines.push_back(line);
    }
    return lines;
}

std::vector<std::string> grouped(const ForeignLayout& layout, const std::vector<std::string>& keys) {
    return lines_of(group_foreign("old", layout, objects_of(keys)));
}

using Lines = std::vector<std::string>;

const ForeignLayout catalogizer{{part("full_backup_<time>.tar.gz", "archive", "%Y%m%d_%H%M%S")}};
const ForeignLayout idkarr{{part("idkarr-db-<time>.dump", "postgres"), part("idkarr-db-<time>.sql", "postgres"),
                            part("idkarr-db-<time>.tar", "postgres"), part("idkarr-db-<time>/<**>", "postgres")}};
const ForeignLayout story{
    {part("database/<id>/dump.sql.gz", "postgres", "iso", "db"), part("storage/<id>/<**>", "files", "iso", "storage")}};
const ForeignLayout jellyfin{{part("backup_<time>.json", "json", "%Y-%m-%d_%H-%M-%S")}};

}  // namespace

TEST_CASE("R19 one archive per backup, its time from its name in the zone that is given") {
    CHECK(grouped(catalogizer, {"full_backup_20260201_020000.tar.gz", "full_backup_20260203_020000.tar.gz",
                                "full_backup_20260202_020000.tar.gz.tmp", "config_backup_20260202_020000.tar.gz",
                                "20260201_020000/database.dump", "full_backup_latest.tar.gz"}) ==
          Lines{"2026-02-01T02-00-00Z 2026-02-01 02:00:00Z: "
                "archive/tar=full_backup_20260201_020000.tar.gz>archive/full_backup_20260201_020000.tar.gz;",
                "2026-02-03T02-00-00Z 2026-02-03 02:00:00Z: "
                "archive/tar=full_backup_20260203_020000.tar.gz>archive/full_backup_20260203_020000.tar.gz;"});
    const ForeignLayout east{{part("x/full_backup_<time>.tar.gz", "archive", "%Y%m%d_%H%M%S", "", false, "+02:00")}};
    CHECK(grouped(east, {"x/full_backup_20260201_003000.tar.gz"}) ==
          Lines{"2026-01-31T22-30-00Z 2026-01-31 22:30:00Z: "
                "archive/tar=x/full_backup_20260201_003000.tar.gz>archive/full_backup_20260201_003000.tar.gz;"});
}

TEST_CASE("a dump in any of pg_dump's formats is one backup, told by the ending") {
    CHECK(
        grouped(idkarr, {"idkarr-db-2026-02-01T02-00-00-123Z.dump", "idkarr-db-2026-02-02T02-00-00-000Z.sql",
                         "idkarr-db-2026-02-03T02:00:00Z.tar", "idkarr-db-2026-02-04T02-00-00-000Z/toc.dat",
                         "idkarr-db-2026-02-04T02-00-00-000Z/3360.dat.gz",
                         "idkarr-db-2026-02-05T02-00-00-000Z/3360.dat.gz", "idkarr-db-latest.dump"}) ==
        Lines{"2026-02-01T02-00-00.123Z 2026-02-01 02:00:00Z: "
              "postgres/custom=idkarr-db-2026-02-01T02-00-00-123Z.dump>postgres/"
              "idkarr-db-2026-02-01T02-00-00-123Z.dump;",
              "2026-02-02T02-00-00Z 2026-02-02 02:00:00Z: "
              "postgres/plain=idkarr-db-2026-02-02T02-00-00-000Z.sql>postgres/idkarr-db-2026-02-02T02-00-00-000Z.sql;",
              "2026-02-03T02-00-00Z 2026-02-03 02:00:00Z: "
              "postgres/tar=idkarr-db-2026-02-03T02:00:00Z.tar>postgres/idkarr-db-2026-02-03T02:00:00Z.tar;",
              "2026-02-04T02-00-00Z 2026-02-04 02:00:00Z: "
              "postgres/directory=idkarr-db-2026-02-04T02-00-00-000Z/3360.dat.gz>postgres/3360.dat.gz;"
              "idkarr-db-2026-02-04T02-00-00-000Z/toc.dat>postgres/toc.dat;",
              "2026-02-05T02-00-00Z refused: its dump in directory format has no 'toc.dat': it was never finished"});
}

TEST_CASE("what has the same id is one backup, its time is not known where the names state none") {
    CHECK(grouped(story, {"database/b1/dump.sql.gz", "storage/b1/images/a b.png", "storage/b1/content/ü/x+y%=.txt",
                          "database/b2/dump.sql.gz", "storage/b3/images/x", "database/latest/dump.sql.gz",
                          "storage/latest/images/x", "database/b1/dump.sql", "database/dump.sql.gz"}) ==
          Lines{"b1 unknown: db/plain=database/b1/dump.sql.gz>db/dump.sql.gz; "
                "storage/directory=storage/b1/content/ü/x+y%=.txt>storage/content/ü/x+y%=.txt;"
                "storage/b1/images/a b.png>storage/images/a b.png;",
                "b2 refused: it has no 'storage'", "b3 refused: it has no 'db'"});
    ForeignLayout relaxed = story;
    relaxed.parts[1].optional = true;
    CHECK(grouped(relaxed, {"database/b2/dump.sql.gz"}) ==
          Lines{"b2 unknown: db/plain=database/b2/dump.sql.gz>db/dump.sql.gz;"});
    // one of the parts knows the time
    const ForeignLayout timed{{part("db/<id>/<time>.sql.gz", "postgres"), part("files/<id>.tar", "files")}};
    CHECK(grouped(timed, {"db/b1/2026-02-01T02:00:00Z.sql.gz", "files/b1.tar"}) ==
          Lines{"b1 2026-02-01 02:00:00Z: postgres/plain=db/b1/2026-02-01T02:00:00Z.sql.gz>postgres/"
                "2026-02-01T02:00:00Z.sql.gz; files/tar=files/b1.tar>files/b1.tar;"});
}

TEST_CASE("'latest' is another backup once more and never one of its own") {
    CHECK(grouped(jellyfin, {"backup_latest.json", "backup_2026-02-01_02-00-00.json", "backup_.json",
                             "backup_2026-02-01_02-00-00.json.bak"}) ==
          Lines{"2026-02-01T02-00-00Z 2026-02-01 02:00:00Z: "
                "json/json=backup_2026-02-01_02-00-00.json>json/backup_2026-02-01_02-00-00.json;"});
    const ForeignLayout named{{part("backup_<id>.json", "json")}};
    CHECK(grouped(named, {"backup_latest.json", "backup_7.json"}) ==
          Lines{"7 unknown: json/json=backup_7.json>json/backup_7.json;"});
}

TEST_CASE("impossible times and names that cannot be used are listed as refused, never guessed at") {
    CHECK(
        grouped(jellyfin, {"backup_2026-02-30_02-00-00.json", "backup_2026-02-28_25-00-00.json"}) ==
        Lines{"2026-02-28_25-00-00 refused: '2026-02-28_25-00-00' in the name of 'backup_2026-02-28_25-00-00.json' is "
              "no time",
              "2026-02-30_02-00-00 refused: '2026-02-30_02-00-00' in the name of 'backup_2026-02-30_02-00-00.json' is "
              "no time"});
    const std::string why = "' cannot be the name of a backup";
    for (const std::string id : {".hidden", "a b", "ü", "notes", "a\\b", "$(x)", "-rf x"})
        CHECK(grouped(story, {"database/" + id + "/dump.sql.gz"}) == Lines{id + " refused: '" + printable(id) + why});
    // keys that no store should give
    CHECK(grouped(story, {"storage/b1/../../etc/passwd", "/storage/b1/x", "storage/b1//x", "storage/b1/a\nb"}).empty());
    CHECK(grouped(story, {"database/b1/dump.sql.gz", "storage/b1/a", "storage/b1/a-b", "storage/b1/a/b"}) ==
          Lines{"b1 refused: its 'storage/a' is an object and a folder at once"});
    const std::string deep =
        std::string(250, 'x') + "/" + std::string(250, 'x') + "/" + std::string(250, 'x') + "/" + std::string(250, 'x');
    const ForeignLayout files{{part("<id>/<**>", "files", "iso", std::string(60, 'f'))}};
    const Lines lines = grouped(files, {"b1/" + deep});
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].ends_with("has no place in a folder: it is longer than 1024 bytes"));
}

TEST_CASE("two backups of one second are two, in the order of their keys") {
    CHECK(grouped(idkarr, {"idkarr-db-2026-02-01T02-00-00Z.sql", "idkarr-db-2026-02-01T02-00-00Z.dump",
                           "idkarr-db-2026-02-01T02:00:00Z.dump"}) ==
          Lines{"2026-02-01T02-00-00Z 2026-02-01 02:00:00Z: "
                "postgres/custom=idkarr-db-2026-02-01T02-00-00Z.dump>postgres/idkarr-db-2026-02-01T02-00-00Z.dump;",
                "2026-02-01T02-00-00Z-2 2026-02-01 02:00:00Z: "
                "postgres/plain=idkarr-db-2026-02-01T02-00-00Z.sql>postgres/idkarr-db-2026-02-01T02-00-00Z.sql;",
                "2026-02-01T02-00-00Z-3 2026-02-01 02:00:00Z: "
                "postgres/custom=idkarr-db-2026-02-01T02:00:00Z.dump>postgres/idkarr-db-2026-02-01T02:00:00Z.dump;"});
    // with several components nothing says which belongs to which
    const ForeignLayout pair{{part("<*>_<time>.sql", "postgres"), part("files_<time>.tar", "files")}};
    CHECK(
        grouped(pair, {"a_2026-02-01T02-00-00Z.sql", "b_2026-02-01T02-00-00Z.sql", "files_2026-02-01T02-00-00Z.tar"}) ==
        Lines{"2026-02-01T02-00-00Z refused: 'a_2026-02-01T02-00-00Z.sql' and 'b_2026-02-01T02-00-00Z.sql' are both "
              "its 'postgres': which one belongs to it is not known"});
    const ForeignLayout hosts{{part("<id>_<time>.sql", "postgres")}};
    CHECK(grouped(hosts, {"web1_2026-02-01T02-00-00Z.sql", "web2_2026-02-01T02-00-00Z.sql"}) ==
          Lines{"2026-02-01T02-00-00Z-web1 2026-02-01 02:00:00Z: "
                "postgres/plain=web1_2026-02-01T02-00-00Z.sql>postgres/web1_2026-02-01T02-00-00Z.sql;",
                "2026-02-01T02-00-00Z-web2 2026-02-01 02:00:00Z: "
                "postgres/plain=web2_2026-02-01T02-00-00Z.sql>postgres/web2_2026-02-01T02-00-00Z.sql;"});
}

TEST_CASE("R18 the order of a listing changes nothing, a change of any object changes the listing's text") {
    std::vector<std::string> keys{"database/b1/dump.sql.gz", "database/b2/dump.sql.gz"};
    for (int i = 0; i < 20; ++i)
        for (const char* id : {"b1", "b2"})
            keys.push_back("storage/" + std::string(id) + "/images/" + std::to_string(i));
    std::vector<StoredObject> objects = objects_of(keys);
    const auto texts = [](const std::vector<ForeignBackup>& backups) {
        Lines lines;
        for (const ForeignBackup& backup : backups)
            lines.push_back(backup.listing);
        return lines;
    };
    const Lines sorted = texts(group_foreign("old", story, objects));
    REQUIRE(sorted.size() == 2);
    std::mt19937 random(7);
    for (int round = 0; round < 50; ++round) {
        std::shuffle(objects.begin(), objects.end(), random);
        REQUIRE(texts(group_foreign("old", story, objects)) == sorted);
    }
    for (std::size_t i = 0; i < objects.size(); ++i) {
        const bool first = objects[i].key.find("/b1/") != std::string::npos;
        for (const bool by_size : {true, false}) {
            std::vector<StoredObject> changed = objects;
            if (by_size)
                changed[i].size.count += 1;
            else
                changed[i].validator = "v2";
            const Lines other = texts(group_foreign("old", story, changed));
            CHECK((other[0] != sorted[0]) == first);
            CHECK((other[1] != sorted[1]) == !first);
        }
    }
}

TEST_CASE("notes that lifeboat leaves are no part of a backup") {
    const ForeignLayout wide{{part("<id>/<**>", "files")}};
    CHECK(
        grouped(wide, {"b1/a", "old/b1/notes/2026-02-03T00-00-00.000000Z-verified.json", "old/b1/notes/readme.json"}) ==
        Lines{"b1 unknown: files/directory=b1/a>files/a;",
              "old unknown: files/directory=old/b1/notes/readme.json>files/b1/notes/readme.json;"});
}
