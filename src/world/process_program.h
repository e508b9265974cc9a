// Which file a command executes and where, found out before there is a child: a missing program and a missing folder
// give the same error from the kernel.
#pragma once

#include <filesystem>
#include <string_view>

#include "world/process.h"

namespace lifeboat {

inline constexpr std::string_view default_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct ProgramPlace {
    std::filesystem::path program;
    std::filesystem::path folder;
};

// Throws Error{program_missing | not_found (folder) | refused (empty or with a NUL)}.
ProgramPlace find_command(const Command& command);

}  // namespace lifeboat
