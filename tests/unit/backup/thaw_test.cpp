#include "backup/thaw.h"

#include "backup/fetch.h"
#include "backup/selection.h"
#include "backup/verification.h"
#include "cold_store.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

// A backup of three objects in the NAS and (newer) in Glacier, and what is said while it is fetched.
struct Glacier : Bench {
    std::shared_ptr<ColdStore> cold = std::make_shared<ColdStore>(offsite);
    Stores both{nas, cold};
    Manifest older = sample_manifest("shop", at("2026-02-08T02:00:00Z"), "data");
    Manifest newer = sample_manifest("shop", at("2026-02-09T02:00:00Z"), "data");
    std::string older_sha256;
    std::string newer_sha256;
    std::vector<std::string> progress;

    Glacier() {
        for (Manifest* manifest : {&older, &newer})
            for (const char* name : {"b", "c"})
                manifest->components[0].objects.push_back(
                    {.key = std::string("config/") + name, .size = Bytes{4}, .sha256 = sha256_hex("data")});
        older_sha256 = put(*nas, older, "data");
        newer_sha256 = put(*offsite, newer, "data");
        cold->freeze("shop/" + newer.id + "/");
    }
    BackupWork watched() {
        BackupWork watched = work();
        watched.progress = [this](const std::string& what, auto, auto) {
            if (!what.starts_with("waiting for ")) return;
            if (progress.empty() || progress.back() != what) progress.push_back(what);
        };
        return watched;
    }
    FetchRequest request() {
        return FetchRequest{
            .set = "shop",
            .candidates = {{newer.id, "offsite", newer_sha256}, {older.id, "nas", older_sha256}},
            .stores = both,
            .folder = folder / "fetched",
            .level = Level::checksummed,
            .waiting = cold->waiting(),
        };
    }
    std::vector<std::string> keys() const { return stored_keys(newer); }
};

}  // namespace

TEST_CASE("a backup in cold storage is asked for once, waited for, and fetched") {
    Glacier glacier;
    const Timestamp begun = glacier.cold->now;
    const Fetched fetched = fetch_backup(glacier.request(), glacier.watched());
    CHECK(fetched.from.id == glacier.newer.id);
    CHECK(fetched.refused.empty());
    CHECK(bytes_of(fetched.folder / "config/c") == "data");
    CHECK(glacier.cold->asked == glacier.keys());
    const Duration waited = glacier.cold->now - begun;
    CHECK(waited >= std::chrono::hours(5));
    CHECK(waited <= std::chrono::hours(5) + std::chrono::minutes(5));
    CHECK(glacier.progress.front() ==
          "waiting for 3 archived objects of backup '2026-02-09T02-00-00Z' in store 'offsite'; "
          "asked at 2026-02-10 12:00:00Z");
    CHECK(glacier.logged == std::vector<std::string>{
                                "asked store 'offsite' for 3 archived objects of backup '2026-02-09T02-00-00Z'",
                                "store 'offsite' has thawed backup '2026-02-09T02-00-00Z' after " + to_human(waited)});
    CHECK_FALSE(std::filesystem::exists(glacier.folder / "fetched" / (glacier.newer.id + ".asked")));
}

TEST_CASE("looks at what is thawed come at growing distances, and signs of life in between") {
    Glacier glacier;
    fetch_backup(glacier.request(), glacier.watched());
    CHECK(std::all_of(glacier.cold->pauses.begin(), glacier.cold->pauses.end(),
                      [](Duration pause) { return pause <= std::chrono::seconds(5); }));
    // 1 s, 2 s, 4 s … 256 s, then every five minutes; each look ends at the first object that is not there
    CHECK(glacier.cold->pauses.front() == std::chrono::seconds(1));
    CHECK(glacier.cold->looks < 90);
}

