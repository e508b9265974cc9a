// One object on its way from a store into a file: its ranges are read side by side, hashed in their order, compared
// with the manifest, and what is encrypted or compressed is unpacked. It is visible under its name only when it is
// whole, right and synced. What a killed or interrupted arrival left is taken up again: those bytes are hashed, not
// fetched.
#pragma once

#include <filesystem>

#include "backup/encryption.h"
#include "backup/manifest.h"
#include "backup/work.h"
#include "base/error.h"
#include "stores/store.h"

namespace lifeboat {

// What went wrong with a store's copy: the next copy or candidate may be better. Trouble with the own disk, a stop or a
// deadline is thrown as the Error that it is.
struct SourceTrouble {
    Error error;
};

// Throws SourceTrouble; Error for everything that no other source could cure. `part` is a scratch file on `to`'s file
// system; it and a note beside it, `<part>.from`, stay when the arrival does not end. `keys` may be empty where nothing
// is encrypted.
void fetch_object(Store& store, const std::string& key, const ManifestObject& expected, const KeyRing& keys,
                  const std::filesystem::path& to, const std::filesystem::path& part, ByteProgress& progress,
                  const WorkControl& control);
void remove_part(const std::filesystem::path& part);

// Reads the whole object and compares. Throws SourceTrouble likewise.
void check_object(Store& store, const std::string& key, const ManifestObject& expected, ByteProgress& progress,
                  const WorkControl& control);

// Whether the file is there and is what the object holds, decrypted; reads it.
bool is_object(const std::filesystem::path& path, const ManifestObject& expected, ByteProgress& progress,
               const WorkControl& control);

// Whether another source could still help: false for stops, deadlines, the own disk, missing programs and bugs.
bool is_about_the_source(ErrorCode code);

}  // namespace lifeboat
