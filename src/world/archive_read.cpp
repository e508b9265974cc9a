#include <array>
#include <cerrno>
#include <exception>
#include <memory>
#include <optional>
#include <set>

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>

#include "base/error.h"
#include "base/sha256.h"
#include "base/text.h"
#include "world/archive.h"
#include "world/extraction.h"
#include "world/file_content.h"
#include "world/utf8_locale.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
    throw Error{ErrorCode::refused, "archive refused: entry '" + printable(path) + "' " + why,
                "Nothing of it was kept; find out who made this archive."};
}

// "a//b/./c/" → "a/b/c", "." for the archive's own root.
std::string checked_path(const std::string& text, const ExtractLimits& limits) {
    if (text.empty()) refuse(text, "has no name");
    if (text.front() == '/') refuse(text, "has an absolute path");
    if (text.size() > limits.path_length) {
        throw Error{ErrorCode::limit_exceeded,
                    "archive refused: a path in it is longer than " + std::to_string(limits.path_length) + " bytes"};
    }
    std::vector<std::string> components;
    for (auto& component : split(text, '/')) {
        if (component.empty() || component == ".") continue;
        if (component == "..") refuse(text, "has '..' in its path");
        components.push_back(std::move(component));
    }
    if (components.size() > limits.depth) {
        throw Error{ErrorCode::limit_exceeded,
                    "archive refused: a path in it is more than " + std::to_string(limits.depth) + " levels deep"};
    }
    return components.empty() ? "." : join(components, "/");
}

// Whether a link at `path` with this target stays below the root, by names alone.
bool leads_out(const std::string& path, const std::string& target) {
    if (target.empty() || target.front() == '/') return true;
    int depth = static_cast<int>(split(path, '/').size()) - 1;
    if (path == ".") return true;
    for (const auto& component : split(target, '/')) {
        if (component.empty() || component == ".") continue;
        depth += component == ".." ? -1 : 1;
        if (depth < 0) return true;
    }
    return false;
}

// The archive's bytes on their way into libarchive, measured, with the last of them remembered: a tar ends in 1024 zero
// bytes, and one that was cut between two entries does not.
class Inlet {
  public:
    Inlet(const ByteSource& source, const WorkControl& control)
        : source_(source), control_(control), buffer_(1u << 18) {}

    static la_ssize_t give(struct archive* archive, void* inlet, const void** buffer) {
        auto& self = *static_cast<Inlet*>(inlet);
        try {
            const std::size_t length = self.next();
            *buffer = self.buffer_.data();
            return static_cast<la_ssize_t>(length);
        } catch (...) {
            self.failure_ = std::current_exception();
            archive_set_error(archive, EIO, "the archive could not be read");
            return -1;
        }
    }
    void rethrow() const {
        if (failure_) std::rethrow_exception(failure_);
    }
    // Reads what libarchive left, then says whether the end marker stands where it should: two blocks of zeros behind
    // the last entry, whose own stored bytes end in `zeros_of_entry` zeros.
    bool ends_well(std::uint64_t zeros_of_entry) {
        while (next() > 0) {
        }
        return size_ % block == 0 && zeros_ >= 2 * block + zeros_of_entry;
    }
    static constexpr std::uint64_t block = 512;
    std::uint64_t size() const { return size_; }

  private:
    std::size_t next() {
        const std::size_t length = source_(buffer_);
        size_ += length;
        std::size_t trailing = 0;
        while (trailing < length && trailing < 4096 && buffer_[length - 1 - trailing] == std::byte{0})
            ++trailing;
        zeros_ = trailing == length ? zeros_ + trailing : trailing;
        control_.advance(length);
        return length;
    }

    const ByteSource& source_;
    const WorkControl& control_;
    std::vector<std::byte> buffer_;
    std::uint64_t size_ = 0;
    std::uint64_t zeros_ = 0;
    std::exception_ptr failure_;
};

class TarReader {
  public:
    TarReader(const ByteSource& source, const ExtractOptions& options, const WorkControl& control,
              Extraction* extraction)
        : options_(options),
          control_(control),
          extraction_(extraction),
          inlet_(source, control),
          archive_(archive_read_new()) {
        if (!options.inside.empty()) inside_ = checked_path(options.inside, options.limits);
        archive_read_support_format_tar(archive_.get());
    }

