#include "world/tree.h"

#include <array>
#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/sha256.h"
#include "world/file_content.h"
#include "world/file_descriptor.h"
#include "world/files.h"
#include "world/tree_walk.h"

namespace lifeboat {

namespace fs = std::filesystem;

// ---- listing

namespace {

TreeEntry entry_from(const struct stat& status) {
    TreeEntry entry;
    entry.owner = status.st_uid;
    entry.group = status.st_gid;
    if (S_ISLNK(status.st_mode)) {
        entry.type = EntryType::link;
        return entry;
    }
    entry.mode = status.st_mode & 07777u;
    if (S_ISREG(status.st_mode)) {
        entry.type = EntryType::file;
        entry.size = static_cast<std::uint64_t>(status.st_size);
    } else {
        entry.type = S_ISDIR(status.st_mode) ? EntryType::directory : EntryType::other;
    }
    return entry;
}

constexpr int deepest = 512;

// A directory that is written to while it is read loses and gains names: what is gone by the time it is opened was not
// there.
bool is_gone(int error_number, const std::string& path) {
    return error_number == ENOENT && path != ".";
}

struct Lister {
    const WorkControl& control;
    std::string root;
    bool read_files = true;
    TreeListing listing;

    void visit(int folder, const std::string& name, const std::string& path, int depth) {
        const std::string names = "read '" + root + (path == "." ? "" : "/" + path) + "'";
        if (depth > deepest) {
            throw Error{ErrorCode::limit_exceeded,
                        "cannot " + names + ": more than " + std::to_string(deepest) + " levels deep"};
        }
        control.check();
        struct stat status {};
        if (::fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
            if (is_gone(errno, path)) return;
            throw_errno(names, errno);
        }
        TreeEntry entry = entry_from(status);
        if (entry.type == EntryType::link) {
            entry.target = link_target(folder, name, names);
        } else if (entry.type == EntryType::file && read_files) {
            const FileDescriptor file{::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)};
            if (!file && is_gone(errno, path)) return;
            if (!file) throw_errno(names, errno);
            const HashedFile content = hash_content(file.get(), control, names);
            entry.size = content.size;
            entry.sha256 = content.sha256;
        }
        const bool is_directory = entry.type == EntryType::directory;
        listing.emplace(path, std::move(entry));
        if (!is_directory) return;
        const FileDescriptor directory = open_directory(folder, name, names);
        for (const auto& child : sorted_names(directory.get(), names)) {
            visit(directory.get(), child, below(path, child), depth + 1);
        }
    }
};

std::string octal(unsigned mode) {
    std::array<char, 8> text{};
    std::snprintf(text.data(), text.size(), "%04o", mode);
    return text.data();
}

std::string_view to_text(EntryType type) {
    switch (type) {
        case EntryType::file:
            return "file";
        case EntryType::directory:
            return "directory";
        case EntryType::link:
            return "link";
        case EntryType::other:
            return "special file";
    }
    return "";
}

std::string owner_text(const TreeEntry& entry) {
    return std::to_string(entry.owner) + ":" + std::to_string(entry.group);
}

}  // namespace

Owners owners_that_can_be_set() {
    return ::geteuid() == 0 ? Owners::compare : Owners::ignore;
}

TreeListing list_tree(const fs::path& root, const WorkControl& control) {
    const PlaceInTree place = place_of(root);
    Lister lister{.control = control, .root = root.string(), .read_files = true, .listing = {}};
    lister.visit(place.folder.get(), place.name, ".", 0);
    return std::move(lister.listing);
}

std::string fingerprint(const TreeListing& listing, Owners owners) {
    Sha256 digest;
    for (const auto& [path, entry] : listing) {
        std::string line = path;
        line += '\0';
        line += to_text(entry.type);
        line += '\0' + octal(entry.mode);
        line += '\0' + (owners == Owners::compare ? owner_text(entry) : std::string{});
        line += '\0' + std::to_string(entry.size);
        line += '\0' + entry.sha256 + entry.target;
        line += '\n';
        digest.update(line);
    }
    return to_hex(digest.finish());
}

