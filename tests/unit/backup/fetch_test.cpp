#include "backup/fetch.h"

#include "sample.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

struct Shelf : Bench {
    // Three days of backups in the NAS, newest first in `candidates`.
    std::vector<FetchCandidate> candidates;
    std::vector<Manifest> manifests;

    Shelf() {
        for (const char* day : {"2026-02-09", "2026-02-08", "2026-02-07"}) {
            const std::string content = content_of_day(day);
            manifests.push_back(sample_manifest("shop", at(std::string(day) + "T02:00:00Z"), content));
            candidates.push_back(FetchCandidate{
                .id = manifests.back().id, .store = "nas", .manifest_sha256 = put(*nas, manifests.back(), content)});
        }
    }
    static std::string content_of_day(const std::string& day) {
        std::string content;
        while (content.size() < 300000)
            content += "data of " + day + "\n";
        return content;
    }
    std::filesystem::path file(std::size_t which, const std::string& path = "config/config.tar",
                               const std::string& store = "nas") {
        return folder.path() / store / "shop" / candidates.at(which).id / path;
    }
    FetchRequest request() {
        return FetchRequest{.set = "shop",
                            .candidates = candidates,
                            .stores = stores,
                            .folder = folder / "fetched",
                            .level = Level::checksummed};
    }
    Fetched fetch() { return fetch_backup(request(), work()); }
};

}  // namespace

TEST_CASE("the first candidate is fetched whole, with its manifest") {
    Shelf shelf;
    const Fetched fetched = shelf.fetch();
    CHECK(fetched.from.id == "2026-02-09T02-00-00Z");
    CHECK(fetched.manifest == shelf.manifests[0]);
    CHECK(fetched.folder == shelf.folder / "fetched/2026-02-09T02-00-00Z");
    CHECK(fetched.components ==
          std::map<std::string, std::filesystem::path>{{"config", fetched.folder / "config/config.tar"}});
    CHECK(bytes_of(fetched.components.at("config")) == Shelf::content_of_day("2026-02-09"));
    CHECK(sha256_hex(bytes_of(fetched.folder / "manifest.json")) == shelf.candidates[0].manifest_sha256);
    CHECK(fetched.refused.empty());
}

TEST_CASE("R1 a candidate that is cut, flipped, missing or mislabelled is refused and the next older one taken") {
    using Damage = std::function<void(Shelf&, std::size_t)>;
    std::vector<std::pair<std::string, Damage>> damages;
    for (const std::size_t length : {std::size_t{0}, std::size_t{1}, std::size_t{4096}, std::size_t{150000}})
        damages.emplace_back("cut to " + std::to_string(length), [length](Shelf& shelf, std::size_t which) {
            std::filesystem::resize_file(shelf.file(which), length);
        });
    for (const std::size_t place : {std::size_t{0}, std::size_t{150000}, std::size_t{299999}})
        damages.emplace_back("flipped at " + std::to_string(place), [place](Shelf& shelf, std::size_t which) {
            std::string bytes = bytes_of(shelf.file(which));
            bytes[place] = static_cast<char>(bytes[place] ^ 1);
            overwrite(shelf.file(which), bytes);
        });
    damages.emplace_back("longer", [](Shelf& shelf, std::size_t which) {
        overwrite(shelf.file(which), bytes_of(shelf.file(which)) + "x");
    });
    damages.emplace_back("data gone",
                         [](Shelf& shelf, std::size_t which) { std::filesystem::remove(shelf.file(which)); });
    damages.emplace_back("manifest gone", [](Shelf& shelf, std::size_t which) {
        std::filesystem::remove(shelf.file(which, "manifest.json"));
    });
    damages.emplace_back("manifest of another backup", [](Shelf& shelf, std::size_t which) {
        overwrite(shelf.file(which, "manifest.json"), manifest_text(shelf.manifests[2]));
    });
    damages.emplace_back("manifest changed by one byte that still parses", [](Shelf& shelf, std::size_t which) {
        std::string text = bytes_of(shelf.file(which, "manifest.json"));
        text.replace(text.find("lifeboat 0.1.0"), 14, "lifeboat 0.1.1");
        overwrite(shelf.file(which, "manifest.json"), text);
    });
    damages.emplace_back("checksums that speak against the manifest", [](Shelf& shelf, std::size_t which) {
        std::string text = bytes_of(shelf.file(which, "SHA256SUMS"));
        text[text.rfind("  manifest.json") - 1] ^= 1;
        overwrite(shelf.file(which, "SHA256SUMS"), text);
    });
    for (const auto& [name, damage] : damages) {
        for (const std::size_t damaged : {std::size_t{1}, std::size_t{2}}) {
            DYNAMIC_SECTION(name << ", " << damaged << " in a row") {
                Shelf shelf;
                for (std::size_t which = 0; which < damaged; ++which)
                    damage(shelf, which);
                const Fetched fetched = shelf.fetch();
                CHECK(fetched.from.id == shelf.candidates[damaged].id);
                CHECK(fetched.manifest == shelf.manifests[damaged]);
                REQUIRE(fetched.refused.size() == damaged);
                for (std::size_t which = 0; which < damaged; ++which) {
                    CHECK(fetched.refused[which].id == shelf.candidates[which].id);
                    CHECK(fetched.refused[which].store == "nas");
                    CHECK_FALSE(fetched.refused[which].why.empty());
                    CHECK_FALSE(std::filesystem::exists(shelf.folder / "fetched" / shelf.candidates[which].id));
                }
            }
        }
    }
}