TEST_CASE("R15 a wait that was ended goes on: nothing is asked for again, and it is known since when") {
    Glacier glacier;
    std::stop_source stop;
    FetchRequest request = glacier.request();
    request.waiting.pause = [&](Duration duration, const WorkControl& control) {
        glacier.cold->now += duration;
        if (glacier.cold->now >= at("2026-02-10T13:00:00Z")) stop.request_stop();
        control.check();
    };
    BackupWork stopped = glacier.watched();
    stopped.control.stop = stop.get_token();
    CHECK(error_of([&] { fetch_backup(request, stopped); }).code == ErrorCode::cancelled);
    CHECK(glacier.cold->asked.size() == 3);

    glacier.progress.clear();
    glacier.logged.clear();
    const Fetched fetched = fetch_backup(glacier.request(), glacier.watched());
    CHECK(fetched.from.id == glacier.newer.id);
    CHECK(glacier.cold->asked.size() == 3);
    CHECK(glacier.progress.front().ends_with("asked at 2026-02-10 12:00:00Z"));
    CHECK(glacier.logged.front() ==
          "3 archived objects of backup '2026-02-09T02-00-00Z' were asked for before, in store 'offsite'");
}

TEST_CASE("a wait ends at its deadline") {
    Glacier glacier;
    BackupWork late = glacier.watched();
    late.control.deadline = SteadyTime{};
    CHECK(error_of([&] { fetch_backup(glacier.request(), late); }).code == ErrorCode::timed_out);
}

TEST_CASE("a store that cannot be reached for a while is looked at again") {
    Glacier glacier;
    glacier.cold->failing_looks = 0;
    FetchRequest request = glacier.request();
    const auto pause = request.waiting.pause;
    request.waiting.pause = [&](Duration duration, const WorkControl& control) {
        if (glacier.cold->pauses.empty()) glacier.cold->failing_looks = 3;
        pause(duration, control);
    };
    CHECK(fetch_backup(request, glacier.watched()).from.id == glacier.newer.id);
    CHECK(glacier.logged[1].starts_with("whether backup '2026-02-09T02-00-00Z' has thawed could not be seen: "));
}

TEST_CASE("what was thawed and is gone again before it is fetched is asked for again") {
    Glacier glacier;
    FetchRequest request = glacier.request();
    const auto pause = request.waiting.pause;
    bool gone = false;
    request.waiting.pause = [&](Duration duration, const WorkControl& control) {
        pause(duration, control);
        if (gone || glacier.cold->now < at("2026-02-10T14:00:00Z")) return;
        gone = true;
        glacier.cold->cold.at(glacier.keys()[1]).reset();
    };
    CHECK(fetch_backup(request, glacier.watched()).from.id == glacier.newer.id);
    CHECK(glacier.cold->asked.size() == 4);
}

TEST_CASE("a copy at hand is taken before one in cold storage, and it is said") {
    Glacier glacier;
    glacier.put(*glacier.nas, glacier.newer, "data");
    FetchRequest request = glacier.request();
    request.candidates = {{glacier.newer.id, "offsite", glacier.newer_sha256},
                          {glacier.newer.id, "nas", glacier.newer_sha256}};
    const Fetched fetched = fetch_backup(request, glacier.watched());
    CHECK(fetched.from.store == "nas");
    CHECK(glacier.cold->asked.empty());
    REQUIRE(fetched.refused.size() == 1);
    CHECK(fetched.refused[0].store == "offsite");
    CHECK(fetched.refused[0].code == ErrorCode::archived);
    CHECK(fetched.refused[0].why ==
          "object 'shop/2026-02-09T02-00-00Z/config/config.tar' in store 'offsite': it lies in cold storage");

    SECTION("but when that one is gone, cold storage is what is left") {
        std::filesystem::remove_all(glacier.folder / "fetched");
        std::filesystem::rename(glacier.folder / "nas", glacier.folder / "burnt");
        const Fetched thawed = fetch_backup(request, glacier.watched());
        CHECK(thawed.from.store == "offsite");
        CHECK(glacier.cold->asked.size() == 3);
        REQUIRE(thawed.refused.size() == 1);
        CHECK(thawed.refused[0].code == ErrorCode::unreachable);
    }
}

TEST_CASE("where cold storage is refused, the next older backup at hand is taken") {
    Glacier glacier;
    FetchRequest request = glacier.request();
    request.archived = false;
    const Fetched fetched = fetch_backup(request, glacier.watched());
    CHECK(fetched.from.id == glacier.older.id);
    CHECK(glacier.cold->asked.empty());
    REQUIRE(fetched.refused.size() == 1);
    CHECK(fetched.refused[0].code == ErrorCode::archived);
}

