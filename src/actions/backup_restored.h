// Verification beyond reading: every component of a fetched backup is really restored into something throw-away (a
// cluster of the dump's version, a Redis server, a folder), compared with the facts of its manifest, and asked the
// set's checks. Whatever was made is removed before this returns or throws.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "actions/family.h"
#include "backup/level.h"
#include "backup/manifest.h"
#include "backup/verification.h"

namespace lifeboat {

// `components`: name → file, or folder of a dump in directory format. `wanted` is restored or queried; the level of the
// result is `readable` when a component could not be restored, `restored` when a check failed. Throws what is not the
// backup's fault: Error{program_missing | unsupported (an extension, a newer version) | disk_full | cancelled |
// timed_out | …}.
Verification restore_and_ask(const ActionWorld& world, const BackupSet& set, const Manifest& manifest,
                             const std::map<std::string, std::filesystem::path>& components, Level wanted,
                             const Context& context);

}  // namespace lifeboat
