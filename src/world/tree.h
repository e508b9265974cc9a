// Whole directory trees (or one file, which is a tree of one entry): listing with digests, copying, comparing,
// removing. Links are never followed, neither below a tree nor by its removal; every walk is confined to its root by
// openat.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/size.h"
#include "world/control.h"

namespace lifeboat {

enum class EntryType { file, directory, link, other };

struct TreeEntry {
    EntryType type = EntryType::file;
    unsigned mode = 0;  // permission bits with set-id and sticky, 07777; 0 for links
    std::uint32_t owner = 0;
    std::uint32_t group = 0;
    std::uint64_t size = 0;  // of files
    std::string sha256;      // of files, hexadecimal
    std::string target;      // of links

    bool operator==(const TreeEntry&) const = default;
};

// Path relative to the root, "." for the root itself → entry.
using TreeListing = std::map<std::string, TreeEntry>;

// Whether owners and groups count when trees are compared: only root can set them.
enum class Owners { compare, ignore };
Owners owners_that_can_be_set();

// Reads every file. Sockets, FIFOs and devices are listed as `other`.
TreeListing list_tree(const std::filesystem::path& root, const WorkControl& control = {});
// One digest for the whole: of path, type, mode, owner and group, size and content of every entry, in the order of
// paths.
std::string fingerprint(const TreeListing& listing, Owners owners = Owners::compare);
std::string fingerprint_tree(const std::filesystem::path& root, const WorkControl& control = {},
                             Owners owners = Owners::compare);
// Lines for people: "'etc/app.conf' has mode 0644 instead of 0600"; at most `limit`, empty when equal.
std::vector<std::string> differences(const TreeListing& wanted, const TreeListing& found, Owners owners,
                                     std::size_t limit = 10);

struct TreeSize {
    std::uint64_t entries = 0;
    Bytes bytes;  // of files' content
};
TreeSize size_of(const TreeListing& listing);
// Without reading the files.
TreeSize measure_tree(const std::filesystem::path& root, const WorkControl& control = {});

// Copies `from` (directory, file or link) to `to`, which must not exist: content, modes, times, links, extended
// attributes where both sides have them, owners when root, hard links as separate files. Synced when it returns.
// Error{unsupported} for sockets, FIFOs and devices. Returns the listing of what was read, so that the copy can be
// compared with it.
TreeListing copy_tree(const std::filesystem::path& from, const std::filesystem::path& to,
                      const WorkControl& control = {});

// Removes the whole tree (or file, or link), durable. False when nothing was there. Does not leave the file system of
// `root`: Error{busy} at a mount point.
bool remove_tree(const std::filesystem::path& root);

}  // namespace lifeboat
