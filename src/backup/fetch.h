// The fetch: down an ordered list of candidates into a folder until one is whole, right and (if asked) readable. Copies
// of one backup in several stores complete each other object by object. What an earlier attempt has verified is not
// fetched again.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "backup/catalogue.h"
#include "backup/encryption.h"
#include "backup/level.h"
#include "backup/thaw.h"
#include "backup/work.h"

namespace lifeboat {

struct FetchCandidate {
    std::string id;
    std::string store;
    std::string manifest_sha256;
};

struct FetchRefusal {
    std::string id;
    std::string store;
    std::string why;
    ErrorCode code = ErrorCode::corrupt;
};
Json to_json(const FetchRefusal& refusal);
Json to_json(const std::vector<FetchRefusal>& refusals);

struct FetchRequest {
    std::string set;
    std::vector<FetchCandidate> candidates;  // in the order to be tried
    Stores stores;
    std::optional<ForeignLayout> foreign = std::nullopt;  // of a set that other tools fill
    KeyRing keys;                                         // for what is encrypted; old backups may need old keys
    std::filesystem::path folder;                         // a backup goes to <folder>/<id>/, its manifest too
    Level level = Level::readable;                        // checksummed or readable
    // What lies in cold storage is asked for and waited for, once no other copy of that backup will do; else refused.
    bool archived = true;
    ThawWaiting waiting = {};
    std::function<void(const std::vector<FetchRefusal>& so_far)> refused = [](const auto&) {};
};

struct Fetched {
    FetchCandidate from;
    Manifest manifest;
    std::filesystem::path folder;                             // <folder>/<id>
    std::map<std::string, std::filesystem::path> components;  // name → file, or folder of a dump in directory format
    std::vector<FetchRefusal> refused;
    std::uint64_t kept = 0;  // bytes that were already there, verified
};

// Throws Error{no_candidate} with every refusal in its details. A source that is only out of reach for now (a transient
// error) is no reason to restore older data: when no copy of that backup can be had, its error is thrown instead.
Fetched fetch_backup(const FetchRequest& request, const BackupWork& work);

}  // namespace lifeboat
