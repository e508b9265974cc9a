// A new backup: the sources are dumped into the workspace, then written to every store, manifest last. A store that
// fails does not stop the others. The first object written is the deed's claim (claim.h), by which an undo knows its
// own.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backup/catalogue.h"
#include "backup/claim.h"
#include "backup/dump.h"
#include "backup/encryption.h"
#include "backup/work.h"
#include "world/signature.h"

namespace lifeboat {

// An id that no store holds anything under. Stores that cannot be read are skipped; throws their error when none can
// be.
std::string free_backup_id(const std::string& set, const Stores& stores, Timestamp started_at,
                           const WorkControl& control = {});

struct CreateRequest {
    std::string set;
    std::string id;
    Timestamp started_at{};
    std::string claim;  // its token
    std::vector<ComponentSource> sources;
    Stores stores;
    std::optional<EncryptionKey> key;  // what is stored is encrypted with it
    bool compress = false;             // by zstd, but for dumps that are compressed already
    // Files and objects that are unchanged since the newest backup that every store holds are not stored again, until
    // everything is stored anew after so long.
    std::optional<Duration> full_every;
    KeyRing keys;                   // to read that backup with
    TrustedKeys trusted = {};       // where there are any, it has to be signed by one of them
    std::optional<Bytes> max_size;  // a backup that would take more in a store is not written: Error{limit_exceeded}
    std::optional<Ed25519Signer> sign = std::nullopt;  // the manifest is signed with it
};

struct CreatedBackup {
    Manifest manifest;
    std::string manifest_sha256;
    std::vector<std::string> stores;     // that hold it now, whole
    std::vector<StoreTrouble> troubles;  // the others
};

// Throws Error{moved} when the id was taken meanwhile, the first store's error when no store took the backup. Whatever
// is thrown, what was written is removed again as far as the stores let it.
CreatedBackup create_backup(const CreateRequest& request, const Clock& clock, const BackupWork& work);

// The dumps that a killed `create_backup` left in its workspace.
void remove_dumps(const BackupWork& work);

}  // namespace lifeboat
