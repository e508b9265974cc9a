// An exclusive flock on a file, held as long as the object lives; the kernel frees it when the process dies, so a lock
// is never stale. The file stays (removing it would let two holders lock two different files).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "world/file_descriptor.h"

namespace lifeboat {

class FileLock {
  public:
    // Takes the lock without waiting; nullopt when somebody else holds it. Makes the file (0600) and its directories.
    static std::optional<FileLock> try_take(const std::filesystem::path& path);
    // The same, and throws Error{locked} with the holder's note in the hint.
    static FileLock take(const std::filesystem::path& path);
    // What the holder last wrote with `write_note`; empty when nothing.
    static std::string note_in(const std::filesystem::path& path);

    // Leaves a note for those who find the file locked: who holds it, since when.
    void write_note(std::string_view note);
    const std::filesystem::path& path() const { return path_; }

  private:
    FileLock(std::filesystem::path path, FileDescriptor file) : path_(std::move(path)), file_(std::move(file)) {}
    std::filesystem::path path_;
    FileDescriptor file_;
};

}  // namespace lifeboat
