// Facts learnt about a backup after it was made, as small files beside it: append-only, never needed for a restore,
// seen by every machine that sees the store. What the catalogue says of verification is folded from them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backup/level.h"
#include "base/json.h"
#include "base/time.h"
#include "stores/store.h"

namespace lifeboat {

inline constexpr std::string_view note_format = "note/v1";

struct BackupNote {
    std::string kind;  // "verified", "pinned", "unpinned"
    Timestamp at{};
    std::string manifest_sha256;  // of the manifest it is about
    Json facts = Json::object();  // verified: {level, problems: [{object, why}]}
};

// Writes a new note; two of the same instant get names of their own.
void write_note(Store& store, const std::string& set, const std::string& id, const BackupNote& note,
                const WorkControl& control = {});
// In the order of their times. Notes that cannot be read are left out: they are never needed.
std::vector<BackupNote> read_notes(Store& store, const std::string& set, const std::string& id,
                                   const WorkControl& control = {});

BackupNote verified_note(Timestamp at, std::string manifest_sha256, Level level, const Json& problems);

struct Verified {
    Level level = Level::listed;
    std::optional<Timestamp> at;  // nullopt: never looked at beyond the listing
    bool damaged = false;         // the last word is that something is wrong; `level` is what still held then
};
// Pure: the highest level since the last note that found damage, among notes about exactly this manifest.
Verified verification_of(std::span<const BackupNote> notes, std::string_view manifest_sha256);

// Keeps a backup from being pruned, or lets it go again. `reason` and `by` are for people.
BackupNote pin_note(Timestamp at, std::string manifest_sha256, bool pinned, const std::string& reason,
                    const std::string& by);

struct Pin {
    std::string reason;
    std::string by;
    Timestamp at{};
};
// Pure: the last word, nullopt when it is not pinned. About the backup, whatever its manifest: a pin must not fall off.
std::optional<Pin> pin_of(std::span<const BackupNote> notes);

}  // namespace lifeboat
