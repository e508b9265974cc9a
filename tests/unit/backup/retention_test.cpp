#include "backup/retention.h"

#include <random>
#include <set>

#include "backup/layout.h"
#include "base/text.h"
#include "sample.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

const Timestamp now = parse_timestamp("2026-02-10T12:00:00Z").value_or(Timestamp{});
constexpr Duration day = std::chrono::hours(24);

RetentionEntry entry(const std::string& when, const std::string& parent = {}) {
    const Timestamp time = at(when);
    return RetentionEntry{
        .id = backup_id(time), .consistent_at = time, .parent = parent.empty() ? "" : backup_id(at(parent))};
}

// "2026-02-09T02-00-00Z keep: newest of day 2026-02-09; …"
std::vector<std::string> told(const Retention& retention) {
    std::vector<std::string> lines;
    for (const RetentionVerdict& verdict : retention.verdicts)
        lines.push_back(verdict.id.substr(0, 16) + (verdict.keep ? " keep: " : " remove: ") +
                        join(verdict.reasons, "; "));
    return lines;
}

std::set<std::string> kept(const Retention& retention) {
    std::set<std::string> ids;
    for (const RetentionVerdict& verdict : retention.verdicts)
        if (verdict.keep) ids.insert(verdict.id);
    return ids;
}

std::vector<RetentionEntry> without(std::vector<RetentionEntry> entries, const std::set<std::string>& gone) {
    std::erase_if(entries, [&](const RetentionEntry& each) { return gone.contains(each.id); });
    return entries;
}

using Random = std::mt19937_64;

std::uint64_t below(Random& random, std::uint64_t bound) {
    return random() % bound;
}

// Up to 60 backups over some years, or some days: with chains, damage, pins, gaps, equal instants, and a few that have
// no time or one in the future, or whose parent is gone.
std::vector<RetentionEntry> random_catalogue(Random& random) {
    std::vector<RetentionEntry> entries;
    const std::uint64_t count = below(random, 60);
    const std::uint64_t hours = std::array<std::uint64_t, 3>{100, 3000, 40000}[below(random, 3)];
    const bool careless = below(random, 2) == 0;
    for (std::uint64_t i = 0; i < count; ++i) {
        const Timestamp time = now - std::chrono::hours(below(random, hours));
        RetentionEntry made{.id = backup_id(time, static_cast<int>(i) + 2), .consistent_at = time};
        made.verified = static_cast<Level>(below(random, 6));
        made.pinned = below(random, 20) == 0;
        if (!entries.empty() && below(random, 3) == 0) made.parent = entries[below(random, entries.size())].id;
        if (careless) {
            made.damaged = below(random, 12) == 0;
            made.whole = below(random, 12) != 0;
            if (below(random, 25) == 0) made.consistent_at.reset();
            if (below(random, 25) == 0) made.consistent_at = now + std::chrono::hours(1 + below(random, 100));
            if (below(random, 25) == 0) made.parent = "2001-01-01T00-00-00Z";
        }
        entries.push_back(std::move(made));
    }
    return entries;
}

std::optional<unsigned> random_count(Random& random) {
    if (below(random, 3) == 0) return std::nullopt;
    return static_cast<unsigned>(below(random, 9));
}

RetentionPolicy random_policy(Random& random) {
    RetentionPolicy policy{.daily = random_count(random),
                           .weekly = random_count(random),
                           .monthly = random_count(random),
                           .yearly = random_count(random),
                           .last = random_count(random)};
    if (below(random, 3) == 0) policy.within = std::chrono::hours(below(random, 2000));
    if (policy == RetentionPolicy{}) policy.last = 0;
    return policy;
}

RetentionRequest random_request(Random& random) {
    RetentionRequest request{.entries = random_catalogue(random), .policy = random_policy(random), .now = now};
    if (below(random, 10) == 0) request.policy = {};
    if (below(random, 30) == 0) request.failing = "the last run failed";
    return request;
}

constexpr std::uint64_t rounds = 4000;

}  // namespace

