#include "world/tree_walk.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "world/file_content.h"
#include "world/tree.h"

namespace lifeboat {

namespace fs = std::filesystem;

PlaceInTree place_of(const fs::path& path) {
    fs::path plain = path.lexically_normal();
    if (plain.filename().empty()) plain = plain.parent_path();  // a trailing slash
    const fs::path folder = plain.parent_path().empty() ? fs::path{"."} : plain.parent_path();
    PlaceInTree place{.folder = FileDescriptor{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)},
                      .name = plain.filename().string()};
    if (!place.folder) throw_errno("open the directory '" + folder.string() + "'", errno);
    return place;
}

FileDescriptor open_directory(int folder, const std::string& name, const std::string& names) {
    FileDescriptor directory{::openat(folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    if (!directory) throw_errno(names, errno);
    return directory;
}

std::vector<std::string> sorted_names(int directory, const std::string& names) {
    const int again = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (again < 0) throw_errno(names, errno);
    const std::unique_ptr<DIR, int (*)(DIR*)> stream{::fdopendir(again), ::closedir};
    if (stream == nullptr) throw_errno(names, errno);
    std::vector<std::string> found;
    while (true) {
        errno = 0;
        const dirent* entry = ::readdir(stream.get());
        if (entry == nullptr) {
            if (errno != 0) throw_errno(names, errno);
            break;
        }
        const std::string_view name{static_cast<const char*>(entry->d_name)};
        if (name != "." && name != "..") found.emplace_back(name);
    }
    std::sort(found.begin(), found.end());
    return found;
}

std::string link_target(int folder, const std::string& name, const std::string& names) {
    std::array<char, 4097> text{};
    const ssize_t length = ::readlinkat(folder, name.c_str(), text.data(), text.size() - 1);
    if (length < 0) throw_errno(names, errno);
    return {text.data(), static_cast<std::size_t>(length)};
}

std::string below(const std::string& path, const std::string& name) {
    return path == "." ? name : path + "/" + name;
}

std::map<std::string, std::string> extended_attributes(int file) {
    std::map<std::string, std::string> found;
    std::array<char, 64u << 10> names{};
    const ssize_t length = ::flistxattr(file, names.data(), names.size());
    if (length <= 0) return found;
    std::array<char, 64u << 10> value{};
    for (const char* name = names.data(); name < names.data() + length; name += std::strlen(name) + 1) {
        const ssize_t size = ::fgetxattr(file, name, value.data(), value.size());
        if (size >= 0) found.emplace(name, std::string{value.data(), static_cast<std::size_t>(size)});
    }
    return found;
}

void set_metadata(int file, const Metadata& wanted, const std::string& names) {
    // The owner first: changing it clears the set-id bits.
    if (owners_that_can_be_set() == Owners::compare && ::fchown(file, wanted.owner, wanted.group) != 0) {
        throw_errno(names, errno);
    }
    for (const auto& [name, value] : wanted.attributes) {
        // Labels and capabilities that this file system or this user cannot set are left to the system's own policy.
        if (::fsetxattr(file, name.c_str(), value.data(), value.size(), 0) != 0 && errno != ENOTSUP && errno != EPERM &&
            errno != EACCES) {
            throw_errno(names, errno);
        }
    }
    // After the attributes: a read-only file takes none from an ordinary user.
    if (::fchmod(file, wanted.mode & 07777u) != 0) throw_errno(names, errno);
    const std::array<timespec, 2> times{
        timespec{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
        timespec{.tv_sec = wanted.modified_seconds, .tv_nsec = wanted.modified_nanoseconds}};
    if (::futimens(file, times.data()) != 0) throw_errno(names, errno);
}

void SyncOnce::file(int descriptor, const std::string& names) {
    if (++count_ <= one_by_one) sync_content(descriptor, names);
}

void SyncOnce::finish(int any_descriptor, const std::string& names) const {
    if (count_ > one_by_one && ::syncfs(any_descriptor) != 0) throw_errno(names, errno);
}

}  // namespace lifeboat
