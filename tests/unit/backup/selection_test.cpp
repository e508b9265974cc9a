#include "backup/selection.h"

#include <random>

#include "sample.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

CatalogueEntry entry_of(const std::string& when, const std::string& store = "nas", const std::string& content = "a",
                        int number = 1) {
    const Manifest manifest = sample_manifest("shop", at(when), content, number);
    return CatalogueEntry{
        .id = manifest.id, .store = store, .store_rank = store == "nas" ? 0U : 1U, .manifest = manifest};
}

std::vector<std::string> told(const Selection& selection) {
    std::vector<std::string> lines;
    for (const CatalogueEntry& entry : selection.eligible)
        lines.push_back(entry.id + " " + entry.store);
    for (const RefusedEntry& refused : selection.refused)
        lines.push_back("not " + refused.entry.id + " " + refused.entry.store + ": " + refused.why);
    return lines;
}

const Timestamp noon = parse_timestamp("2026-02-10T12:00:00Z").value_or(Timestamp{});

}  // namespace

TEST_CASE("R18 the newest backup that satisfies the limits is chosen, every other one with the reason") {
    const std::vector<CatalogueEntry> entries{
        entry_of("2026-02-07T02:00:00Z"), entry_of("2026-02-09T02:00:00Z"), entry_of("2026-02-08T02:00:00Z"),
        entry_of("2026-02-10T02:00:00Z", "nas", ""), entry_of("2026-02-10T11:00:00Z")};
    CHECK(told(select_backups(
              entries, {.now = noon, .before = at("2026-02-10T10:00:00Z"), .max_age = std::chrono::hours(72)})) ==
          std::vector<std::string>{
              "2026-02-09T02-00-00Z nas", "2026-02-08T02-00-00Z nas",
              "not 2026-02-10T11-00-00Z nas: its data is as of 2026-02-10 11:00:00Z, newer than 2026-02-10 10:00:00Z",
              "not 2026-02-10T02-00-00Z nas: it holds " + to_human(Bytes{0}) + ", the least is " + to_human(Bytes{1}),
              "not 2026-02-07T02-00-00Z nas: its data is " + to_human(Duration(std::chrono::hours(80))) +
                  " old, the limit is " + to_human(Duration(std::chrono::hours(72)))});
}

TEST_CASE("R18 permuting the catalogue changes nothing about the choice") {
    std::vector<CatalogueEntry> entries;
    std::mt19937 random(5);
    for (int i = 0; i < 40; ++i) {
        const std::string day = std::to_string(1 + random() % 9);
        entries.push_back(entry_of("2026-02-0" + day + "T02:00:00Z", random() % 2 ? "nas" : "offsite",
                                   random() % 3 ? "a" : "", 1 + static_cast<int>(random() % 12)));
        if (random() % 7 == 0) {
            entries.back().manifest.reset();
            entries.back().refused = "damaged";
        }
        entries.back().manifest_sha256 = std::to_string(i);
    }
    const SelectionLimits limits{.now = noon, .before = at("2026-02-08T12:00:00Z"), .max_age = std::chrono::hours(120)};
    const std::vector<std::string> wanted = told(select_backups(entries, limits));
    CHECK(wanted.size() == entries.size());
    for (int round = 0; round < 300; ++round) {
        std::shuffle(entries.begin(), entries.end(), random);
        CHECK(told(select_backups(entries, limits)) == wanted);
    }
}

TEST_CASE("R19 the age of a backup is that of its data: when it was begun or copied does not count") {
    CatalogueEntry entry = entry_of("2026-02-10T11:00:00Z");
    entry.manifest->consistent_at = at("2026-02-01T00:00:00Z");
    const Selection selection = select_backups(std::vector{entry}, {.now = noon, .max_age = std::chrono::hours(24)});
    CHECK(selection.eligible.empty());
    REQUIRE(selection.refused.size() == 1);
    CHECK(selection.refused[0].why == "its data is " + to_human(noon - at("2026-02-01T00:00:00Z")) +
                                          " old, the limit is " + to_human(Duration(std::chrono::hours(24))));
}

TEST_CASE("R19 data from the future is not trusted, unless it is asked for by name") {
    const std::vector<CatalogueEntry> entries{entry_of("2026-02-10T12:04:00Z"), entry_of("2026-02-11T12:00:00Z")};
    const Selection selection = select_backups(entries, {.now = noon});
    REQUIRE(selection.eligible.size() == 1);
    CHECK(selection.eligible[0].id == "2026-02-10T12-04-00Z");
    CHECK(selection.refused.at(0).why == "its data is as of 2026-02-11 12:00:00Z, which by this machine's clock is " +
                                             to_human(Duration(std::chrono::hours(24))) + " in the future");
    const Selection named = select_backups(entries, {.now = noon, .id = "2026-02-11T12-00-00Z"});
    REQUIRE(named.eligible.size() == 1);
    CHECK(named.refused.at(0).why == "another backup was asked for: '2026-02-11T12-00-00Z'");
}

TEST_CASE("R19 no backup is no candidate") {
    const Selection selection = select_backups({}, {.now = noon});
    CHECK(selection.eligible.empty());
    CHECK(selection.refused.empty());
}

TEST_CASE("the limit of age counts back from the newest acceptable data") {
    const std::vector<CatalogueEntry> entries{entry_of("2026-02-01T02:00:00Z")};
    CHECK(
        select_backups(entries, {.now = noon, .before = at("2026-02-01T12:00:00Z"), .max_age = std::chrono::hours(24)})
            .eligible.size() == 1);
    CHECK(select_backups(entries, {.now = noon, .max_age = std::chrono::hours(24)}).eligible.empty());
}

TEST_CASE("of one backup the copies at hand come first, but the newest backup wins though it is archived") {
    std::vector<CatalogueEntry> entries{
        entry_of("2026-02-09T02:00:00Z", "nas"), entry_of("2026-02-09T02:00:00Z", "offsite"),
        entry_of("2026-02-10T02:00:00Z", "nas"), entry_of("2026-02-08T02:00:00Z", "nas")};
    entries[0].cold = {.state = Thaw::frozen, .objects = 2, .takes = std::chrono::hours(5)};
    entries[2].cold = {.state = Thaw::thawing, .objects = 1, .takes = std::chrono::hours(5)};
    CHECK(told(select_backups(entries, {.now = noon})) ==
          std::vector<std::string>{"2026-02-10T02-00-00Z nas", "2026-02-09T02-00-00Z offsite",
                                   "2026-02-09T02-00-00Z nas", "2026-02-08T02-00-00Z nas"});
    CHECK(told(select_backups(entries, {.now = noon, .archived = false})) ==
          std::vector<std::string>{
              "2026-02-09T02-00-00Z offsite", "2026-02-08T02-00-00Z nas",
              "not 2026-02-10T02-00-00Z nas: it lies in cold storage (1 object), which is not to be waited for",
              "not 2026-02-09T02-00-00Z nas: it lies in cold storage (2 objects), which is not to be waited for"});
}