TEST_CASE("a lost SHA256SUMS is no reason to refuse data that is right") {
    Shelf shelf;
    std::filesystem::remove(shelf.file(0, "SHA256SUMS"));
    CHECK(shelf.fetch().from.id == shelf.candidates[0].id);
}

TEST_CASE("when no candidate will do, every reason is told") {
    Shelf shelf;
    for (std::size_t which = 0; which < 3; ++which)
        std::filesystem::resize_file(shelf.file(which), 10);
    std::vector<std::size_t> reported;
    FetchRequest request = shelf.request();
    request.refused = [&](const std::vector<FetchRefusal>& so_far) { reported.push_back(so_far.size()); };
    const Error error = error_of([&] { fetch_backup(request, shelf.work()); });
    CHECK(error.code == ErrorCode::no_candidate);
    CHECK(error.message == "none of 3 candidates of backup set 'shop' could be fetched");
    CHECK(reported == std::vector<std::size_t>{1, 2, 3});
    REQUIRE(error.details.at("refused").size() == 3);
    CHECK(error.details.at("refused").at(0) ==
          Json{{"id", "2026-02-09T02-00-00Z"},
               {"store", "nas"},
               {"why",
                "object 'shop/2026-02-09T02-00-00Z/config/config.tar' in store 'nas': it has 10 bytes instead of " +
                    std::to_string(Shelf::content_of_day("2026-02-09").size())},
               {"code", "corrupt"}});
}

TEST_CASE("a store that is out of reach is no reason to restore older data") {
    Shelf shelf;
    shelf.put(*shelf.offsite, shelf.manifests[1], Shelf::content_of_day("2026-02-08"));
    shelf.candidates[1].store = "offsite";
    std::filesystem::rename(shelf.folder / "nas", shelf.folder / "unmounted");
    const Error error = error_of([&] { shelf.fetch(); });
    CHECK(error.code == ErrorCode::unreachable);

    SECTION("but another store's copy of the same backup is taken") {
        shelf.put(*shelf.offsite, shelf.manifests[0], Shelf::content_of_day("2026-02-09"));
        FetchCandidate copy = shelf.candidates[0];
        copy.store = "offsite";
        shelf.candidates.insert(shelf.candidates.begin() + 1, copy);
        const Fetched fetched = shelf.fetch();
        CHECK(fetched.from.store == "offsite");
        CHECK(fetched.from.id == shelf.candidates[0].id);
        REQUIRE(fetched.refused.size() == 1);
        CHECK(fetched.refused[0].code == ErrorCode::unreachable);
    }
}

