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
    TreeListing add(const fs::path& root, const std::string& prefix) {
        root_ = root.string();
        prefix_ = prefix;
        listing_.clear();
        const PlaceInTree place = place_of(root);
        add_entry(place.folder.get(), place.name, ".", 0);
        return std::move(listing_);
    }

    void finish() { expect_ok(archive_write_close(archive_.get()), "end the archive"); }

  private:
    struct Free {
        void operator()(struct archive* archive) const { archive_write_free(archive); }
        void operator()(struct archive_entry* entry) const { archive_entry_free(entry); }
    };

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

        write_header(status, listed, content.get(), path, names);
        if (listed.type == EntryType::file) {
            listed.size = static_cast<std::uint64_t>(status.st_size);
            listed.sha256 = write_content(content.get(), listed.size, names);
        }
        const bool is_directory = listed.type == EntryType::directory;
        listing_.emplace(path, std::move(listed));
        if (!is_directory) return;
        for (const auto& child : sorted_names(content.get(), names)) {
            add_entry(content.get(), child, below(path, child), depth + 1);
        }
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
            const la_ssize_t taken = archive_write_data(archive_.get(), buffer_.data(), length);
            expect_ok(taken < 0 ? ARCHIVE_FATAL : ARCHIVE_OK, names);
            done += length;
            control_.advance(length);
        }
        return to_hex(digest.finish());
    }

    Outlet& outlet_;
    const WorkControl& control_;
    std::unique_ptr<struct archive, Free> archive_;
    std::string root_;
    std::string prefix_;
    TreeListing listing_;
    std::vector<std::byte> buffer_;
};

std::string prefix_of(const NamedTree& tree) {
    if (!tree.name.empty()) return tree.name;
    std::error_code ignored;
    const auto status = fs::symlink_status(tree.root, ignored);
    return fs::is_directory(status) ? "." : tree.root.filename().string();
}

}  // namespace

WrittenTar write_tar(const std::vector<NamedTree>& trees, const ByteSink& sink, const WorkControl& control) {
    const Utf8Locale locale;
    Outlet outlet{.sink = sink, .digest = {}, .size = 0, .failure = nullptr};
    WrittenTar written;
    TarWriter writer{outlet, control};
    for (const auto& tree : trees)
        written.listings.push_back(writer.add(tree.root, prefix_of(tree)));
    writer.finish();
    written.file.size = outlet.size;
    written.file.sha256 = to_hex(outlet.digest.finish());
    return written;
}

WrittenTar write_tar(const std::vector<NamedTree>& trees, const fs::path& to, const WorkControl& control) {
    const std::string names = "write '" + to.string() + "'";
    const FileDescriptor file{::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
    if (!file) throw_errno(names, errno);
    try {
        auto written = write_tar(
            trees, [&](std::span<const std::byte> bytes) { write_all(file.get(), bytes, names); }, control);
        sync_content(file.get(), names);
        sync_directory(to.parent_path().empty() ? fs::path{"."} : to.parent_path());
        return written;
    } catch (const Error&) {
        ::unlink(to.c_str());
        throw;
    }
}

}  // namespace lifeboat