TEST_CASE("a set that says nothing keeps 7 daily, 4 weekly, 12 monthly and 3 yearly backups") {
    std::vector<RetentionEntry> entries;
    for (int age = 0; age < 1500; ++age)
        entries.push_back(RetentionEntry{.id = backup_id(now - age * day), .consistent_at = now - age * day});
    CHECK(kept(apply_retention({.entries = entries, .now = now})) ==
          std::set<std::string>{
              // the last seven days
              "2026-02-10T12-00-00Z", "2026-02-09T12-00-00Z", "2026-02-08T12-00-00Z", "2026-02-07T12-00-00Z",
              "2026-02-06T12-00-00Z", "2026-02-05T12-00-00Z", "2026-02-04T12-00-00Z",
              // the Sundays of the weeks before (that of W06 is among the days)
              "2026-02-01T12-00-00Z", "2026-01-25T12-00-00Z",
              // the last days of the months before
              "2026-01-31T12-00-00Z", "2025-12-31T12-00-00Z", "2025-11-30T12-00-00Z", "2025-10-31T12-00-00Z",
              "2025-09-30T12-00-00Z", "2025-08-31T12-00-00Z", "2025-07-31T12-00-00Z", "2025-06-30T12-00-00Z",
              "2025-05-31T12-00-00Z", "2025-04-30T12-00-00Z", "2025-03-31T12-00-00Z",
              // and of the years
              "2024-12-31T12-00-00Z"});
}

TEST_CASE("every verdict says why") {
    std::vector<RetentionEntry> entries{
        entry("2026-02-10T02:00:00Z"), entry("2026-02-09T20:00:00Z"), entry("2026-02-09T02:00:00Z"),
        entry("2026-02-02T02:00:00Z"), entry("2026-01-30T02:00:00Z"), entry("2025-12-30T02:00:00Z"),
        entry("2025-06-01T02:00:00Z"), entry("2026-03-01T02:00:00Z"), RetentionEntry{.id = "what-is-this"}};
    entries[4].pinned = true;
    entries[5].verified = Level::restored;
    CHECK(told(apply_retention({.entries = entries, .policy = {.daily = 2, .weekly = 1}, .now = now})) ==
          std::vector<std::string>{
              "2026-03-01T02-00 keep: its data is as of 2026-03-01 02:00:00Z, in the future by this machine's clock",
              "2026-02-10T02-00 keep: newest of day 2026-02-10; newest of week 2026-W07; the newest whole backup",
              "2026-02-09T20-00 keep: newest of day 2026-02-09",
              "2026-02-09T02-00 remove: '2026-02-09T20-00-00Z' stands for day 2026-02-09",
              "2026-02-02T02-00 remove: older than what the policy keeps", "2026-01-30T02-00 keep: pinned",
              "2025-12-30T02-00 keep: the only verified copy",
              "2025-06-01T02-00 remove: older than what the policy keeps",
              "what-is-this keep: the time of its data is not known"});
}

TEST_CASE("weeks are those of ISO 8601, also around the new year") {
    const std::vector<std::pair<std::string, std::string>> days{
        {"2021-01-03T23:59:59Z", "2020-W53"}, {"2021-01-04T00:00:00Z", "2021-W01"},
        {"2024-12-29T12:00:00Z", "2024-W52"}, {"2024-12-30T12:00:00Z", "2025-W01"},
        {"2026-01-01T00:00:00Z", "2026-W01"}, {"2026-12-31T00:00:00Z", "2026-W53"},
        {"2027-01-03T00:00:00Z", "2026-W53"}, {"2016-02-29T00:00:00Z", "2016-W09"},
        {"1969-12-31T00:00:00Z", "1970-W01"}};
    for (const auto& [when, week] : days) {
        const Retention retention =
            apply_retention({.entries = {entry(when)}, .policy = {.weekly = 1}, .now = at("2030-01-01T00:00:00Z")});
        CHECK(retention.verdicts.at(0).reasons.at(0) == "newest of week " + week);
    }
}

TEST_CASE("a day is one of UTC, whatever the zone") {
    const std::vector<RetentionEntry> entries{entry("2026-03-29T01:30:00+02:00"), entry("2026-03-29T00:45:00+01:00"),
                                              entry("2026-03-29T02:30:00+02:00")};
    CHECK(kept(apply_retention({.entries = entries, .policy = {.daily = 9}, .now = at("2026-04-01T00:00:00Z")})) ==
          std::set<std::string>{"2026-03-28T23-45-00Z", "2026-03-29T00-30-00Z"});
}

