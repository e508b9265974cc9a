// What a folder or file is restored from: another folder, another file, or a tar archive; and its staging beside the
// target.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/json.h"
#include "base/size.h"
#include "world/control.h"
#include "world/tree.h"

namespace lifeboat {

enum class SourceKind { tree, file, tar };

struct FilesSource {
    SourceKind kind = SourceKind::tree;
    std::filesystem::path path;
    std::string inside;       // of an archive: what becomes the root
    bool gives_file = false;  // one file, not a directory
};
Json to_json(const FilesSource& source);
FilesSource files_source_from_json(const Json& value);

// `from` is a folder, a file, a `.tar`, or the folder of a fetched backup that holds `<resource>/<resource>.tar`.
// `live` is what would be replaced: an archive of a single file gives that file where a file is wanted. Throws
// Error{not_found | unsupported | refused}.
FilesSource find_files_source(const std::filesystem::path& from, const std::string& inside, const std::string& resource,
                              const std::filesystem::path& live, const WorkControl& control);

// Without reading it through: of an archive, its own size.
Bytes size_of_source(const FilesSource& source, const WorkControl& control);

struct StagingRules {
    bool links_out = false;   // symbolic links may lead out of an archive's folder
    std::string fingerprint;  // that the source must have; empty: any
};
// Makes `staged`, which must not exist, and reads it back: Error{corrupt} when it is not what was read, or not what
// `rules` want. Removed again when it fails.
TreeListing stage_files(const FilesSource& source, const std::filesystem::path& staged, const StagingRules& rules,
                        const WorkControl& control);
// What `stage_files` would make.
TreeListing list_source(const FilesSource& source, const StagingRules& rules, const WorkControl& control);

}  // namespace lifeboat
