// Redis' own programs as children: the one that reads a snapshot through, and a throw-away server that loads one.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "world/process.h"

namespace lifeboat {

using ChildRunner = std::function<ChildResult(const Command& command)>;

struct CheckedSnapshot {
    std::string complaint;              // what the program says is wrong; empty: nothing is
    std::optional<std::uint64_t> keys;  // in all databases, where the program tells
};

// redis-check-rdb over the whole file, checksum included. `workspace` takes a small file for the while. Throws
// Error{program_missing} where it is not installed, Error{unsupported} when this snapshot is of a newer format than the
// program knows.
CheckedSnapshot check_redis_snapshot(const std::filesystem::path& file, const std::filesystem::path& workspace,
                                     const ChildRunner& run);

}  // namespace lifeboat