std::string fingerprint_tree(const fs::path& root, const WorkControl& control, Owners owners) {
    return fingerprint(list_tree(root, control), owners);
}

std::vector<std::string> differences(const TreeListing& wanted, const TreeListing& found, Owners owners,
                                     std::size_t limit) {
    std::vector<std::string> lines;
    const auto differs = [&](const std::string& path, const std::string& what) {
        if (lines.size() < limit) lines.push_back("'" + path + "' " + what);
    };
    for (const auto& [path, entry] : wanted) {
        const auto there = found.find(path);
        if (there == found.end()) {
            differs(path, "is missing");
            continue;
        }
        const TreeEntry& other = there->second;
        if (entry.type != other.type) {
            differs(path,
                    "is a " + std::string{to_text(other.type)} + " instead of a " + std::string{to_text(entry.type)});
        } else if (entry.size != other.size) {
            differs(path, "has " + std::to_string(other.size) + " bytes instead of " + std::to_string(entry.size));
        } else if (entry.sha256 != other.sha256) {
            differs(path, "has another content");
        } else if (entry.target != other.target) {
            differs(path, "leads to '" + other.target + "' instead of '" + entry.target + "'");
        } else if (entry.mode != other.mode) {
            differs(path, "has mode " + octal(other.mode) + " instead of " + octal(entry.mode));
        } else if (owners == Owners::compare && owner_text(entry) != owner_text(other)) {
            differs(path, "belongs to " + owner_text(other) + " instead of " + owner_text(entry));
        }
    }
    for (const auto& [path, entry] : found) {
        if (!wanted.contains(path)) differs(path, "is there and should not be");
    }
    return lines;
}

TreeSize size_of(const TreeListing& listing) {
    TreeSize size;
    for (const auto& [path, entry] : listing) {
        ++size.entries;
        size.bytes.count += entry.size;
    }
    return size;
}

TreeSize measure_tree(const fs::path& root, const WorkControl& control) {
    const PlaceInTree place = place_of(root);
    Lister lister{.control = control, .root = root.string(), .read_files = false, .listing = {}};
    lister.visit(place.folder.get(), place.name, ".", 0);
    return size_of(lister.listing);
}

// ---- copying

namespace {

struct Copier {
    const WorkControl& control;
    std::string from_root;
    TreeListing listing;
    SyncOnce sync;