TEST_CASE("rules are a union: the last N, and those within a duration of the newest") {
    std::vector<RetentionEntry> entries;
    for (int age = 0; age < 10; ++age)
        entries.push_back(entry(to_text(now - age * day)));
    CHECK(kept(apply_retention({.entries = entries, .policy = {.last = 3}, .now = now})).size() == 3);
    CHECK(kept(apply_retention({.entries = entries, .policy = {.within = 4 * day}, .now = now})).size() == 5);
    CHECK(kept(apply_retention({.entries = entries, .policy = {.last = 7, .within = 4 * day}, .now = now})).size() ==
          7);
    CHECK(kept(apply_retention({.entries = entries, .policy = {.last = 0}, .now = now})).size() == 1);
    CHECK(kept(apply_retention({.entries = entries, .policy = {.last = 4000000000U}, .now = now})).size() == 10);
}

TEST_CASE("a schedule that stopped long ago empties nothing") {
    std::vector<RetentionEntry> entries;
    for (int age = 400; age < 410; ++age)
        entries.push_back(entry(to_text(now - age * day)));
    CHECK(kept(apply_retention({.entries = entries, .policy = {.daily = 5}, .now = now})).size() == 5);
    CHECK(kept(apply_retention({.entries = entries, .policy = {.within = 5 * day}, .now = now})).size() == 6);
}

TEST_CASE("the newest backup failing stops every removal") {
    std::vector<RetentionEntry> entries{entry("2026-02-10T02:00:00Z"), entry("2026-02-09T02:00:00Z"),
                                        entry("2026-02-08T02:00:00Z")};
    const RetentionPolicy policy{.last = 1};
    REQUIRE(apply_retention({.entries = entries, .policy = policy, .now = now}).removable.size() == 2);
    CHECK(apply_retention({.entries = entries, .policy = policy, .now = now, .failing = "no space in store 'nas'"})
              .verdicts.at(2)
              .reasons ==
          std::vector<std::string>{"the newest backup is failing (no space in store 'nas'): nothing is removed"});

    auto damaged = entries;
    damaged[0].damaged = true;
    CHECK(told(apply_retention({.entries = damaged, .policy = policy, .now = now})).at(2) ==
          "2026-02-08T02-00 keep: the newest backup '2026-02-10T02-00-00Z' is failing (it is damaged): nothing is "
          "removed");
    auto incomplete = entries;
    incomplete[0].whole = false;
    CHECK(apply_retention({.entries = incomplete, .policy = policy, .now = now}).removable.empty());
    auto orphaned = entries;
    orphaned[0].parent = "2026-01-01T00-00-00Z";
    CHECK(told(apply_retention({.entries = orphaned, .policy = policy, .now = now})).at(2) ==
          "2026-02-08T02-00 keep: the newest backup '2026-02-10T02-00-00Z' is failing (a parent that it needs is "
          "damaged, incomplete or missing): nothing is removed");
    auto below_damage = entries;
    below_damage[0].parent = below_damage[2].id;
    below_damage[2].damaged = true;
    CHECK(apply_retention({.entries = below_damage, .policy = policy, .now = now}).removable.empty());
}

TEST_CASE("a damaged backup takes nobody's place, and stays as long as a sound one would") {
    std::vector<RetentionEntry> entries{entry("2026-02-10T02:00:00Z"), entry("2026-02-09T20:00:00Z"),
                                        entry("2026-02-09T02:00:00Z"), entry("2026-02-08T02:00:00Z"),
                                        entry("2026-02-07T02:00:00Z")};
    entries[1].damaged = true;
    entries[4].whole = false;
    CHECK(told(apply_retention({.entries = entries, .policy = {.daily = 2}, .now = now})) ==
          std::vector<std::string>{"2026-02-10T02-00 keep: newest of day 2026-02-10; the newest whole backup",
                                   "2026-02-09T20-00 keep: newest of day 2026-02-09, although it is damaged",
                                   "2026-02-09T02-00 keep: newest of day 2026-02-09",
                                   "2026-02-08T02-00 remove: older than what the policy keeps",
                                   "2026-02-07T02-00 remove: it is incomplete; older than what the policy keeps"});
}

