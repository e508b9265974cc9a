// The steps of a walk through a directory tree that never leaves it: every name is opened relative to its parent's
// descriptor, without following links. For tree.cpp and the archives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "world/file_descriptor.h"

namespace lifeboat {

// A name in an open directory. In the functions below `names` is for messages: "copy '/a/b'".
struct PlaceInTree {
    FileDescriptor folder;
    std::string name;
};
PlaceInTree place_of(const std::filesystem::path& path);

FileDescriptor open_directory(int folder, const std::string& name, const std::string& names);
std::vector<std::string> sorted_names(int directory, const std::string& names);
std::string link_target(int folder, const std::string& name, const std::string& names);
// "a" and "b" → "a/b"; "." stands for the root.
std::string below(const std::string& path, const std::string& name);

std::map<std::string, std::string> extended_attributes(int file);

struct Metadata {
    unsigned mode = 0;
    std::uint32_t owner = 0;
    std::uint32_t group = 0;
    std::int64_t modified_seconds = 0;
    std::int64_t modified_nanoseconds = 0;
    std::map<std::string, std::string> attributes;
};
// Owners only when root.
void set_metadata(int file, const Metadata& wanted, const std::string& names);

// Syncs the first files one by one and, when there are many, the rest in one act of the whole file system.
class SyncOnce {
  public:
    void file(int descriptor, const std::string& names);
    void finish(int any_descriptor, const std::string& names) const;

  private:
    static constexpr std::size_t one_by_one = 64;
    std::size_t count_ = 0;
};

}  // namespace lifeboat
