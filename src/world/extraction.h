// Writes entries below one fresh root, and nowhere else: a parent is opened component by component without following
// links, and every file is made anew. Whoever calls has checked the paths; this is the second wall. Directories get
// their modes and times at the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "world/file_descriptor.h"
#include "world/tree_walk.h"

namespace lifeboat {

class Extraction {
  public:
    // `root` must not exist yet; it becomes whatever the entry "." is.
    explicit Extraction(const std::filesystem::path& root);

    void make_directory(const std::string& path);
    // Of a directory made before; set by `finish`.
    void set_directory(const std::string& path, Metadata wanted);
    void make_link(const std::string& path, const std::string& target, const Metadata& wanted);
    void begin_file(const std::string& path);
    void write(std::uint64_t at, std::span<const std::byte> bytes);
    void end_file(std::uint64_t size, const Metadata& wanted);
    // A file's content once more under another name.
    void copy_file(const std::string& from, const std::string& to, const Metadata& wanted);
    // Syncs everything.
    void finish();

  private:
    struct Place {
        int folder;
        std::string name;
    };
    Place place(const std::string& path);
    std::string names(const std::string& path) const;

    std::filesystem::path root_;
    PlaceInTree top_;
    FileDescriptor root_folder_;
    std::string open_path_ = ".";  // of the directory that `open_folder_` is
    FileDescriptor open_folder_;
    FileDescriptor file_;
    std::string file_path_;
    std::map<std::string, Metadata> directories_;
    SyncOnce sync_;
};

}  // namespace lifeboat