TEST_CASE("nothing is asked for while the key to it is missing") {
    Glacier glacier;
    Manifest locked = sample_manifest("shop", at("2026-02-10T02:00:00Z"), "sealed");
    locked.components[0].objects[0].encryption = ObjectEncryption{.scheme = "AES256_GCM_HKDF_1MB",
                                                                  .key_hint = "01234567",
                                                                  .plain_size = Bytes{3},
                                                                  .plain_sha256 = sha256_hex("abc")};
    const std::string sha256 = glacier.put(*glacier.offsite, locked, "sealed");
    glacier.cold->freeze("shop/" + locked.id + "/");
    FetchRequest request = glacier.request();
    request.candidates = {{locked.id, "offsite", sha256}};
    const Error error = error_of([&] { fetch_backup(request, glacier.watched()); });
    CHECK(error.code == ErrorCode::denied);
    CHECK(error.message.find("hint 01234567") != std::string::npos);
    CHECK(glacier.cold->asked.empty());
}

TEST_CASE("the catalogue shows what lies in cold storage, by one listing and one look at each backup") {
    Glacier glacier;
    const auto entries = read_catalogue("shop", glacier.both).entries;
    REQUIRE(entries.size() == 2);
    CHECK(entries[0].id == glacier.newer.id);
    CHECK(entries[0].cold.state == Thaw::frozen);
    CHECK(entries[0].cold.objects == 3);
    CHECK(entries[0].cold.takes == std::chrono::hours(5));
    CHECK(entries[1].cold.state == Thaw::ready);
    CHECK(glacier.cold->looks == 1);
    for (const std::string& key : glacier.keys())
        glacier.cold->request_thaw(key, {});
    CHECK(read_catalogue("shop", glacier.both).entries[0].cold.state == Thaw::thawing);
    glacier.cold->now += std::chrono::hours(6);
    const auto thawed = read_catalogue("shop", glacier.both).entries;
    CHECK(thawed[0].cold.state == Thaw::ready);
    CHECK(thawed[0].cold.objects == 0);
}

TEST_CASE("a manifest in cold storage is reported with its store and key, and its backup is no candidate") {
    Glacier glacier;
    glacier.cold->cold["shop/" + glacier.newer.id + "/manifest.json"] = std::nullopt;
    const auto entries = read_catalogue("shop", glacier.both).entries;
    REQUIRE(entries.size() == 2);
    CHECK(entries[1].id == glacier.newer.id);
    CHECK_FALSE(entries[1].manifest);
    CHECK(entries[1].refused ==
          "object 'shop/2026-02-09T02-00-00Z/manifest.json' in store 'offsite': it lies in cold storage");
    CHECK(entries[1].cold.state == Thaw::frozen);
    CHECK(entries[1].cold.objects == 1);
    const Selection selection = select_backups(entries, {.now = glacier.cold->now});
    REQUIRE(selection.eligible.size() == 1);
    CHECK(selection.eligible[0].id == glacier.older.id);
    REQUIRE(selection.refused.size() == 1);
    CHECK(selection.refused[0].why == entries[1].refused);
}

TEST_CASE("an archived copy is verified as far as that goes without reading it, and not called damaged") {
    Glacier glacier;
    const auto entries = read_catalogue("shop", glacier.both).entries;
    const Verification found =
        verify_backup(*glacier.cold, "shop", entries[0], KeyRing{}, Level::readable, glacier.watched());
    CHECK(found.level == Level::complete);
    CHECK(found.problems.empty());
    CHECK(found.archived ==
          "object 'shop/2026-02-09T02-00-00Z/config/config.tar' in store 'offsite': it lies in cold storage");

    SECTION("while one that lacks an object is damaged, archived or not") {
        std::filesystem::remove(glacier.folder / "offsite/shop" / glacier.newer.id / "config/b");
        const Verification lacking =
            verify_backup(*glacier.cold, "shop", entries[0], KeyRing{}, Level::readable, glacier.watched());
        CHECK(lacking.problems.size() == 1);
        CHECK(lacking.level == Level::listed);
    }
}
