#include "world/files.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "world/file_content.h"
#include "world/file_descriptor.h"
#include "world/tree.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

std::string quoted(const fs::path& path) {
    return "'" + path.string() + "'";
}

fs::path folder_of(const fs::path& path) {
    const fs::path folder = path.parent_path();
    return folder.empty() ? fs::path{"."} : folder;
}

void sync_folders_of(const fs::path& a, const fs::path& b) {
    sync_directory(folder_of(a));
    if (folder_of(a) != folder_of(b)) sync_directory(folder_of(b));
}

// A file system that has no such flag says EINVAL; one that is stacked on others may say EXDEV.
bool flag_unknown(int error_number) {
    return error_number == EINVAL || error_number == ENOSYS || error_number == EOPNOTSUPP;
}

}  // namespace

bool same_object(const FileIdentity& a, const FileIdentity& b) {
    if (a.inode != b.inode) return false;
    if (a.born != 0 && b.born != 0) return a.born == b.born;
    return a.device == b.device;
}

Json to_json(const FileIdentity& identity) {
    return {{"device", identity.device}, {"inode", identity.inode}, {"born", identity.born}};
}

FileIdentity file_identity_from_json(const Json& value) {
    return {.device = value.at("device").get<std::uint64_t>(),
            .inode = value.at("inode").get<std::uint64_t>(),
            .born = value.at("born").get<std::int64_t>()};
}

std::optional<FileIdentity> identity_of(const fs::path& path) {
    struct statx status {};
    if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_INO | STATX_BTIME, &status) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
        throw_errno("look at " + quoted(path), errno);
    }
    FileIdentity identity;
    identity.device = (std::uint64_t{status.stx_dev_major} << 32) | status.stx_dev_minor;
    identity.inode = status.stx_ino;
    if ((status.stx_mask & STATX_BTIME) != 0) {
        identity.born = status.stx_btime.tv_sec * 1'000'000'000 + status.stx_btime.tv_nsec;
    }
    return identity;
}

std::string read_small_file(const fs::path& path, Bytes limit) {
    const std::string names = "read " + quoted(path);
    const FileDescriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (!file) throw_errno("open " + quoted(path), errno);
    std::string text;
    std::array<std::byte, 64u << 10> buffer{};
    while (true) {
        const std::size_t length = read_full(file.get(), buffer, names);
        text.append(reinterpret_cast<const char*>(buffer.data()), length);
        if (text.size() > limit.count) {
            throw Error{ErrorCode::limit_exceeded, quoted(path) + " is larger than " + to_human(limit)};
        }
        if (length < buffer.size()) return text;
    }
}

void write_durably(const fs::path& path, std::string_view content, unsigned mode) {
    const std::string names = "write " + quoted(path);
    std::string temporary = (folder_of(path) / ("." + path.filename().string() + ".XXXXXX")).string();
    FileDescriptor file{::mkostemp(temporary.data(), O_CLOEXEC)};
    if (!file) throw_errno(names, errno);
    try {
        write_all(file.get(), std::as_bytes(std::span{content}), names);
        if (::fchmod(file.get(), mode) != 0) throw_errno(names, errno);
        sync_content(file.get(), names);
        if (::rename(temporary.c_str(), path.c_str()) != 0) throw_errno(names, errno);
    } catch (const Error&) {
        ::unlink(temporary.c_str());
        throw;
    }
    sync_directory(folder_of(path));
}

void sync_directory(const fs::path& folder) {
    const FileDescriptor directory{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!directory) throw_errno("open the directory " + quoted(folder), errno);
    // Some network and fuse file systems know no sync of directories.
    if (::fsync(directory.get()) != 0 && errno != EINVAL) throw_errno("sync the directory " + quoted(folder), errno);
}

void make_directories(const fs::path& folder, unsigned mode) {
    if (folder.empty()) return;
    struct stat status {};
    if (::stat(folder.c_str(), &status) == 0) {
        if (!S_ISDIR(status.st_mode)) {
            throw Error{ErrorCode::already_exists, quoted(folder) + " is there and is no directory"};
        }
        return;
    }
    make_directories(folder.parent_path(), mode);
    if (::mkdir(folder.c_str(), mode) != 0) {
        if (errno == EEXIST) return;
        throw_errno("make the directory " + quoted(folder), errno);
    }
    sync_directory(folder_of(folder));
}

