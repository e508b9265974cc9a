#include "backup/catalogue.h"

#include <random>

#include "sample.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

std::vector<std::string> lines_of(const Catalogue& catalogue) {
    std::vector<std::string> lines;
    for (const CatalogueEntry& entry : catalogue.entries)
        lines.push_back(entry.id + " " + entry.store + (entry.manifest ? "" : " refused"));
    return lines;
}

}  // namespace

TEST_CASE("R18 the catalogue is newest first by the data's own time, then by id, then by store") {
    Bench bench;
    // an id begun later may hold older data
    Manifest late = sample_manifest("shop", at("2026-02-03T02:00:00Z"), "a");
    late.consistent_at = late.components[0].consistent_at = at("2026-02-01T00:00:00Z");
    bench.put(*bench.nas, late, "a");
    for (const int number : {1, 2, 10}) {
        const Manifest manifest = sample_manifest("shop", at("2026-02-02T02:00:00Z"), "a", number);
        bench.put(*bench.offsite, manifest, "a");
        if (number == 2) bench.put(*bench.nas, manifest, "a");
    }
    CHECK(lines_of(read_catalogue("shop", bench.stores)) ==
          std::vector<std::string>{"2026-02-02T02-00-00Z-10 offsite", "2026-02-02T02-00-00Z-2 nas",
                                   "2026-02-02T02-00-00Z-2 offsite", "2026-02-02T02-00-00Z offsite",
                                   "2026-02-03T02-00-00Z nas"});
}

TEST_CASE("without a manifest a backup does not exist, and other files are left alone") {
    Bench bench;
    bench.nas->write("shop/2026-02-01T02-00-00Z/config/config.tar", content_of("half"), {}, {});
    bench.nas->write("shop/latest/manifest.json", content_of("{}"), {}, {});
    bench.nas->write("shop/readme.txt", content_of("hello"), {}, {});
    bench.put(*bench.nas, sample_manifest("other", at("2026-02-02T02:00:00Z"), "a"), "a");
    const Catalogue catalogue = read_catalogue("shop", bench.stores);
    CHECK(catalogue.entries.empty());
    CHECK(catalogue.troubles.empty());
}

TEST_CASE("R18 damaged, empty and foreign manifests are listed as refused, with the reason") {
    Bench bench;
    const Manifest good = sample_manifest("shop", at("2026-02-02T02:00:00Z"), "a");
    bench.put(*bench.nas, good, "a");
    bench.nas->write("shop/2026-02-03T02-00-00Z/manifest.json", content_of(""), {}, {});
    bench.nas->write("shop/2026-02-04T02-00-00Z/manifest.json", content_of(manifest_text(good)), {}, {});
    bench.nas->write("shop/2026-02-05T02-00-00Z/manifest.json", content_of(manifest_text(good).substr(0, 100)), {}, {});
    const Catalogue catalogue = read_catalogue("shop", bench.stores);
    CHECK(lines_of(catalogue) ==
          std::vector<std::string>{"2026-02-02T02-00-00Z nas", "2026-02-05T02-00-00Z nas refused",
                                   "2026-02-04T02-00-00Z nas refused", "2026-02-03T02-00-00Z nas refused"});
    CHECK(catalogue.entries[3].refused == "manifest of backup '2026-02-03T02-00-00Z': it is empty");
    CHECK(catalogue.entries[2].refused ==
          "manifest of backup '2026-02-04T02-00-00Z': it belongs to backup '2026-02-02T02-00-00Z' of set 'shop'");
    CHECK(catalogue.entries[1].refused.starts_with(
        "manifest of backup '2026-02-05T02-00-00Z': 'manifest.json' is not valid JSON at line 6"));
}

TEST_CASE("a store that cannot be read is named, the others still count") {
    Bench bench;
    bench.put(*bench.offsite, sample_manifest("shop", at("2026-02-02T02:00:00Z"), "a"), "a");
    std::filesystem::remove(bench.folder / "nas");
    const Catalogue catalogue = read_catalogue("shop", bench.stores);
    CHECK(lines_of(catalogue) == std::vector<std::string>{"2026-02-02T02-00-00Z offsite"});
    REQUIRE(catalogue.troubles.size() == 1);
    CHECK(catalogue.troubles[0].store == "nas");
    CHECK(catalogue.troubles[0].error.code == ErrorCode::unreachable);
}

TEST_CASE("the order of backups is total: every shuffle sorts to the same list") {
    std::vector<CatalogueEntry> entries;
    for (int day = 1; day <= 3; ++day)
        for (const int number : {1, 2, 11})
            for (const char* store : {"nas", "offsite"}) {
                const Manifest manifest =
                    sample_manifest("shop", at("2026-02-0" + std::to_string(day) + "T02:00:00Z"), "a", number);
                CatalogueEntry entry{.id = manifest.id, .store = store, .store_rank = *store == 'n' ? 0U : 1U};
                if (day != 2) entry.manifest = manifest;
                // equal times: only the ids tell them apart
                if (day == 3) entry.manifest->consistent_at = at("2026-02-01T02:00:00Z");
                entries.push_back(entry);
            }
    std::sort(entries.begin(), entries.end(), comes_first);
    const Catalogue sorted{.entries = entries};
    std::mt19937 random(11);
    for (int round = 0; round < 200; ++round) {
        Catalogue shuffled{.entries = entries};
        std::shuffle(shuffled.entries.begin(), shuffled.entries.end(), random);
        std::sort(shuffled.entries.begin(), shuffled.entries.end(), comes_first);
        CHECK(lines_of(shuffled) == lines_of(sorted));
    }
    for (const CatalogueEntry& a : entries)
        for (const CatalogueEntry& b : entries)
            CHECK((&a == &b || comes_first(a, b) != comes_first(b, a)));
}

TEST_CASE("notes tell every machine how far a backup was verified") {
    Bench bench;
    const Manifest manifest = sample_manifest("shop", at("2026-02-02T02:00:00Z"), "a");
    const std::string sha256 = bench.put(*bench.nas, manifest, "a");
    const auto verified = [&] { return read_catalogue("shop", {bench.nas}).entries.at(0).verified; };
    const auto note = [&](const std::string& when, const std::string& about, Level level, const Json& problems) {
        write_note(*bench.nas, "shop", manifest.id, verified_note(at(when), about, level, problems));
    };
    CHECK(verified().level == Level::listed);
    CHECK_FALSE(verified().at);

    note("2026-02-03T00:00:00Z", sha256, Level::readable, Json::array());
    note("2026-02-03T00:00:00Z", sha256, Level::complete, Json::array());  // the same instant: a name of its own
    note("2026-02-04T00:00:00Z", "another manifest", Level::queried, Json::array());
    bench.nas->write("shop/" + manifest.id + "/notes/2026-02-09T00-00-00.000000Z-verified.json", content_of("{"), {},
                     {});
    CHECK(verified().level == Level::readable);
    CHECK(verified().at == at("2026-02-03T00:00:00Z"));
    CHECK_FALSE(verified().damaged);

    note("2026-02-05T00:00:00Z", sha256, Level::complete, {{{"object", "config/config.tar"}, {"why", "flipped"}}});
    CHECK(verified().level == Level::complete);
    CHECK(verified().damaged);
    note("2026-02-06T00:00:00Z", sha256, Level::checksummed, Json::array());
    CHECK(verified().level == Level::checksummed);
    CHECK(verified().at == at("2026-02-06T00:00:00Z"));
    CHECK_FALSE(verified().damaged);
}
