// What a retention policy means for the backups that a catalogue shows, store by store, and removing one: the manifest
// first, so that what is half removed is no backup any more.
#pragma once

#include <string>
#include <vector>

#include "backup/catalogue.h"
#include "backup/retention.h"

namespace lifeboat {

struct StorePrune {
    std::string store;
    Retention retention;
};

struct PrunePlan {
    std::vector<StorePrune> stores;      // in the order of the set's
    std::vector<StoreTrouble> troubles;  // stores that could not be read: nothing is removed there
};

// Pure. `stale_after` is the set's `max_age`: while the newest backup of all stores together is older, or damaged, the
// set is failing and nothing goes. A copy that is the only verified one of its backup goes only with the backup.
PrunePlan plan_prune(const Catalogue& catalogue, const std::vector<std::string>& stores, const RetentionPolicy& policy,
                     std::optional<Duration> stale_after, Timestamp now);

// {"daily": 7, "within": "30d"} of a site (null: the defaults), and its `max_count`.
RetentionPolicy policy_from(const Json& retain, std::optional<unsigned> max_count);

// Everything of the backup in the store; bytes freed as far as the listing tells. Can be called again after a kill.
Bytes remove_backup(Store& store, const std::string& set, const std::string& id, const WorkControl& control = {});

}  // namespace lifeboat
