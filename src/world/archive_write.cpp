#include <cerrno>
#include <exception>
#include <memory>

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/sha256.h"
#include "world/archive.h"
#include "world/file_content.h"
#include "world/tree_walk.h"
#include "world/utf8_locale.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

// Hashes and passes on what libarchive writes. No exception may cross libarchive: it is kept and thrown again behind
// it. libarchive is never told of a failure, since it leaks what it holds after one.
struct Outlet {
    const ByteSink& sink;
    Sha256 digest;
    std::uint64_t size = 0;
    std::exception_ptr failure;
    bool closed = false;  // what still comes is dropped

    static la_ssize_t take(struct archive* /*archive*/, void* outlet, const void* buffer, std::size_t length) {
        auto& self = *static_cast<Outlet*>(outlet);
        if (self.failure || self.closed) return static_cast<la_ssize_t>(length);
        try {
            const std::span bytes{static_cast<const std::byte*>(buffer), length};
            self.digest.update(bytes);
            self.sink(bytes);
            self.size += length;
        } catch (...) {
            self.failure = std::current_exception();
        }
        return static_cast<la_ssize_t>(length);
    }
};

class TarWriter {
  public:
    TarWriter(Outlet& outlet, const WorkControl& control)
        : outlet_(outlet), control_(control), archive_(archive_write_new()) {
        archive_write_set_format_pax(archive_.get());
        archive_write_add_filter_none(archive_.get());
        archive_write_set_bytes_per_block(archive_.get(), 1 << 18);
        archive_write_set_bytes_in_last_block(archive_.get(), 512);
        expect_ok(archive_write_open(archive_.get(), &outlet, nullptr, Outlet::take, nullptr), "begin the archive");
    }

    ~TarWriter() {
        // Freeing a half-written archive ends it properly; what failed must not look whole.
        outlet_.closed = true;
    }
    TarWriter(const TarWriter&) = delete;
    TarWriter& operator=(const TarWriter&) = delete;

    // The root stands as `prefix`, what lies below it as `prefix`/….
    ArchivedTree add(const NamedTree& tree, const std::string& prefix) {
        tree_ = &tree;
        root_ = tree.root.string();
        prefix_ = prefix;
        done_ = {};
        const PlaceInTree place = place_of(tree.root);
        add_entry(place.folder.get(), place.name, ".", 0);
        return std::move(done_);
    }

    // Nullopt when it is gone.
    std::optional<TreeEntry> add(const TarMember& member) {
        const std::string names = "archive '" + member.path + "'";
        control_.check();
        const std::optional<OpenedMember> opened = member.open();
        if (!opened) return std::nullopt;
        TreeEntry listed{.mode = 0644, .size = opened->size};
        const std::unique_ptr<struct archive_entry, Free> entry{archive_entry_new()};
        archive_entry_set_pathname(entry.get(), ("./" + member.path).c_str());
        archive_entry_set_mode(entry.get(), S_IFREG | listed.mode);
        archive_entry_set_size(entry.get(), static_cast<la_int64_t>(opened->size));
        const auto modified = opened->modified.value_or(Timestamp{}).time_since_epoch();
        archive_entry_set_mtime(entry.get(), std::chrono::duration_cast<std::chrono::seconds>(modified).count(), 0);
        expect_ok(archive_write_header(archive_.get(), entry.get()), names);
        Sha256 digest;
        std::uint64_t given = 0;
        const Error changed{ErrorCode::busy, "cannot " + names + ": it changed while it was read"};
        opened->give([&](std::span<const std::byte> bytes) {
            given += bytes.size();
            if (given > listed.size) throw changed;
            digest.update(bytes);
            write_data(bytes, names);
        });
        if (given != listed.size) throw changed;
        listed.sha256 = to_hex(digest.finish());
        return listed;
    }

    // The archive's root, for members that stand in no tree.
    void add_root() {
        const std::unique_ptr<struct archive_entry, Free> entry{archive_entry_new()};
        archive_entry_set_pathname(entry.get(), ".");
        archive_entry_set_mode(entry.get(), S_IFDIR | 0755);
        expect_ok(archive_write_header(archive_.get(), entry.get()), "archive the root");
    }

