// The few calls on open files that the run store makes itself (appends, reads of a range). Whole files are written with
// world/files.h.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "world/file_descriptor.h"

namespace lifeboat {

// `flags` as open(2) takes them; new files are 0600, and no child inherits it.
FileDescriptor open_file(const std::filesystem::path& path, int flags);
// nullopt when there is no such file.
std::optional<std::string> read_file_if_any(const std::filesystem::path& path);
void write_all(const FileDescriptor& file, std::string_view bytes, const std::filesystem::path& path);

}  // namespace lifeboat
