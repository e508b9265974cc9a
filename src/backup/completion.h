// Completing: a backup that some stores hold is copied to those that miss it, because they were down when it was made
// or came later. Objects are copied as they are stored, so no key is needed; each is compared with the manifest before
// a byte of it goes anywhere, and taken from the next store that has it when it is wrong; the manifest goes last.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backup/catalogue.h"
#include "backup/claim.h"
#include "backup/retention.h"
#include "backup/work.h"

namespace lifeboat {

struct CompletionWish {
    std::string id;                 // this backup; empty: the newest
    bool all = false;               // every one that the retention would keep in the store that misses it
    RetentionPolicy policy = {};    // for `all`
    Timestamp now{};                // likewise
    std::vector<std::string> from;  // only copies in these stores; empty: in any
    std::vector<std::string> to;    // the stores to be completed
};

struct MissingCopies {
    std::string id;
    std::string manifest_sha256;
    std::vector<std::string> from;  // hold it: those where nothing is known to be wrong first
    std::vector<std::string> to;    // miss it
    std::optional<Pin> pin;
};

struct CompletionTrouble {
    std::string store;
    std::string id;  // empty: it is about every backup
    Error error;
};

struct CompletionPlan {
    std::vector<MissingCopies> backups;       // in the order in which to complete them: parents first
    std::vector<CompletionTrouble> troubles;  // stores that cannot be read, or hold something else under the id
    bool found = false;                       // there is a sound backup that the wish is about
};

// Pure.
CompletionPlan plan_completion(const Catalogue& catalogue, const CompletionWish& wish);

struct CompletionRequest {
    std::string set;
    std::string id;
    std::string manifest_sha256;
    std::string claim;  // token of this deed
    Timestamp at{};     // of the claim
    Stores from;        // in the order to be tried
    Stores to;
    std::optional<Pin> pin;    // goes with the copy
    TrustedKeys trusted = {};  // a signature that none of them made is not copied
};

struct CompletedBackup {
    std::vector<std::string> stores;     // that hold it now, whole, and were given it by this deed
    std::vector<StoreTrouble> troubles;  // the others
    std::uint64_t copied = 0;            // bytes written, in all stores together
};

// What a maker or another completion of the very same backup left half-written is taken over and finished; anybody
// else's is left alone and named. A store that fails does not stop the others. Needs room in the workspace for the
// largest object. Throws what no other source could cure, and the sources' error when none of them has an object right;
// what was written is removed then as far as the stores let it.
CompletedBackup complete_backup(const CompletionRequest& request, const BackupWork& work);

// The object that a killed `complete_backup` left in its workspace.
void remove_spooled(const BackupWork& work);

}  // namespace lifeboat