    // The entries of an archive that `layer` wants, as they are.
    void add(const TarLayer& layer) {
        const std::string names = "merge '" + layer.archive.string() + "'";
        const std::unique_ptr<struct archive, FreeReader> reader{archive_read_new()};
        const auto expect_read = [&](int result) {
            if (result >= ARCHIVE_WARN) return;
            const char* why = archive_error_string(reader.get());
            throw Error{ErrorCode::corrupt, "cannot " + names + ": " + (why == nullptr ? "no reason given" : why)};
        };
        archive_read_support_format_tar(reader.get());
        expect_read(archive_read_open_filename(reader.get(), layer.archive.c_str(), 1 << 18));
        struct archive_entry* entry = nullptr;
        while (true) {
            control_.check();
            const int result = archive_read_next_header(reader.get(), &entry);
            if (result == ARCHIVE_EOF) break;
            expect_read(result);
            const char* stored = archive_entry_pathname(entry);
            if (stored == nullptr || !layer.wanted(plain_path(stored))) continue;
            expect_ok(archive_write_header(archive_.get(), entry), names);
            if (archive_entry_filetype(entry) == AE_IFREG) copy_data(reader.get(), expect_read, names);
        }
    }

    void finish() { expect_ok(archive_write_close(archive_.get()), "end the archive"); }

  private:
    struct Free {
        void operator()(struct archive* archive) const { archive_write_free(archive); }
        void operator()(struct archive_entry* entry) const { archive_entry_free(entry); }
    };
    struct FreeReader {
        void operator()(struct archive* archive) const { archive_read_free(archive); }
    };

    // "./a/b/" → "a/b", as listings have it.
    static std::string plain_path(std::string_view stored) {
        while (stored.starts_with("./"))
            stored.remove_prefix(2);
        while (stored.ends_with('/'))
            stored.remove_suffix(1);
        return stored.empty() ? "." : std::string(stored);
    }

    template <class Expect>
    void copy_data(struct archive* reader, const Expect& expect_read, const std::string& names) {
        buffer_.resize(1u << 20);
        while (true) {
            const la_ssize_t length = archive_read_data(reader, buffer_.data(), buffer_.size());
            expect_read(length < 0 ? ARCHIVE_FATAL : ARCHIVE_OK);
            if (length == 0) return;
            write_data(std::span<const std::byte>(buffer_).first(static_cast<std::size_t>(length)), names);
        }
    }

    void write_data(std::span<const std::byte> bytes, const std::string& names) {
        const la_ssize_t taken = archive_write_data(archive_.get(), bytes.data(), bytes.size());
        expect_ok(taken < 0 ? ARCHIVE_FATAL : ARCHIVE_OK, names);
        control_.advance(bytes.size());
    }

    void expect_ok(int result, const std::string& tried) {
        if (outlet_.failure) std::rethrow_exception(outlet_.failure);
        if (result >= ARCHIVE_WARN) return;
        const char* why = archive_error_string(archive_.get());
        throw Error{ErrorCode::io_failed, "cannot " + tried + ": " + (why == nullptr ? "no reason given" : why)};
    }