    // False when the entry was left out.
    bool copy(int from, const std::string& name, int to, const std::string& to_name, const std::string& path,
              int depth) {
        const std::string names = "copy '" + from_root + (path == "." ? "" : "/" + path) + "'";
        if (depth > deepest) {
            throw Error{ErrorCode::limit_exceeded,
                        "cannot " + names + ": more than " + std::to_string(deepest) + " levels deep"};
        }
        control.check();
        struct stat status {};
        if (::fstatat(from, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
            if (is_gone(errno, path)) return false;
            throw_errno(names, errno);
        }
        if (S_ISSOCK(status.st_mode)) return false;
        TreeEntry entry = entry_from(status);
        switch (entry.type) {
            case EntryType::file:
                copy_one_file(from, name, to, to_name, entry, names);
                break;
            case EntryType::link:
                copy_link(from, name, to, to_name, entry, names);
                break;
            case EntryType::directory:
                copy_directory(from, name, to, to_name, path, depth, names);
                break;
            case EntryType::other:
                throw Error{ErrorCode::unsupported, "cannot " + names + ": it is a device or a FIFO"};
        }
        listing.emplace(path, std::move(entry));
        return true;
    }

    static Metadata metadata_of(int file, const std::string& names) {
        struct stat status {};
        if (::fstat(file, &status) != 0) throw_errno(names, errno);
        return {.mode = status.st_mode & 07777u,
                .owner = status.st_uid,
                .group = status.st_gid,
                .modified_seconds = status.st_mtim.tv_sec,
                .modified_nanoseconds = status.st_mtim.tv_nsec,
                .attributes = extended_attributes(file)};
    }

    void copy_one_file(int from, const std::string& name, int to, const std::string& to_name, TreeEntry& entry,
                       const std::string& names) {
        const FileDescriptor source{::openat(from, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)};
        if (!source) throw_errno(names, errno);
        const FileDescriptor target{
            ::openat(to, to_name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
        if (!target) throw_errno(names, errno);
        const HashedFile content = copy_content(source.get(), target.get(), control, names);
        entry.size = content.size;
        entry.sha256 = content.sha256;
        set_metadata(target.get(), metadata_of(source.get(), names), names);
        sync.file(target.get(), names);
    }

    static void copy_link(int from, const std::string& name, int to, const std::string& to_name, TreeEntry& entry,
                          const std::string& names) {
        entry.target = link_target(from, name, names);
        if (::symlinkat(entry.target.c_str(), to, to_name.c_str()) != 0) throw_errno(names, errno);
        if (owners_that_can_be_set() == Owners::compare &&
            ::fchownat(to, to_name.c_str(), entry.owner, entry.group, AT_SYMLINK_NOFOLLOW) != 0) {
            throw_errno(names, errno);
        }
    }

    void copy_directory(int from, const std::string& name, int to, const std::string& to_name, const std::string& path,
                        int depth, const std::string& names) {
        const FileDescriptor source = open_directory(from, name, names);
        if (::mkdirat(to, to_name.c_str(), 0700) != 0) throw_errno(names, errno);
        const FileDescriptor target = open_directory(to, to_name, names);
        for (const auto& child : sorted_names(source.get(), names)) {
            copy(source.get(), child, target.get(), child, below(path, child), depth + 1);
        }
        set_metadata(target.get(), metadata_of(source.get(), names), names);
        sync.file(target.get(), names);
    }
};

}  // namespace

TreeListing copy_tree(const fs::path& from, const fs::path& to, const WorkControl& control) {
    const PlaceInTree source = place_of(from);
    const PlaceInTree target = place_of(to);
    Copier copier{.control = control, .from_root = from.string(), .listing = {}, .sync = {}};
    if (!copier.copy(source.folder.get(), source.name, target.folder.get(), target.name, ".", 0)) {
        throw Error{ErrorCode::unsupported, "cannot copy '" + from.string() + "': it is a socket"};
    }
    const std::string names = "sync '" + to.string() + "'";
    copier.sync.finish(target.folder.get(), names);
    sync_content(target.folder.get(), names);
    return std::move(copier.listing);
}

// ---- removing

namespace {

void remove_below(int folder, const std::string& name, dev_t device, const std::string& path) {
    const std::string names = "remove '" + path + "'";
    struct stat status {};
    if (::fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) return;
        throw_errno(names, errno);
    }
    if (!S_ISDIR(status.st_mode)) {
        if (::unlinkat(folder, name.c_str(), 0) != 0 && errno != ENOENT) throw_errno(names, errno);
        return;
    }
    if (status.st_dev != device) {
        throw Error{ErrorCode::busy, "cannot " + names + ": another file system is mounted there"};
    }
    if ((status.st_mode & 0700u) != 0700u) (void)::fchmodat(folder, name.c_str(), 0700, 0);
    const FileDescriptor directory = open_directory(folder, name, names);
    for (const auto& child : sorted_names(directory.get(), names)) {
        remove_below(directory.get(), child, device, path + "/" + child);
    }
    if (::unlinkat(folder, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) throw_errno(names, errno);
}

}  // namespace

bool remove_tree(const fs::path& root) {
    if (!identity_of(root)) return false;
    struct stat status {};
    if (::lstat(root.c_str(), &status) != 0) throw_errno("remove '" + root.string() + "'", errno);
    if (S_ISDIR(status.st_mode)) {
        const auto mounted = mounts_within(root);
        if (!mounted.empty()) {
            throw Error{ErrorCode::busy,
                        "cannot remove '" + root.string() + "': '" + mounted.front().string() + "' is a mount point"};
        }
    }
    const PlaceInTree place = place_of(root);
    remove_below(place.folder.get(), place.name, status.st_dev, root.string());
    sync_content(place.folder.get(), "sync the directory of '" + root.string() + "'");
    return true;
}

}  // namespace lifeboat