void move_durably(const fs::path& from, const fs::path& to) {
    const std::string names = "move " + quoted(from) + " to " + quoted(to);
    if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) != 0) {
        if (!flag_unknown(errno)) throw_errno(names, errno);
        if (identity_of(to)) throw_errno(names, EEXIST);
        if (::rename(from.c_str(), to.c_str()) != 0) throw_errno(names, errno);
    }
    sync_folders_of(from, to);
}

void exchange(const fs::path& a, const fs::path& b) {
    if (::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) != 0) {
        const std::string names = "exchange " + quoted(a) + " and " + quoted(b);
        if (flag_unknown(errno)) {
            throw Error{ErrorCode::unsupported, "cannot " + names + ": the file system has no atomic exchange"};
        }
        throw_errno(names, errno);
    }
    sync_folders_of(a, b);
}

bool remove_file(const fs::path& path) {
    if (::unlink(path.c_str()) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) return false;
        throw_errno("remove " + quoted(path), errno);
    }
    sync_directory(folder_of(path));
    return true;
}

void copy_owner_and_mode(const fs::path& from, const fs::path& to) {
    struct stat status {};
    if (::stat(from.c_str(), &status) != 0) throw_errno("look at " + quoted(from), errno);
    const FileDescriptor file{::open(to.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)};
    if (!file) throw_errno("open " + quoted(to), errno);
    const std::string names = "set owner and mode of " + quoted(to);
    if (::geteuid() == 0 && ::fchown(file.get(), status.st_uid, status.st_gid) != 0) throw_errno(names, errno);
    if (::fchmod(file.get(), status.st_mode & 07777u) != 0) throw_errno(names, errno);
    sync_content(file.get(), names);
}

HashedFile copy_and_hash(const fs::path& from, const fs::path& to, const WorkControl& control, unsigned mode) {
    const std::string names = "copy " + quoted(from) + " to " + quoted(to);
    const FileDescriptor source{::open(from.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!source) throw_errno("open " + quoted(from), errno);
    const FileDescriptor target{::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (!target) throw_errno("make " + quoted(to), errno);
    try {
        const HashedFile copied = copy_content(source.get(), target.get(), control, names);
        if (::fchmod(target.get(), mode) != 0) throw_errno(names, errno);
        sync_content(target.get(), names);
        sync_directory(folder_of(to));
        return copied;
    } catch (const Error&) {
        ::unlink(to.c_str());
        throw;
    }
}

HashedFile hash_file(const fs::path& path, const WorkControl& control) {
    const FileDescriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!file) throw_errno("open " + quoted(path), errno);
    return hash_content(file.get(), control, "read " + quoted(path));
}

bool lies_within(const fs::path& path, const fs::path& folder) {
    const fs::path inner = path.lexically_normal();
    const fs::path outer = folder.lexically_normal();
    auto at = inner.begin();
    for (const auto& component : outer) {
        if (component.empty()) continue;  // what a trailing slash leaves
        if (at == inner.end() || *at != component) return false;
        ++at;
    }
    return true;
}

void require_definite_path(const fs::path& path, std::string_view what) {
    const auto refuse = [&](std::string_view why) {
        throw Error{ErrorCode::invalid_file, std::string{what} + " " + quoted(path) + " " + std::string{why},
                    "Give the absolute path of one file or directory."};
    };
    if (path.empty()) refuse("is empty");
    if (!path.is_absolute()) refuse("is not absolute");
    bool names_something = false;
    for (const auto& component : path) {
        if (component == "/" || component.empty()) continue;
        if (component == "." || component == "..") refuse("has the component '" + component.string() + "'");
        if (component.string().find_first_of("*?\n") != std::string::npos) refuse("holds a wildcard or a line break");
        names_something = true;
    }
    if (!names_something) refuse("is the root of everything");
}

PrivateDirectory::PrivateDirectory(const fs::path& parent, std::string_view prefix) {
    make_directories(parent);
    std::string name = (parent / (std::string{prefix} + "XXXXXX")).string();
    if (::mkdtemp(name.data()) == nullptr) throw_errno("make a directory in " + quoted(parent), errno);
    path_ = name;
}

PrivateDirectory::~PrivateDirectory() {
    if (path_.empty()) return;
    try {
        remove_tree(path_);
    } catch (const Error&) {
        // What cannot be removed stays behind; a destructor has nobody to tell.
    }
}

PrivateDirectory::PrivateDirectory(PrivateDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}

PrivateDirectory& PrivateDirectory::operator=(PrivateDirectory&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
}

fs::path PrivateDirectory::keep() {
    return std::exchange(path_, {});
}

}  // namespace lifeboat