TEST_CASE("a parent stays as long as a kept child needs it, and a chain is removed from its end") {
    const std::vector<RetentionEntry> entries{entry("2026-02-10T02:00:00Z", "2026-02-09T02:00:00Z"),
                                              entry("2026-02-09T02:00:00Z", "2026-02-01T02:00:00Z"),
                                              entry("2026-02-08T02:00:00Z", "2026-02-01T02:00:00Z"),
                                              entry("2026-02-01T02:00:00Z"),
                                              entry("2026-01-03T02:00:00Z", "2026-01-02T02:00:00Z"),
                                              entry("2026-01-02T02:00:00Z", "2026-01-01T02:00:00Z"),
                                              entry("2026-01-01T02:00:00Z")};
    const Retention retention = apply_retention({.entries = entries, .policy = {.last = 1}, .now = now});
    CHECK(told(retention) ==
          std::vector<std::string>{"2026-02-10T02-00 keep: one of the last 1; the newest whole backup",
                                   "2026-02-09T02-00 keep: parent of '2026-02-10T02-00-00Z'",
                                   "2026-02-08T02-00 remove: older than what the policy keeps",
                                   "2026-02-01T02-00 keep: parent of '2026-02-09T02-00-00Z'",
                                   "2026-01-03T02-00 remove: older than what the policy keeps",
                                   "2026-01-02T02-00 remove: older than what the policy keeps",
                                   "2026-01-01T02-00 remove: older than what the policy keeps"});
    CHECK(retention.removable == std::vector<std::string>{"2026-01-03T02-00-00Z", "2026-01-02T02-00-00Z",
                                                          "2026-02-08T02-00-00Z", "2026-01-01T02-00-00Z"});
}

TEST_CASE("parents in a circle are no chain, and end nothing") {
    std::vector<RetentionEntry> entries{
        entry("2026-02-10T02:00:00Z"), entry("2026-02-09T02:00:00Z", "2026-02-08T02:00:00Z"),
        entry("2026-02-08T02:00:00Z", "2026-02-09T02:00:00Z"), entry("2026-02-07T02:00:00Z", "2026-02-07T02:00:00Z")};
    CHECK(kept(apply_retention({.entries = entries, .policy = {.last = 1}, .now = now})) ==
          std::set<std::string>{"2026-02-10T02-00-00Z"});
    entries[2].pinned = true;
    CHECK(kept(apply_retention({.entries = entries, .policy = {.last = 1}, .now = now})).size() == 3);
}

TEST_CASE("an id that is listed twice is a mistake of the caller") {
    CHECK(error_of([] {
              apply_retention({.entries = {entry("2026-02-10T02:00:00Z"), entry("2026-02-10T02:00:00Z")}, .now = now});
          }).code == ErrorCode::internal);
}

TEST_CASE("retention: the order of the list changes nothing") {
    Random random(1);
    for (std::uint64_t round = 0; round < rounds; ++round) {
        RetentionRequest request = random_request(random);
        const Retention retention = apply_retention(request);
        std::shuffle(request.entries.begin(), request.entries.end(), random);
        REQUIRE(apply_retention(request) == retention);
    }
}

TEST_CASE("retention: applied again, also after a prune that was killed half-way, it removes nothing else") {
    Random random(2);
    std::uint64_t removed = 0;
    for (std::uint64_t round = 0; round < rounds; ++round) {
        RetentionRequest request = random_request(random);
        const auto all = request.entries;
        const Retention retention = apply_retention(request);
        const auto& removable = retention.removable;
        for (const std::size_t done :
             {removable.size(), static_cast<std::size_t>(below(random, removable.size() + 1))}) {
            const auto end = removable.begin() + static_cast<std::ptrdiff_t>(done);
            request.entries = without(all, {removable.begin(), end});
            const Retention again = apply_retention(request);
            REQUIRE(again.removable == std::vector<std::string>(end, removable.end()));
            REQUIRE(kept(again) == kept(retention));
        }
        removed += removable.size();
    }
    CHECK(removed > rounds);  // otherwise nothing was shown
}

