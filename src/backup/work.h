// What the long pieces of work in this room are given by the deed they belong to. Lives as long as the call.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "world/control.h"
#include "world/process.h"

namespace lifeboat {

struct BackupWork {
    WorkControl control;              // when to stop; its `moved` is not used here
    std::filesystem::path workspace;  // private, on a file system with room for a backup; exists
    // Runs a child of the deed: journaled before it begins, ended with the deed. Throws Error{cancelled | timed_out}
    // then.
    std::function<ChildResult(const Command& command)> run;
    // Bytes done of total, where known. May be called from another thread than the caller's, a few times a second.
    std::function<void(const std::string& what, std::optional<std::uint64_t> done, std::optional<std::uint64_t> total)>
        progress = [](const auto&, auto, auto) {};
    std::function<void(std::string_view line)> log = [](std::string_view) {};
};

// Counts bytes and says so at most a few times a second, and at the end of each `step`.
class ByteProgress {
  public:
    ByteProgress(const BackupWork& work, std::string what, std::optional<std::uint64_t> total);
    void add(std::uint64_t bytes);
    void rename(std::string what);
    std::uint64_t done() const { return done_; }

  private:
    const BackupWork& work_;
    std::string what_;
    std::uint64_t done_ = 0;
    std::optional<std::uint64_t> total_;
    std::chrono::steady_clock::time_point said_;
};

}  // namespace lifeboat
