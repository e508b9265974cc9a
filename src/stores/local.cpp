#include "stores/local.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "stores/key.h"
#include "world/file_descriptor.h"

namespace lifeboat {

namespace {

constexpr std::size_t page_size = 1000;
constexpr std::size_t block_size = 1u << 20;

std::string_view last_part(std::string_view key) {
    const std::size_t slash = key.rfind('/');
    return slash == std::string_view::npos ? key : key.substr(slash + 1);
}

bool is_temporary(std::string_view name) {
    return name.starts_with(temporary_mark);
}

// Whether some part of the key is a temporary name.
bool holds_temporary(std::string_view key) {
    if (is_temporary(key)) return true;
    return key.find("/" + std::string(temporary_mark)) != std::string_view::npos;
}

ErrorCode store_code(int error_number) {
    switch (error_number) {
        case ENOSPC:
        case EDQUOT:
        case EFBIG:
            return ErrorCode::disk_full;
        case EACCES:
        case EPERM:
        case EROFS:
            return ErrorCode::denied;
        case ENOENT:
        case ENOTDIR:
        case ELOOP:
        case EISDIR:
            return ErrorCode::not_found;
        case ESTALE:
        case ENODEV:
        case ENXIO:
        case ETIMEDOUT:
        case EHOSTDOWN:
        case EHOSTUNREACH:
            return ErrorCode::unreachable;
        default:
            return ErrorCode::io_failed;
    }
}

// One call on one key: where its errors say they are from.
struct Place {
    const std::string& store;
    const std::string& key;