    TreeListing read() {
        if (archive_read_open(archive_.get(), &inlet_, nullptr, Inlet::give, nullptr) < ARCHIVE_WARN) fail();
        struct archive_entry* entry = nullptr;
        while (true) {
            const int result = archive_read_next_header(archive_.get(), &entry);
            if (result == ARCHIVE_EOF) break;
            if (result < ARCHIVE_WARN) fail();
            read_entry(entry);
        }
        inlet_.rethrow();
        if (!inlet_.ends_well(zeros_at_end_)) {
            throw Error{ErrorCode::incomplete, "the archive is cut: its end marker is missing",
                        "Fetch it again, or take another backup."};
        }
        if (kept_.empty()) {
            throw Error{ErrorCode::incomplete,
                        inside_ == "." ? "the archive is empty" : "the archive holds nothing at '" + inside_ + "'"};
        }
        if (extraction_ != nullptr) extraction_->finish();
        return std::move(kept_);
    }

  private:
    struct Free {
        void operator()(struct archive* archive) const { archive_read_free(archive); }
    };

    [[noreturn]] void fail() {
        inlet_.rethrow();
        const char* why = archive_error_string(archive_.get());
        const std::string text = why == nullptr ? "" : std::string{": "} + why;
        if (inlet_.size() == 0) throw Error{ErrorCode::incomplete, "the archive is empty"};
        if (text.find("runcated") != std::string::npos) throw Error{ErrorCode::incomplete, "the archive is cut" + text};
        throw Error{ErrorCode::corrupt, "the archive cannot be read as tar" + text};
    }

    // The place in what is extracted, or nullopt for what lies outside of `inside`.
    std::optional<std::string> kept_path(const std::string& path) const {
        if (inside_ == ".") return path;
        if (path == inside_) return ".";
        if (path.starts_with(inside_ + "/")) return path.substr(inside_.size() + 1);
        return std::nullopt;
    }

    void read_entry(struct archive_entry* entry) {
        control_.check();
        if (++entries_ > options_.limits.entries) {
            throw Error{ErrorCode::limit_exceeded,
                        "archive refused: it holds more than " + std::to_string(options_.limits.entries) + " entries"};
        }
        zeros_at_end_ = 0;
        const char* stored = archive_entry_pathname(entry);
        const std::string path = checked_path(stored == nullptr ? "" : stored, options_.limits);
        require_parents(path);
        const auto kept = kept_path(path);
        if (const char* target = archive_entry_hardlink(entry); target != nullptr) {
            read_hard_link(entry, path, kept, target);
            return;
        }
        switch (archive_entry_filetype(entry)) {
            case AE_IFDIR:
                read_directory(entry, path, kept);
                return;
            case AE_IFLNK:
                read_link(entry, path, kept);
                return;
            case AE_IFREG:
                read_file(entry, path, kept);
                return;
            default:
                refuse(path, "is a device, a FIFO or a socket");
        }
    }

