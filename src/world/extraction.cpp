#include "world/extraction.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "world/file_content.h"
#include "world/tree.h"

namespace lifeboat {

namespace {

FileDescriptor descend(int root, const std::string& path, const std::string& names) {
    FileDescriptor folder;
    int at = root;
    for (const auto& component : split(path, '/')) {
        FileDescriptor next = open_directory(at, component, names);
        folder = std::move(next);
        at = folder.get();
    }
    return folder;
}

}  // namespace

Extraction::Extraction(const std::filesystem::path& root) : root_(root), top_(place_of(root)) {
    struct stat status {};
    if (::fstatat(top_.folder.get(), top_.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
        throw Error{ErrorCode::already_exists, "cannot extract to '" + root.string() + "': it is there already"};
    }
}

std::string Extraction::names(const std::string& path) const {
    return "extract '" + path + "' to '" + root_.string() + "'";
}

Extraction::Place Extraction::place(const std::string& path) {
    if (path == ".") return {.folder = top_.folder.get(), .name = top_.name};
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) return {.folder = root_folder_.get(), .name = path};
    const std::string folder = path.substr(0, slash);
    if (folder != open_path_) {
        open_folder_ = descend(root_folder_.get(), folder, names(path));
        open_path_ = folder;
    }
    return {.folder = open_folder_.get(), .name = path.substr(slash + 1)};
}

void Extraction::make_directory(const std::string& path) {
    const Place at = place(path);
    if (::mkdirat(at.folder, at.name.c_str(), 0700) != 0) throw_errno(names(path), errno);
    if (path == ".") root_folder_ = open_directory(top_.folder.get(), top_.name, names(path));
    directories_[path] = Metadata{.mode = 0755, .owner = ::geteuid(), .group = ::getegid()};
}

void Extraction::set_directory(const std::string& path, Metadata wanted) {
    directories_[path] = std::move(wanted);
}

void Extraction::make_link(const std::string& path, const std::string& target, const Metadata& wanted) {
    const Place at = place(path);
    if (::symlinkat(target.c_str(), at.folder, at.name.c_str()) != 0) throw_errno(names(path), errno);
    if (owners_that_can_be_set() == Owners::compare &&
        ::fchownat(at.folder, at.name.c_str(), wanted.owner, wanted.group, AT_SYMLINK_NOFOLLOW) != 0) {
        throw_errno(names(path), errno);
    }
}

void Extraction::begin_file(const std::string& path) {
    const Place at = place(path);
    file_ = FileDescriptor{
        ::openat(at.folder, at.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
    if (!file_) throw_errno(names(path), errno);
    file_path_ = path;
}

void Extraction::write(std::uint64_t at, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t count = ::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(at));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) throw_errno(names(file_path_), errno);
        at += static_cast<std::uint64_t>(count);
        bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
}

void Extraction::end_file(std::uint64_t size, const Metadata& wanted) {
    const std::string message = names(file_path_);
    if (::ftruncate(file_.get(), static_cast<off_t>(size)) != 0) throw_errno(message, errno);
    set_metadata(file_.get(), wanted, message);
    sync_.file(file_.get(), message);
    file_.reset();
}

void Extraction::copy_file(const std::string& from, const std::string& to, const Metadata& wanted) {
    const Place source = place(from);
    const FileDescriptor content{::openat(source.folder, source.name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)};
    if (!content) throw_errno(names(to), errno);
    begin_file(to);
    const HashedFile copied = copy_content(content.get(), file_.get(), {}, names(to));
    end_file(copied.size, wanted);
}

void Extraction::finish() {
    // Deepest first, so that a directory's times outlive the work below it and its mode cannot lock us out.
    for (auto directory = directories_.rbegin(); directory != directories_.rend(); ++directory) {
        const auto& [path, wanted] = *directory;
        if (path == ".") continue;
        const FileDescriptor folder = descend(root_folder_.get(), path, names(path));
        set_metadata(folder.get(), wanted, names(path));
        sync_.file(folder.get(), names(path));
    }
    if (root_folder_) {
        if (const auto root = directories_.find("."); root != directories_.end()) {
            set_metadata(root_folder_.get(), root->second, names("."));
        }
        sync_content(root_folder_.get(), names("."));
    }
    sync_.finish(top_.folder.get(), names("."));
    sync_content(top_.folder.get(), names("."));
}

}  // namespace lifeboat