    [[noreturn]] void fail(std::string_view tried, int error_number) const {
        throw store_error(store_code(error_number), store, key,
                          "cannot " + std::string(tried) + ": " + std::strerror(error_number));
    }
};

FileDescriptor open_root(const std::string& store, const std::filesystem::path& root) {
    FileDescriptor folder(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder) return folder;
    const int error_number = errno;
    const ErrorCode code = error_number == EACCES ? ErrorCode::denied : ErrorCode::unreachable;
    throw store_error(code, store, {},
                      "cannot open the directory '" + root.string() + "': " + std::strerror(error_number),
                      "Check that it is mounted and that this user may read it.");
}

// The folder of `path` below `from`, walked without following links; empty descriptor when a part is missing or no
// folder.
FileDescriptor open_folder(const Place& place, FileDescriptor from, std::string_view path) {
    if (path.empty()) return from;
    for (const std::string& part : split(path, '/')) {
        FileDescriptor next(::openat(from.get(), part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!next) {
            if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return FileDescriptor{};
            place.fail("open the folder '" + part + "'", errno);
        }
        from = std::move(next);
    }
    return from;
}

std::string_view folder_of(std::string_view key) {
    const std::size_t slash = key.rfind('/');
    return slash == std::string_view::npos ? std::string_view{} : key.substr(0, slash);
}

void sync(const Place& place, int descriptor, std::string_view what) {
    if (::fsync(descriptor) != 0) place.fail("sync " + std::string(what), errno);
}

// Makes what is missing of `path` below `from`; each new name is synced in the folder that holds it.
FileDescriptor make_folder(const Place& place, FileDescriptor from, std::string_view path) {
    if (path.empty()) return from;
    for (const std::string& part : split(path, '/')) {
        if (::mkdirat(from.get(), part.c_str(), 0700) == 0) {
            sync(place, from.get(), "the folder above '" + part + "'");
        } else if (errno != EEXIST) {
            place.fail("make the folder '" + part + "'", errno);
        }
        FileDescriptor next(::openat(from.get(), part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!next) {
            if (errno == ELOOP || errno == ENOTDIR)
                throw store_error(ErrorCode::refused, place.store, place.key, "'" + part + "' is no folder",
                                  "Symbolic links inside a store are not followed.");
            place.fail("open the folder '" + part + "'", errno);
        }
        from = std::move(next);
    }
    return from;
}

StoredObject described(std::string key, const struct stat& facts) {
    using std::chrono::duration_cast;
    const auto since_epoch =
        std::chrono::seconds(facts.st_mtim.tv_sec) + std::chrono::nanoseconds(facts.st_mtim.tv_nsec);
    std::array<char, 96> validator{};
    std::snprintf(validator.data(), validator.size(), "%llx-%llx-%llx.%09lx",
                  static_cast<unsigned long long>(facts.st_ino), static_cast<unsigned long long>(facts.st_size),
                  static_cast<unsigned long long>(facts.st_mtim.tv_sec),
                  static_cast<unsigned long>(facts.st_mtim.tv_nsec));
    return StoredObject{.key = std::move(key),
                        .size = Bytes{static_cast<std::uint64_t>(facts.st_size)},
                        .modified = Timestamp(duration_cast<Duration>(since_epoch)),
                        .validator = validator.data()};
}

struct Named {
    std::string name;  // a folder's ends with '/', so that sorting names sorts the keys below them too
    struct stat facts {};
};

std::vector<Named> entries_of(const Place& place, const FileDescriptor& folder, std::string_view path) {
    const int again = ::openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (again < 0) place.fail("open a folder", errno);
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(again), ::closedir);
    if (!stream) {
        ::close(again);
        place.fail("read a folder", errno);
    }
    std::vector<Named> entries;
    while (true) {
        errno = 0;
        const dirent* entry = ::readdir(stream.get());
        if (entry == nullptr) {
            if (errno != 0) place.fail("read the folder '" + std::string(path) + "'", errno);
            break;
        }
        std::string name = entry->d_name;
        if (name == "." || name == ".." || is_temporary(name)) continue;
        Named named;
        if (::fstatat(folder.get(), name.c_str(), &named.facts, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT) continue;
            place.fail("look at '" + name + "'", errno);
        }
        const bool is_folder = S_ISDIR(named.facts.st_mode);
        if (!is_folder && !S_ISREG(named.facts.st_mode)) continue;
        if (!key_refusal(std::string(path) + name).empty()) continue;
        named.name = std::move(name);
        if (is_folder) named.name += '/';
        entries.push_back(std::move(named));
    }
    std::sort(entries.begin(), entries.end(), [](const Named& a, const Named& b) { return a.name < b.name; });
    return entries;
}

// Walks in the byte order of whole keys, a page at a time.
class Listing {
  public:
    Listing(const std::string& store, const ListQuery& query, const ListedPage& page, const WorkControl& control)
        : place_{store, query.prefix}, query_(query), page_(page), control_(control) {}

    // `path` is the folder's key, empty or ending with '/'. False when the caller has had enough.
    bool walk(const FileDescriptor& folder, const std::string& path) {
        control_.check();
        for (Named& entry : entries_of(place_, folder, path)) {
            const std::string key = path + entry.name;
            const std::string_view prefix = query_.prefix;
            const bool is_folder = key.ends_with('/');
            if (!key.starts_with(prefix)) {
                // a folder on the way to the prefix
                if (!is_folder || !prefix.starts_with(key)) continue;
            } else if (!is_folder) {
                if (!add(Listed{.object = described(key, entry.facts)})) return false;
                continue;
            } else if (query_.one_level && key.size() > prefix.size()) {
                if (!add(Listed{.object = StoredObject{.key = key}, .folder = true})) return false;
                continue;
            }
            entry.name.pop_back();
            FileDescriptor next(
                ::openat(folder.get(), entry.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
            if (!next) {
                if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) continue;
                place_.fail("open the folder '" + key + "'", errno);
            }
            if (!walk(next, key)) return false;
        }
        return true;
    }

    void flush() {
        if (!pending_.empty()) page_(pending_);
        pending_.clear();
    }

  private:
    bool add(Listed listed) {
        pending_.push_back(std::move(listed));
        if (pending_.size() < page_size) return true;
        const bool more = page_(pending_);
        pending_.clear();
        control_.check();
        return more;
    }

    Place place_;
    const ListQuery& query_;
    const ListedPage& page_;
    const WorkControl& control_;
    std::vector<Listed> pending_;
};

std::string temporary_name() {
    static thread_local std::mt19937_64 random{std::random_device{}()};
    std::array<char, 17> digits{};
    std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(random()));
    return std::string(temporary_mark) + std::to_string(::getpid()) + "-" + digits.data();
}

// A new file that goes away unless it was published under its key.
class Draft {
  public:
    Draft(const Place& place, const FileDescriptor& folder) : place_(place), folder_(folder), name_(temporary_name()) {
        file_ = FileDescriptor(
            ::openat(folder.get(), name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!file_) {
            error_ = errno;
            return;
        }
        // Held for life: a temporary file that nobody has locked was left by a writer that died (see `sweep`).
        ::flock(file_.get(), LOCK_EX | LOCK_NB);
        struct stat facts {};
        if (::fstat(file_.get(), &facts) == 0 && facts.st_nlink == 0) error_ = ENOENT;
    }
    ~Draft() {
        if (file_ && !published_) ::unlinkat(folder_.get(), name_.c_str(), 0);
    }
    Draft(const Draft&) = delete;
    Draft& operator=(const Draft&) = delete;

    // Not 0 when the file could not be made.
    int error() const { return error_; }

    void append(std::span<const std::byte> bytes) const {
        while (!bytes.empty()) {
            const ssize_t count = ::write(file_.get(), bytes.data(), bytes.size());
            if (count < 0) {
                if (errno == EINTR) continue;
                place_.fail("write it", errno);
            }
            bytes = bytes.subspan(static_cast<std::size_t>(count));
        }
    }

    StoredObject publish(const std::string& name, bool exclusive) {
        sync(place_, file_.get(), "it");
        struct stat facts {};
        if (::fstat(file_.get(), &facts) != 0) place_.fail("look at it", errno);
        if (exclusive) {
            int error_number =
                ::renameat2(folder_.get(), name_.c_str(), folder_.get(), name.c_str(), RENAME_NOREPLACE) == 0 ? 0
                                                                                                              : errno;
            if (error_number == EINVAL || error_number == ENOSYS) {
                // not every file system knows that flag; a hard link refuses to replace as well
                error_number = ::linkat(folder_.get(), name_.c_str(), folder_.get(), name.c_str(), 0) == 0 ? 0 : errno;
                if (error_number == 0) ::unlinkat(folder_.get(), name_.c_str(), 0);
            }
            if (error_number == EEXIST)
                throw store_error(ErrorCode::already_exists, place_.store, place_.key, "it is already there");
            if (error_number != 0) place_.fail("name it", error_number);
        } else if (::renameat(folder_.get(), name_.c_str(), folder_.get(), name.c_str()) != 0) {
            place_.fail("name it", errno);
        }
        published_ = true;
        sync(place_, folder_.get(), "its folder");
        return described(place_.key, facts);
    }

  private:
    const Place& place_;
    const FileDescriptor& folder_;
    std::string name_;
    FileDescriptor file_;
    int error_ = 0;
    bool published_ = false;
};

// What writers that died left in the folder, whichever machine they were on: nobody holds it, and it is old.
void sweep(const FileDescriptor& folder, Timestamp now) {
    const int again = ::openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (again < 0) return;
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(again), ::closedir);
    if (!stream) {
        ::close(again);
        return;
    }
    while (const dirent* entry = ::readdir(stream.get())) {
        if (!is_temporary(entry->d_name)) continue;
        const FileDescriptor file(
            ::openat(folder.get(), entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
        struct stat facts {};
        if (!file || ::fstat(file.get(), &facts) != 0 || !S_ISREG(facts.st_mode) ||
            !is_left_behind(entry->d_name, described({}, facts).modified, now))
            continue;
        if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) ::unlinkat(folder.get(), entry->d_name, 0);
    }
}

// Removes the folder `name` if nothing but empty folders and the temporary files of dead writers is in it.
bool sweep_away(const FileDescriptor& above, const std::string& name) {
    if (::unlinkat(above.get(), name.c_str(), AT_REMOVEDIR) == 0) return true;
    if (errno != ENOTEMPTY && errno != EEXIST) return false;
    const FileDescriptor folder(::openat(above.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    const int again = folder ? ::openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (again < 0) return false;
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(again), ::closedir);
    if (!stream) {
        ::close(again);
        return false;
    }
    while (const dirent* entry = ::readdir(stream.get())) {
        const std::string inner = entry->d_name;
        if (inner == "." || inner == "..") continue;
        if (is_temporary(inner)) {
            const FileDescriptor file(
                ::openat(folder.get(), inner.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
            if (!file || ::flock(file.get(), LOCK_EX | LOCK_NB) != 0) return false;
            ::unlinkat(folder.get(), inner.c_str(), 0);
        } else if (!sweep_away(folder, inner)) {
            return false;
        }
    }
    return ::unlinkat(above.get(), name.c_str(), AT_REMOVEDIR) == 0;
}

}  // namespace

LocalStore::LocalStore(std::string name, std::filesystem::path root) : name_(std::move(name)), root_(std::move(root)) {}

StoreFeatures LocalStore::features() const {
    return StoreFeatures{};
}

void LocalStore::list(const ListQuery& query, const ListedPage& page, const WorkControl& control) {
    Listing listing(name_, query, page, control);
    if (listing.walk(open_root(name_, root_), {})) listing.flush();
}

std::optional<StoredObject> LocalStore::stat(const std::string& key, const WorkControl& control) {
    check_key(name_, key);
    control.check();
    const Place place{name_, key};
    const FileDescriptor folder = open_folder(place, open_root(name_, root_), folder_of(key));
    if (!folder || holds_temporary(key)) return std::nullopt;
    struct stat facts {};
    if (::fstatat(folder.get(), std::string(last_part(key)).c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) return std::nullopt;
        place.fail("look at it", errno);
    }
    if (!S_ISREG(facts.st_mode)) return std::nullopt;
    return described(key, facts);
}

ReadEnd LocalStore::read(const std::string& key, const ReadRange& range, const ByteSink& sink,
                         const WorkControl& control) {
    check_key(name_, key);
    control.check();
    const Place place{name_, key};
    const FileDescriptor folder = open_folder(place, open_root(name_, root_), folder_of(key));
    const auto missing = [&] { return store_error(ErrorCode::not_found, name_, key, "there is no such object"); };
    if (!folder || holds_temporary(key)) throw missing();
    // O_NONBLOCK: a FIFO put in the place of an object must not hang the reader
    const FileDescriptor file(
        ::openat(folder.get(), std::string(last_part(key)).c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!file) {
        if (errno == ENOENT || errno == ELOOP) throw missing();
        place.fail("open it", errno);
    }
    struct stat facts {};
    if (::fstat(file.get(), &facts) != 0) place.fail("look at it", errno);
    if (!S_ISREG(facts.st_mode)) throw missing();
    const StoredObject opened = described(key, facts);
    if (!range.validator.empty() && range.validator != opened.validator) return ReadEnd::changed;
    const std::uint64_t size = opened.size.count;
    const auto too_short = [&] {
        return store_error(ErrorCode::incomplete, name_, key, "it ends before the range that was asked for");
    };
    if (range.offset > size || (range.length && *range.length > size - range.offset)) throw too_short();

    const std::uint64_t end = range.length ? range.offset + *range.length : size;
    const auto block = std::make_unique<std::array<std::byte, block_size>>();
    ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    for (std::uint64_t at = range.offset; at < end;) {
        const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(block_size, end - at));
        const ssize_t count = ::pread(file.get(), block->data(), wanted, static_cast<off_t>(at));
        if (count < 0) {
            if (errno == EINTR) continue;
            place.fail("read it", errno);
        }
        if (count == 0) throw too_short();
        sink(std::span<const std::byte>(block->data(), static_cast<std::size_t>(count)));
        at += static_cast<std::uint64_t>(count);
        control.advance(static_cast<std::uint64_t>(count));
    }
    if (!range.validator.empty()) {
        if (::fstat(file.get(), &facts) != 0) place.fail("look at it", errno);
        if (described(key, facts).validator != range.validator) return ReadEnd::changed;
    }
    return ReadEnd::complete;
}

StoredObject LocalStore::write(const std::string& key, const Content& content, const WriteOptions& options,
                               const WorkControl& control) {
    check_key(name_, key);
    control.check();
    const Place place{name_, key};
    const std::string name(last_part(key));
    if (holds_temporary(key))
        throw store_error(ErrorCode::refused, name_, key, "this key is refused: it is a temporary name");
    if (::mkdir(root_.c_str(), 0700) != 0 && errno != EEXIST) {
        const int error_number = errno;
        throw store_error(error_number == ENOENT ? ErrorCode::unreachable : store_code(error_number), name_, {},
                          "cannot make the directory '" + root_.string() + "': " + std::strerror(error_number),
                          "Check that the folder above it is there: is it mounted?");
    }
    // Another writer's `remove` may take an empty folder away between its making and our first file in it.
    constexpr int tries = 20;
    for (int attempt = 1;; ++attempt) {
        FileDescriptor folder;
        try {
            folder = make_folder(place, open_root(name_, root_), folder_of(key));
        } catch (const Error& error) {
            if (error.code != ErrorCode::not_found || attempt == tries) throw;
            continue;
        }
        Draft draft(place, folder);
        if (draft.error() != 0) {
            if (draft.error() == ENOENT && attempt < tries) continue;
            place.fail("make its file", draft.error());
        }
        const ByteSource source = content.open(0);
        const auto block = std::make_unique<std::array<std::byte, block_size>>();
        std::uint64_t written = 0;
        while (const std::size_t count = source(*block)) {
            draft.append(std::span<const std::byte>(block->data(), count));
            written += count;
            control.advance(count);
        }
        if (written != content.size)
            throw store_error(ErrorCode::incomplete, name_, key,
                              "what was written has " + std::to_string(written) + " bytes instead of " +
                                  std::to_string(content.size));
        StoredObject written_object = draft.publish(name, options.exclusive);
        if (written_object.modified && swept_->add(folder_of(key))) sweep(folder, *written_object.modified);
        return written_object;
    }
}

bool LocalStore::remove(const std::string& key, const WorkControl& control) {
    check_key(name_, key);
    control.check();
    const Place place{name_, key};
    std::string path(folder_of(key));
    {
        const FileDescriptor folder = open_folder(place, open_root(name_, root_), path);
        if (!folder) return false;
        const std::string name(last_part(key));
        struct stat facts {};
        if (::fstatat(folder.get(), name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT) return false;
            place.fail("look at it", errno);
        }
        if (!S_ISREG(facts.st_mode)) return false;
        if (::unlinkat(folder.get(), name.c_str(), 0) != 0) {
            if (errno == ENOENT) return false;
            place.fail("remove it", errno);
        }
        sync(place, folder.get(), "its folder");
    }
    // Folders exist only for the objects in them: those that are empty now go too.
    while (!path.empty()) {
        const FileDescriptor above = open_folder(place, open_root(name_, root_), folder_of(path));
        if (!above || !sweep_away(above, std::string(last_part(path)))) break;
        sync(place, above.get(), "its folder");
        path = std::string(folder_of(path));
    }
    return true;
}

}  // namespace lifeboat
