// Which backups may be restored, in the order in which they should be tried. Pure: the same catalogue gives the same
// answer in whatever order it comes (R18); only the data's own time counts (R19).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backup/catalogue.h"
#include "base/size.h"
#include "base/time.h"

namespace lifeboat {

struct SelectionLimits {
    Timestamp now{};
    std::optional<Timestamp> before;  // newest acceptable data
    std::optional<Duration> max_age;  // oldest acceptable data, counted back from `before`, else from `now`
    Bytes min_size{1};                // of all objects together
    std::string id;                   // only this backup; empty: any
    bool archived = true;             // what lies in cold storage may be chosen: it takes hours
};

struct RefusedEntry {
    CatalogueEntry entry;
    std::string why;
};

struct Selection {
    // Newest first; copies of one backup next to each other, those that can be read now before those in cold storage.
    std::vector<CatalogueEntry> eligible;
    std::vector<RefusedEntry> refused;  // likewise
};

Selection select_backups(std::span<const CatalogueEntry> entries, const SelectionLimits& limits);

}  // namespace lifeboat