    void add_entry(int folder, const std::string& name, const std::string& path, int depth) {
        const std::string names = "archive '" + root_ + (path == "." ? "" : "/" + path) + "'";
        if (depth > 512) throw Error{ErrorCode::limit_exceeded, "cannot " + names + ": more than 512 levels deep"};
        control_.check();
        struct stat status {};
        if (::fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT && path != ".") return;  // gone since the directory was read
            throw_errno(names, errno);
        }
        if (S_ISSOCK(status.st_mode)) return;
        if (path != "." && tree_->take && !tree_->take(path, type_of(status.st_mode))) return;
        if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode) && !S_ISLNK(status.st_mode)) {
            throw Error{ErrorCode::unsupported, "cannot " + names + ": it is a device or a FIFO"};
        }

        TreeEntry listed{.owner = status.st_uid, .group = status.st_gid};
        FileDescriptor content;
        if (S_ISLNK(status.st_mode)) {
            listed.type = EntryType::link;
            listed.target = link_target(folder, name, names);
        } else {
            const int kind = S_ISDIR(status.st_mode) ? O_DIRECTORY : O_NONBLOCK;
            content = FileDescriptor{::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | kind)};
            if (!content && errno == ENOENT && path != ".") return;
            if (!content || ::fstat(content.get(), &status) != 0) throw_errno(names, errno);
            listed.type = S_ISDIR(status.st_mode) ? EntryType::directory : EntryType::file;
            listed.mode = status.st_mode & 07777u;
        }

        const bool is_directory = listed.type == EntryType::directory;
        if (listed.type == EntryType::file) {
            listed.size = static_cast<std::uint64_t>(status.st_size);
            add_file(status, listed, content.get(), path, names);
        } else {
            write_header(status, listed, content.get(), path, names);
        }
        done_.listing.emplace(path, std::move(listed));
        if (!is_directory) return;
        for (const auto& child : sorted_names(content.get(), names)) {
            add_entry(content.get(), child, below(path, child), depth + 1);
        }
    }

    static EntryType type_of(mode_t mode) {
        if (S_ISREG(mode)) return EntryType::file;
        if (S_ISDIR(mode)) return EntryType::directory;
        return S_ISLNK(mode) ? EntryType::link : EntryType::other;
    }

    static std::string stamp_of(const struct stat& status) {
        const auto text = [](const timespec& at) {
            return std::to_string(at.tv_sec) + "." + std::to_string(at.tv_nsec);
        };
        return text(status.st_mtim) + "/" + text(status.st_ctim);
    }

    void add_file(const struct stat& status, TreeEntry& listed, int file, const std::string& path,
                  const std::string& names) {
        const std::string stamp = stamp_of(status);
        done_.stamps[path] = stamp;
        if (const ArchivedFile* known = known_at(path); known != nullptr && known->stamp == stamp) {
            listed.sha256 = known->entry.sha256;
            if (listed == known->entry && content_is(file, listed, names)) {
                done_.elsewhere.insert(path);
                return;
            }
        }
        write_header(status, listed, file, path, names);
        listed.sha256 = write_content(file, listed.size, names);
    }

    const ArchivedFile* known_at(const std::string& path) const {
        if (tree_->elsewhere == nullptr) return nullptr;
        const auto found = tree_->elsewhere->find(path);
        return found == tree_->elsewhere->end() ? nullptr : &found->second;
    }

    // Leaves the file at its beginning. Times of change are too coarse to be believed alone.
    bool content_is(int file, const TreeEntry& listed, const std::string& names) const {
        const HashedFile found = hash_content(file, control_, names);
        if (::lseek(file, 0, SEEK_SET) != 0) throw_errno(names, errno);
        return found.size == listed.size && found.sha256 == listed.sha256;
    }

    void write_header(const struct stat& status, const TreeEntry& listed, int file, const std::string& path,
                      const std::string& names) {
        const std::unique_ptr<struct archive_entry, Free> entry{archive_entry_new()};
        std::string stored = prefix_;
        if (path != ".") stored = prefix_ == "." ? "./" + path : prefix_ + "/" + path;
        archive_entry_set_pathname(entry.get(), stored.c_str());
        archive_entry_set_mode(entry.get(), status.st_mode);
        archive_entry_set_uid(entry.get(), status.st_uid);
        archive_entry_set_gid(entry.get(), status.st_gid);
        archive_entry_set_mtime(entry.get(), status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
        if (listed.type == EntryType::link) {
            archive_entry_set_symlink(entry.get(), listed.target.c_str());
        } else {
            for (const auto& [attribute, value] : extended_attributes(file)) {
                archive_entry_xattr_add_entry(entry.get(), attribute.c_str(), value.data(), value.size());
            }
        }
        if (listed.type == EntryType::file) archive_entry_set_size(entry.get(), status.st_size);
        expect_ok(archive_write_header(archive_.get(), entry.get()), names);
    }

    // Exactly `size` bytes: what a file gains meanwhile is left out.
    std::string write_content(int file, std::uint64_t size, const std::string& names) {
        Sha256 digest;
        buffer_.resize(1u << 20);
        std::uint64_t done = 0;
        while (done < size) {
            const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(size - done, buffer_.size()));
            const std::size_t length = read_full(file, std::span{buffer_}.first(wanted), names);
            if (length < wanted) {
                throw Error{ErrorCode::busy, "cannot " + names + ": it shrank while it was read",
                            "Stop what writes to it, then try again."};
            }
            digest.update(std::span<const std::byte>{buffer_}.first(length));
            write_data(std::span<const std::byte>{buffer_}.first(length), names);
            done += length;
        }
        return to_hex(digest.finish());
    }

    Outlet& outlet_;
    const WorkControl& control_;
    std::unique_ptr<struct archive, Free> archive_;
    const NamedTree* tree_ = nullptr;
    std::string root_;
    std::string prefix_;
    ArchivedTree done_;
    std::vector<std::byte> buffer_;
};

