// How good a backup is, as far as asked: listed → complete → checksummed → readable. Everything that is wrong is named,
// not only the first thing.
#pragma once

#include <string>
#include <vector>

#include "backup/catalogue.h"
#include "backup/encryption.h"
#include "backup/level.h"
#include "backup/work.h"

namespace lifeboat {

struct VerificationProblem {
    std::string object;  // its key below the backup's folder
    std::string why;
};
Json to_json(const VerificationProblem& problem);

struct Verification {
    Level level = Level::listed;  // the highest that holds
    std::vector<VerificationProblem> problems;
    std::string archived = {};  // why nothing beyond `level` could be read: it lies in cold storage; empty otherwise
};

// `entry` has a manifest. `readable` needs room in the workspace for the largest component. Throws Error{unsupported}
// for the levels above it, and what it meets where the store could not be asked (unreachable, …) rather than calling
// that damage.
Verification verify_backup(Store& store, const std::string& set, const CatalogueEntry& entry, const KeyRing& keys,
                           Level wanted, const BackupWork& work);

}  // namespace lifeboat
