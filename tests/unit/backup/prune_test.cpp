#include "backup/prune.h"

#include "base/text.h"
#include "sample.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

struct Attic : Bench {
    // One backup a day, the newest of the day before the clock's, in both stores.
    explicit Attic(int days) {
        for (int day = 1; day <= days; ++day) {
            const Timestamp when = clock.now() - std::chrono::hours(24 * day) - std::chrono::hours(10);
            const Manifest manifest = sample_manifest("shop", when, "data");
            ids.push_back(manifest.id);
            for (const auto& store : stores)
                hashes.push_back(put(*store, manifest, "data"));
        }
    }
    PrunePlan plan(const RetentionPolicy& policy, std::optional<Duration> max_age = std::nullopt) {
        return plan_prune(read_catalogue("shop", stores), {"nas", "offsite"}, policy, max_age, clock.now());
    }
    void note(LocalStore& store, std::size_t day, BackupNote note) {
        note.manifest_sha256 = hashes.at(2 * day);
        write_note(store, "shop", ids.at(day), note);
    }

    std::vector<std::string> ids;     // newest first
    std::vector<std::string> hashes;  // of the manifests, two for each
};

}  // namespace

TEST_CASE("each store is pruned by itself") {
    Attic attic(5);
    attic.offsite->remove(manifest_key("shop", attic.ids[0]), {});
    const PrunePlan plan = attic.plan({.last = 2});
    REQUIRE(plan.stores.size() == 2);
    CHECK(plan.stores[0].retention.removable == std::vector<std::string>{attic.ids[4], attic.ids[3], attic.ids[2]});
    CHECK(plan.stores[1].retention.removable == std::vector<std::string>{attic.ids[4], attic.ids[3]});
}

TEST_CASE("a pinned backup stays until it is unpinned, whatever its manifest has become") {
    Attic attic(4);
    attic.note(*attic.nas, 3, pin_note(attic.clock.now(), "", true, "legal hold", "ann"));
    const auto pinned = read_entry(*attic.nas, 0, "shop", attic.ids[3]);
    REQUIRE(pinned);
    REQUIRE(pinned->pin);
    CHECK(pinned->pin->reason == "legal hold");
    CHECK(attic.plan({.last = 1}).stores[0].retention.removable ==
          std::vector<std::string>{attic.ids[2], attic.ids[1]});
    overwrite(attic.folder.path() / "nas/shop" / attic.ids[3] / "manifest.json", "{}");
    const std::vector<std::string> going = attic.plan({.last = 1}).stores[0].retention.removable;
    CHECK(std::find(going.begin(), going.end(), attic.ids[3]) == going.end());
    attic.note(*attic.nas, 3, pin_note(attic.clock.now() + std::chrono::seconds(1), "", false, "", "ann"));
    CHECK_FALSE(read_entry(*attic.nas, 0, "shop", attic.ids[3])->pin);
}

TEST_CASE("nothing goes while the newest backup is damaged or too old, or where a store cannot be read") {
    Attic attic(4);
    const auto going = [](const PrunePlan& plan) {
        std::size_t count = 0;
        for (const StorePrune& store : plan.stores)
            count += store.retention.removable.size();
        return count;
    };
    CHECK(going(attic.plan({.last = 1})) == 6);
    CHECK(going(attic.plan({.last = 1}, std::chrono::hours(48))) == 6);
    const PrunePlan stale = attic.plan({.last = 1}, std::chrono::hours(24));
    CHECK(going(stale) == 0);
    CHECK(join(stale.stores[0].retention.verdicts[3].reasons, "; ").find("at most 1d") != std::string::npos);

    for (const auto& store : {attic.nas, attic.offsite})
        attic.note(*store, 0,
                   verified_note(attic.clock.now(), "", Level::complete, Json::array({Json{{"object", "x"}}})));
    CHECK(going(attic.plan({.last = 1})) == 0);

    std::filesystem::remove_all(attic.folder / "offsite");
    Attic fresh(4);
    std::filesystem::remove_all(fresh.folder / "offsite");
    const PrunePlan half = fresh.plan({.last = 1});
    CHECK(half.stores.size() == 1);
    CHECK(half.troubles.size() == 1);
}

TEST_CASE("a site's words become a policy, and its silence the defaults") {
    CHECK(policy_from(nullptr, std::nullopt) == default_retention());
    CHECK(policy_from({{"daily", 7}, {"within", "30d"}}, std::nullopt) ==
          RetentionPolicy{.daily = 7, .within = std::chrono::hours(24 * 30)});
}

TEST_CASE("a backup is removed manifest first and wholly, and nothing beside it") {
    Attic attic(2);
    attic.note(*attic.nas, 1, pin_note(attic.clock.now(), "", true, "", ""));
    CHECK(remove_backup(*attic.nas, "shop", attic.ids[1]).count > 0);
    CHECK_FALSE(std::filesystem::exists(attic.folder.path() / "nas/shop" / attic.ids[1]));
    CHECK(read_entry(*attic.nas, 0, "shop", attic.ids[0]));
    CHECK(read_entry(*attic.offsite, 0, "shop", attic.ids[1]));
    CHECK(remove_backup(*attic.nas, "shop", attic.ids[1]).count == 0);  // again, after a kill
    for (const char* other : {"", "..", "latest", "../other/2026-02-01T02-00-00Z"})
        CHECK(error_of([&] { remove_backup(*attic.nas, "shop", other); }).code == ErrorCode::refused);
}