    // Everything above `path` must be a directory of this archive: no writing through a link or a file.
    void require_parents(const std::string& path) {
        if (path == ".") return;
        if (!seen_.contains(".")) seen_["."] = EntryType::directory;
        for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
            const std::string above = path.substr(0, slash);
            const auto [there, fresh] = seen_.emplace(above, EntryType::directory);
            if (there->second != EntryType::directory)
                refuse(path, "lies below '" + printable(above) + "', which is no directory");
        }
        if (seen_["."] != EntryType::directory) refuse(path, "lies below a file");
    }

    // Directories that the archive implies and does not describe.
    void make_implied(const std::string& kept) {
        if (kept == ".") return;
        ensure_directory(".");
        for (std::size_t slash = kept.find('/'); slash != std::string::npos; slash = kept.find('/', slash + 1)) {
            ensure_directory(kept.substr(0, slash));
        }
    }
    void ensure_directory(const std::string& kept) {
        const auto there = kept_.find(kept);
        if (there != kept_.end()) {
            if (there->second.type != EntryType::directory)
                refuse(kept, "is no directory, and something lies below it");
            return;
        }
        kept_[kept] = TreeEntry{.type = EntryType::directory, .mode = 0755, .owner = 0, .group = 0};
        if (extraction_ != nullptr) {
            extraction_->make_directory(kept);
            extraction_->set_directory(kept, Metadata{.mode = 0755, .owner = 0, .group = 0});
        }
    }

    void claim(const std::string& path, EntryType type) {
        if (!seen_.emplace(path, type).second) refuse(path, "is in it twice");
    }

    TreeEntry listed(struct archive_entry* entry, EntryType type) const {
        TreeEntry result{.type = type,
                         .owner = static_cast<std::uint32_t>(archive_entry_uid(entry)),
                         .group = static_cast<std::uint32_t>(archive_entry_gid(entry))};
        const unsigned mode = archive_entry_perm(entry) & 07777u;
        switch (type) {
            case EntryType::file:
                result.mode = options_.keep_set_id ? mode : mode & 01777u;
                break;
            case EntryType::directory:
                result.mode = mode;
                break;
            case EntryType::link:
            case EntryType::other:
                break;
        }
        return result;
    }

    Metadata metadata(struct archive_entry* entry, const TreeEntry& listed) const {
        Metadata wanted{.mode = listed.mode,
                        .owner = listed.owner,
                        .group = listed.group,
                        .modified_seconds = archive_entry_mtime(entry),
                        .modified_nanoseconds = archive_entry_mtime_nsec(entry)};
        archive_entry_xattr_reset(entry);
        const char* name = nullptr;
        const void* value = nullptr;
        std::size_t size = 0;
        while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
            // The others (capabilities, labels) grant rights, as the set-id bits do.
            if (!options_.keep_set_id && !std::string_view{name}.starts_with("user.")) continue;
            wanted.attributes.emplace(name, std::string{static_cast<const char*>(value), size});
        }
        return wanted;
    }

    void read_directory(struct archive_entry* entry, const std::string& path, const std::optional<std::string>& kept) {
        const auto [there, fresh] = seen_.emplace(path, EntryType::directory);
        if (!fresh && (there->second != EntryType::directory || !described_.insert(path).second))
            refuse(path, "is in it twice");
        described_.insert(path);
        if (!kept) return;
        make_implied(*kept);
        ensure_directory(*kept);
        const TreeEntry wanted = listed(entry, EntryType::directory);
        if (extraction_ != nullptr) extraction_->set_directory(*kept, metadata(entry, wanted));
        kept_[*kept] = wanted;
    }

    void read_link(struct archive_entry* entry, const std::string& path, const std::optional<std::string>& kept) {
        claim(path, EntryType::link);
        const char* target = archive_entry_symlink(entry);
        TreeEntry wanted = listed(entry, EntryType::link);
        wanted.target = target == nullptr ? "" : target;
        if (!options_.links_may_lead_out && leads_out(kept.value_or(path), wanted.target)) {
            refuse(path, "is a link that leads out, to '" + printable(wanted.target) + "'");
        }
        if (!kept) return;
        make_implied(*kept);
        if (extraction_ != nullptr) extraction_->make_link(*kept, wanted.target, metadata(entry, wanted));
        kept_[*kept] = wanted;
    }

    void read_file(struct archive_entry* entry, const std::string& path, const std::optional<std::string>& kept) {
        claim(path, EntryType::file);
        const auto size = static_cast<std::uint64_t>(archive_entry_size(entry));
        count_bytes(size);
        if (!kept) {
            read_content(size, nullptr);
            return;
        }
        make_implied(*kept);
        TreeEntry wanted = listed(entry, EntryType::file);
        if (extraction_ != nullptr) extraction_->begin_file(*kept);
        wanted.sha256 = read_content(size, extraction_);
        wanted.size = size;
        if (extraction_ != nullptr) extraction_->end_file(size, metadata(entry, wanted));
        kept_[*kept] = wanted;
    }

    void read_hard_link(struct archive_entry* entry, const std::string& path, const std::optional<std::string>& kept,
                        const std::string& stored_target) {
        claim(path, EntryType::file);
        const std::string target = checked_path(stored_target, options_.limits);
        const auto there = seen_.find(target);
        if (target == path || there == seen_.end() || there->second != EntryType::file) {
            refuse(path,
                   "is a hard link to '" + printable(stored_target) + "', which is no file before it in the archive");
        }
        if (!kept) return;
        const auto kept_target = kept_path(target);
        if (!kept_target) refuse(path, "is a hard link to '" + printable(stored_target) + "', which is not extracted");
        make_implied(*kept);
        TreeEntry wanted = kept_.at(*kept_target);
        count_bytes(wanted.size);
        if (extraction_ != nullptr) {
            Metadata times = metadata(entry, wanted);
            extraction_->copy_file(*kept_target, *kept, times);
        }
        kept_[*kept] = std::move(wanted);
    }

    void count_bytes(std::uint64_t size) {
        const auto& limits = options_.limits;
        if (size > limits.bytes.count || bytes_ > limits.bytes.count - size) {
            throw Error{ErrorCode::limit_exceeded, "archive refused: it holds more than " + to_human(limits.bytes)};
        }
        bytes_ += size;
    }

    // `size` bytes, holes as zeros; returns their digest.
    std::string read_content(std::uint64_t size, Extraction* extraction) {
        Sha256 digest;
        std::uint64_t stored = 0;
        std::uint64_t done = 0;
        const void* block = nullptr;
        std::size_t length = 0;
        la_int64_t offset = 0;
        while (true) {
            const int result = archive_read_data_block(archive_.get(), &block, &length, &offset);
            if (result == ARCHIVE_EOF) break;
            if (result < ARCHIVE_WARN) fail();
            if (offset < 0 || static_cast<std::uint64_t>(offset) < done ||
                static_cast<std::uint64_t>(offset) + length > size) {
                throw Error{ErrorCode::corrupt, "the archive holds more or other data than an entry's header says"};
            }
            hash_zeros(digest, static_cast<std::uint64_t>(offset) - done);
            const std::span bytes{static_cast<const std::byte*>(block), length};
            digest.update(bytes);
            if (extraction != nullptr) extraction->write(static_cast<std::uint64_t>(offset), bytes);
            std::uint64_t zeros = 0;
            while (zeros < length && bytes[length - 1 - zeros] == std::byte{0})
                ++zeros;
            zeros_at_end_ = zeros == length ? zeros_at_end_ + zeros : zeros;
            stored += length;
            done = static_cast<std::uint64_t>(offset) + length;
            written_ += length;
        }
        zeros_at_end_ += (Inlet::block - stored % Inlet::block) % Inlet::block;
        hash_zeros(digest, size - done);
        return to_hex(digest.finish());
    }

    void hash_zeros(Sha256& digest, std::uint64_t count) {
        static constexpr std::array<std::byte, 64u << 10> zeros{};
        written_ += count;
        require_ratio();
        while (count > 0) {
            control_.check();
            const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(count, zeros.size()));
            digest.update(std::span{zeros}.first(length));
            count -= length;
        }
    }

    void require_ratio() const {
        constexpr std::uint64_t free_of_it = 16u << 20;
        if (written_ > free_of_it &&
            static_cast<double>(written_) > options_.limits.ratio * static_cast<double>(inlet_.size())) {
            throw Error{ErrorCode::limit_exceeded, "archive refused: it expands more than its size can explain"};
        }
    }

    const ExtractOptions& options_;
    const WorkControl& control_;
    Extraction* extraction_;
    Inlet inlet_;
    std::unique_ptr<struct archive, Free> archive_;
    std::string inside_ = ".";
    std::map<std::string, EntryType> seen_;  // every path of the archive, implied directories too
    std::set<std::string> described_;        // directories with an entry of their own
    TreeListing kept_;
    std::uint64_t entries_ = 0;
    std::uint64_t bytes_ = 0;         // as the headers say
    std::uint64_t written_ = 0;       // holes included
    std::uint64_t zeros_at_end_ = 0;  // of what is stored of the last entry, its padding included
};

}  // namespace