std::string prefix_of(const NamedTree& tree) {
    if (!tree.name.empty()) return tree.name;
    std::error_code ignored;
    const auto status = fs::symlink_status(tree.root, ignored);
    return fs::is_directory(status) ? "." : tree.root.filename().string();
}

// Everything that `fill` adds, and the end.
HashedFile write_archive(const ByteSink& sink, const WorkControl& control,
                         const std::function<void(TarWriter& writer)>& fill) {
    const Utf8Locale locale;
    Outlet outlet{.sink = sink, .digest = {}, .size = 0, .failure = nullptr};
    TarWriter writer{outlet, control};
    fill(writer);
    writer.finish();
    return {.size = outlet.size, .sha256 = to_hex(outlet.digest.finish())};
}

HashedFile write_archive(const fs::path& to, const WorkControl& control,
                         const std::function<void(TarWriter& writer)>& fill) {
    const std::string names = "write '" + to.string() + "'";
    const FileDescriptor file{::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
    if (!file) throw_errno(names, errno);
    try {
        HashedFile written = write_archive(
            [&](std::span<const std::byte> bytes) { write_all(file.get(), bytes, names); }, control, fill);
        sync_content(file.get(), names);
        sync_directory(to.parent_path().empty() ? fs::path{"."} : to.parent_path());
        return written;
    } catch (const Error&) {
        ::unlink(to.c_str());
        throw;
    }
}

template <class Place>
WrittenTar write_trees(const std::vector<NamedTree>& trees, const Place& to, const WorkControl& control) {
    WrittenTar written;
    written.file = write_archive(to, control, [&](TarWriter& writer) {
        for (const NamedTree& tree : trees)
            written.trees.push_back(writer.add(tree, prefix_of(tree)));
    });
    return written;
}

}  // namespace

WrittenTar write_tar(const std::vector<NamedTree>& trees, const ByteSink& sink, const WorkControl& control) {
    return write_trees(trees, sink, control);
}

WrittenTar write_tar(const std::vector<NamedTree>& trees, const fs::path& to, const WorkControl& control) {
    return write_trees(trees, to, control);
}

WrittenMembers write_tar_of(const std::vector<TarMember>& members, const fs::path& to, const WorkControl& control) {
    WrittenMembers written;
    written.file = write_archive(to, control, [&](TarWriter& writer) {
        writer.add_root();
        for (const TarMember& member : members)
            if (auto listed = writer.add(member)) written.listing.emplace(member.path, std::move(*listed));
    });
    return written;
}

HashedFile merge_tars(const std::vector<TarLayer>& layers, const fs::path& to, const WorkControl& control) {
    return write_archive(to, control, [&](TarWriter& writer) {
        for (const TarLayer& layer : layers)
            writer.add(layer);
    });
}

}  // namespace lifeboat
