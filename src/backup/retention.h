// Which backups of one set in one store stay, which may go, and why. Pure: the same entries in any order give the same
// answer; only the data's own time counts, in UTC. Applied again to what it left, or to what a prune that was killed
// half-way left, it removes nothing else.
//
// Kept by the policy: the newest backup of each of the last so many days, ISO weeks, months and years that hold one
// (periods without a backup do not count, so a schedule that stopped empties nothing); the last so many; those within a
// duration of the newest. A backup that is damaged or incomplete, or whose chain of parents is, takes nobody's place:
// the rules are applied to the sound ones, and once more to all, so that it stays as long as a sound one would.
// Kept whatever the policy says: the newest sound backup, the newest verified one, pinned ones, every parent that a
// kept backup needs, those without a time or with one in the future, and all of them while the newest is failing.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backup/level.h"
#include "base/time.h"

namespace lifeboat {

struct RetentionPolicy {
    std::optional<unsigned> daily;
    std::optional<unsigned> weekly;
    std::optional<unsigned> monthly;
    std::optional<unsigned> yearly;
    std::optional<unsigned> last;
    std::optional<Duration> within;
    std::optional<unsigned> max_count = std::nullopt;  // the newest so many of what the rules keep
    bool operator==(const RetentionPolicy&) const = default;
};

// 7 daily, 4 weekly, 12 monthly, 3 yearly: what holds where a set says nothing.
RetentionPolicy default_retention();

struct RetentionEntry {
    std::string id;
    std::optional<Timestamp> consistent_at;  // nullopt: unknown. Of a manifest that cannot be read: the id's, damaged
    bool whole = true;                       // every object is there
    bool damaged = false;                    // the last word of a verification is that something is wrong
    Level verified = Level::listed;          // from `checksummed` on it counts as verified
    bool pinned = false;
    std::string parent;  // of an incremental: the id of the backup it needs; else empty
};

struct RetentionRequest {
    std::vector<RetentionEntry> entries;  // of one set in one store, each id once
    RetentionPolicy policy;               // says nothing: the defaults
    Timestamp now{};
    std::string failing;  // why the set's newest backup is known to be failing, where no entry shows it; else empty
};

struct RetentionVerdict {
    std::string id;
    bool keep = true;
    std::vector<std::string> reasons;  // at least one: "newest of week 2026-W05", "parent of '…'"
    bool operator==(const RetentionVerdict&) const = default;
};

struct Retention {
    std::vector<RetentionVerdict> verdicts;  // newest first, those without a time last
    std::vector<std::string> removable;      // in the order in which to remove them: children before their parents
    bool operator==(const Retention&) const = default;
};

// Throws Error{internal} for an id that is there twice.
Retention apply_retention(const RetentionRequest& request);

}  // namespace lifeboat