TEST_CASE("copies in two stores complete each other object by object") {
    Bench bench;
    Manifest manifest = sample_manifest("shop", at("2026-02-09T02:00:00Z"), "data");
    for (const char* name : {"b", "c"})
        manifest.components[0].objects.push_back(
            {.key = std::string("config/") + name, .size = Bytes{4}, .sha256 = sha256_hex("data")});
    const std::string sha256 = bench.put(*bench.nas, manifest, "data");
    bench.put(*bench.offsite, manifest, "data");
    overwrite(bench.folder / "nas/shop/2026-02-09T02-00-00Z/config/c", "dAta");
    overwrite(bench.folder / "offsite/shop/2026-02-09T02-00-00Z/config/config.tar", "dAta");
    const FetchRequest request{.set = "shop",
                               .candidates = {{manifest.id, "nas", sha256}, {manifest.id, "offsite", sha256}},
                               .stores = bench.stores,
                               .folder = bench.folder / "fetched",
                               .level = Level::checksummed};
    const Fetched fetched = fetch_backup(request, bench.work());
    CHECK(fetched.from.store == "offsite");
    CHECK(fetched.kept == 8);
    for (const char* name : {"config.tar", "b", "c"})
        CHECK(bytes_of(fetched.folder / "config" / name) == "data");
}

TEST_CASE("R15 a second attempt keeps what is verified and fetches the rest, and trusts no file it finds") {
    Bench bench;
    Manifest manifest = sample_manifest("shop", at("2026-02-09T02:00:00Z"), "data");
    for (const char* name : {"b", "c"})
        manifest.components[0].objects.push_back(
            {.key = std::string("config/") + name, .size = Bytes{4}, .sha256 = sha256_hex("data")});
    const std::string sha256 = bench.put(*bench.nas, manifest, "data");
    FetchRequest request{.set = "shop",
                         .candidates = {{manifest.id, "nas", sha256}},
                         .stores = bench.stores,
                         .folder = bench.folder / "fetched",
                         .level = Level::checksummed};
    const Fetched first = fetch_backup(request, bench.work());
    CHECK(first.kept == 0);
    // as a killed attempt and a bad disk leave it: one object missing, one wrong, a part behind
    std::filesystem::remove(first.folder / "config/b");
    overwrite(first.folder / "config/c", "dAta");
    overwrite(bench.folder / "fetched" / (manifest.id + ".part"), "da");
    const Fetched second = fetch_backup(request, bench.work());
    CHECK(second.kept == 4);
    for (const char* name : {"config.tar", "b", "c"})
        CHECK(bytes_of(second.folder / "config" / name) == "data");
    CHECK_FALSE(std::filesystem::exists(bench.folder / "fetched" / (manifest.id + ".part")));

    SECTION("what belongs to another manifest is not kept") {
        overwrite(first.folder / "manifest.json", "{}");
        overwrite(first.folder / "stray", "x");
        CHECK(fetch_backup(request, bench.work()).kept == 0);
        CHECK_FALSE(std::filesystem::exists(first.folder / "stray"));
    }
}

TEST_CASE("a fetch that is asked to stop stops, and refuses nothing for it") {
    Shelf shelf;
    std::stop_source stop;
    BackupWork work = shelf.work();
    work.control.stop = stop.get_token();
    stop.request_stop();
    FetchRequest request = shelf.request();
    request.refused = [](const auto&) { FAIL("refused because of a stop"); };
    CHECK(error_of([&] { fetch_backup(request, work); }).code == ErrorCode::cancelled);
}

TEST_CASE("R8 bytes that match their checksum but are no archive are refused before a restore begins") {
    Shelf shelf;
    FetchRequest request = shelf.request();
    request.level = Level::readable;
    const Error error = error_of([&] { fetch_backup(request, shelf.work()); });
    CHECK(error.code == ErrorCode::no_candidate);
    CHECK(error.details.at("refused").size() == 3);
}