TEST_CASE(
    "retention: never fewer than the floor, nothing pinned, undated or to come, and nothing while it is failing") {
    Random random(3);
    std::uint64_t stopped = 0;
    for (std::uint64_t round = 0; round < rounds; ++round) {
        const RetentionRequest request = random_request(random);
        const std::set<std::string> left = kept(apply_retention(request));
        std::map<std::string, const RetentionEntry*> by_id;
        for (const RetentionEntry& each : request.entries)
            by_id[each.id] = &each;
        // written anew, so that it does not repeat the code's mistakes
        const auto usable = [&](const RetentionEntry& each) {
            std::set<std::string> seen;
            for (std::string id = each.id; !id.empty(); id = by_id.at(id)->parent)
                if (!by_id.contains(id) || !seen.insert(id).second || by_id.at(id)->damaged || !by_id.at(id)->whole)
                    return false;
            return true;
        };
        const RetentionEntry* newest = nullptr;
        bool any_usable = false;
        bool kept_usable = false;
        bool any_verified = false;
        bool kept_verified = false;
        for (const RetentionEntry& each : request.entries) {
            if (each.pinned || !each.consistent_at || *each.consistent_at > now) {
                REQUIRE(left.contains(each.id));
            }
            if (!each.consistent_at || *each.consistent_at > now) continue;
            if (newest == nullptr || *each.consistent_at > *newest->consistent_at) newest = &each;
            if (!usable(each)) continue;
            const bool verified = each.verified >= Level::checksummed;
            any_usable = true;
            any_verified = any_verified || verified;
            kept_usable = kept_usable || left.contains(each.id);
            kept_verified = kept_verified || (verified && left.contains(each.id));
        }
        REQUIRE(kept_usable == any_usable);
        REQUIRE(kept_verified == any_verified);
        const bool alone = newest != nullptr && std::count_if(request.entries.begin(), request.entries.end(),
                                                              [&](const RetentionEntry& each) {
                                                                  return each.consistent_at == newest->consistent_at;
                                                              }) == 1;
        if (alone && (!usable(*newest) || !request.failing.empty())) {
            REQUIRE(left.size() == request.entries.size());
            ++stopped;
        }
        if (alone && usable(*newest)) {
            REQUIRE(left.contains(newest->id));
        }
    }
    CHECK(stopped > rounds / 50);
}

TEST_CASE("retention: no order of removal breaks a chain that stays, at any moment") {
    Random random(5);
    for (std::uint64_t round = 0; round < rounds; ++round) {
        const RetentionRequest request = random_request(random);
        const Retention retention = apply_retention(request);
        std::set<std::string> gone;
        std::set<std::string> there;
        for (const RetentionEntry& each : request.entries)
            there.insert(each.id);
        const auto whole = [&] {
            for (const RetentionEntry& each : request.entries)
                if (!gone.contains(each.id) && there.contains(each.parent) && gone.contains(each.parent)) return false;
            return true;
        };
        for (const std::string& id : retention.removable) {
            gone.insert(id);
            REQUIRE(whole());
        }
        REQUIRE(gone.size() + kept(retention).size() == request.entries.size());
    }
}

TEST_CASE("retention: a laxer policy keeps at least the same") {
    Random random(6);
    for (std::uint64_t round = 0; round < rounds; ++round) {
        RetentionRequest request = random_request(random);
        if (request.policy == RetentionPolicy{}) request.policy = default_retention();
        const std::set<std::string> strict = kept(apply_retention(request));
        for (std::optional<unsigned>* count : {&request.policy.daily, &request.policy.weekly, &request.policy.monthly,
                                               &request.policy.yearly, &request.policy.last})
            if (below(random, 2) == 0) *count = count->value_or(0) + static_cast<unsigned>(below(random, 4));
        if (below(random, 2) == 0)
            request.policy.within =
                request.policy.within.value_or(Duration::zero()) + std::chrono::hours(below(random, 500));
        const std::set<std::string> lax = kept(apply_retention(request));
        REQUIRE(std::includes(lax.begin(), lax.end(), strict.begin(), strict.end()));
    }
}

TEST_CASE("no more than `max_count` stay, but for those that have to") {
    RetentionRequest request{.policy = {.daily = 7, .max_count = 2}, .now = now};
    for (const char* when :
         {"2026-02-10T02:00:00Z", "2026-02-09T02:00:00Z", "2026-02-08T02:00:00Z", "2026-02-07T02:00:00Z"})
        request.entries.push_back(entry(when));
    request.entries[3].pinned = true;
    CHECK(told(apply_retention(request)) ==
          std::vector<std::string>{"2026-02-10T02-00 keep: newest of day 2026-02-10; the newest whole backup",
                                   "2026-02-09T02-00 keep: newest of day 2026-02-09",
                                   "2026-02-08T02-00 remove: at most 2 are kept", "2026-02-07T02-00 keep: pinned"});
    // without rules the defaults hold, and the limit
    request.policy = {.max_count = 3};
    CHECK(kept(apply_retention(request)).size() == 4);
}