ByteSource read_from(const fs::path& path) {
    const auto file = std::make_shared<FileDescriptor>(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!*file) throw_errno("open '" + path.string() + "'", errno);
    (void)::posix_fadvise(file->get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    return [file, names = "read '" + path.string() + "'"](std::span<std::byte> buffer) {
        return read_full(file->get(), buffer, names);
    };
}

TreeListing extract_tar(const ByteSource& source, const fs::path& to, const ExtractOptions& options,
                        const WorkControl& control) {
    const Utf8Locale locale;
    Extraction extraction{to};
    try {
        return TarReader{source, options, control, &extraction}.read();
    } catch (const Error&) {
        remove_tree(to);
        throw;
    }
}

TreeListing extract_tar(const fs::path& archive, const fs::path& to, const ExtractOptions& options,
                        const WorkControl& control) {
    try {
        return extract_tar(read_from(archive), to, options, control);
    } catch (Error& error) {
        throw error.during("while extracting '" + archive.string() + "'");
    }
}

TreeListing list_tar(const ByteSource& source, const ExtractOptions& options, const WorkControl& control) {
    const Utf8Locale locale;
    return TarReader{source, options, control, nullptr}.read();
}

TreeListing list_tar(const fs::path& archive, const ExtractOptions& options, const WorkControl& control) {
    try {
        return list_tar(read_from(archive), options, control);
    } catch (Error& error) {
        throw error.during("while reading '" + archive.string() + "'");
    }
}

bool looks_like_tar(const fs::path& path) {
    std::array<std::byte, 512> block{};
    if (read_from(path)(block) < block.size()) return false;
    const std::string_view magic{reinterpret_cast<const char*>(block.data()) + 257, 5};
    return magic == "ustar";
}

}  // namespace lifeboat
