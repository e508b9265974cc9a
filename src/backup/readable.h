// Whether the format's own reader goes through a component to its end: what a checksum cannot tell is whether the bytes
// were ever a usable dump. `pg_restore --list` alone passes on a cut archive, so archives are read through as well
// (R8).
#pragma once

#include <filesystem>

#include "backup/manifest.h"
#include "backup/work.h"

namespace lifeboat {

// `path` is the component's file, or its folder in directory format. Throws Error{corrupt | incomplete} when it cannot
// be read to its end, Error{program_missing} when nothing here could read it.
void require_readable(const ManifestComponent& component, const std::filesystem::path& path, const BackupWork& work);

// The file or folder of a component below `folder`, which holds a backup's objects under their keys.
std::filesystem::path path_of(const ManifestComponent& component, const std::filesystem::path& folder);

}  // namespace lifeboat
