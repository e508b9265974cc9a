#include "backup/arrival.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <optional>

#include <fcntl.h>
#include <unistd.h>

#include "backup/ordered_read.h"
#include "base/error.h"
#include "base/json.h"
#include "base/sha256.h"
#include "base/text.h"
#include "world/file_content.h"
#include "world/file_descriptor.h"
#include "world/files.h"
#include "world/zstd.h"

namespace lifeboat {

namespace {

constexpr int tries = 3;  // of an object that has to be read from its front again

Error wrong_digest(const Store& store, const std::string& key, const std::string& found, const std::string& expected) {
    return store_error(ErrorCode::corrupt, store.name(), key, "its SHA-256 is " + found + " instead of " + expected);
}

StoredObject look_at(Store& store, const std::string& key, const ManifestObject& expected, const WorkControl& control) {
    const auto there = store.stat(key, control);
    if (!there) throw store_error(ErrorCode::incomplete, store.name(), key, "it is missing");
    if (there->size != expected.size)
        throw store_error(
            ErrorCode::corrupt, store.name(), key,
            "it has " + std::to_string(there->size.count) + " bytes instead of " + std::to_string(expected.size.count));
    return *there;
}

// What has to be known of a store's version of an object to go on with a part of it.
struct PartOrigin {
    std::string store;
    std::string key;
    std::string validator;
    std::string sha256;  // that the whole is to have; empty: not stated
    bool operator==(const PartOrigin&) const = default;
};

std::filesystem::path note_of(const std::filesystem::path& part) {
    return part.string() + ".from";
}

std::string text_of(const PartOrigin& origin) {
    return to_text(
        Json{{"store", origin.store}, {"key", origin.key}, {"validator", origin.validator}, {"sha256", origin.sha256}});
}

// Bytes of the part that belong to the same version of the object.
bool can_go_on(const std::filesystem::path& part, const PartOrigin& origin) {
    if (origin.validator.empty()) return false;
    try {
        return read_small_file(note_of(part)) == text_of(origin);
    } catch (const Error&) {
        return false;
    }
}

// The scratch file that an object's stored bytes go into, with the digest of what it holds so far.
class Part {
  public:
    // Takes up what is there and belongs to `origin`; else begins anew.
    Part(const std::filesystem::path& path, const PartOrigin& origin, std::uint64_t size, ByteProgress& progress,
         const WorkControl& control)
        : path_(path) {
        const bool going_on = can_go_on(path, origin);
        if (!going_on) {
            remove_part(path);
            write_durably(note_of(path), text_of(origin));
        }
        file_ = FileDescriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!file_) throw_errno("make '" + path.string() + "'", errno);
        if (going_on) hash_what_is_there(size, progress, control);
    }

    std::uint64_t size() const { return size_; }
    std::string digest() { return to_hex(digest_.finish()); }

    void add(std::span<const std::byte> bytes) {
        digest_.update(bytes);
        size_ += bytes.size();
        write_all(file_.get(), bytes, "write '" + path_.string() + "'");
    }

    void sync() const {
        if (::fsync(file_.get()) != 0) throw_errno("sync '" + path_.string() + "'", errno);
    }

  private:
    void hash_what_is_there(std::uint64_t most, ByteProgress& progress, const WorkControl& control) {
        std::vector<std::byte> buffer(1u << 20);
        while (size_ < most) {
            control.check();
            const std::size_t wanted = std::min<std::uint64_t>(buffer.size(), most - size_);
            const ssize_t count = ::read(file_.get(), buffer.data(), wanted);
            if (count < 0 && errno == EINTR) continue;
            if (count < 0) throw_errno("read '" + path_.string() + "'", errno);
            if (count == 0) break;
            const auto some = std::span(buffer).first(static_cast<std::size_t>(count));
            digest_.update(some);
            size_ += some.size();
            progress.add(some.size());
        }
        if (::ftruncate(file_.get(), static_cast<off_t>(size_)) != 0)
            throw_errno("cut '" + path_.string() + "'", errno);
    }

    std::filesystem::path path_;
    FileDescriptor file_;
    Sha256 digest_;
    std::uint64_t size_ = 0;
};

// The object's bytes from `from` on; what `keep` throws is no fault of the source.
void receive(Store& store, const std::string& key, const StoredObject& there, std::uint64_t from,
             ByteProgress& progress, const WorkControl& control, const ByteSink& keep) {
    std::exception_ptr own_trouble;
    std::uint64_t arrived = from;
    try {
        const ReadEnd end = read_in_order(
            store, key, from, there.size.count, there.validator,
            [&](std::span<const std::byte> bytes) {
                arrived += bytes.size();
                if (arrived > there.size.count)
                    throw store_error(ErrorCode::corrupt, store.name(), key, "it is longer than its manifest says");
                try {
                    keep(bytes);
                } catch (...) {
                    own_trouble = std::current_exception();
                    throw;
                }
                progress.add(bytes.size());
            },
            control);
        if (end == ReadEnd::changed)
            throw store_error(ErrorCode::busy, store.name(), key, "it changed while it was read");
        if (arrived != there.size.count)
            throw store_error(
                ErrorCode::incomplete, store.name(), key,
                "it ended after " + std::to_string(arrived) + " of " + std::to_string(there.size.count) + " bytes");
    } catch (const Error&) {
        if (own_trouble) std::rethrow_exception(own_trouble);
        throw;
    }
}

// The stored bytes into `part`, whole and right.
void collect(Store& store, const std::string& key, const ManifestObject& expected, const std::filesystem::path& path,
             ByteProgress& progress, const WorkControl& control) {
    for (int attempt = 1;; ++attempt) {
        const StoredObject there = look_at(store, key, expected, control);
        Part part(path, {.store = store.name(), .key = key, .validator = there.validator, .sha256 = expected.sha256},
                  expected.size.count, progress, control);
        const bool went_on = part.size() > 0;
        try {
            receive(store, key, there, part.size(), progress, control,
                    [&part](std::span<const std::byte> bytes) { part.add(bytes); });
            part.sync();
            const std::string found = part.digest();
            if (!expected.sha256.empty() && found != expected.sha256)
                throw wrong_digest(store, key, found, expected.sha256);
            return;
        } catch (const Error& error) {
            const bool spoilt = error.code == ErrorCode::corrupt || error.code == ErrorCode::busy;
            if (spoilt) remove_part(path);
            // a part that an earlier attempt left may have been spoilt here
            const bool stale = error.code == ErrorCode::corrupt && went_on;
            // what the store could not bind to one version it could not go on with either
            const bool from_the_front = info(error.code).transient && there.validator.empty();
            if (!(error.code == ErrorCode::busy || stale || from_the_front) || attempt == tries) throw;
        }
    }
}

// From the stored bytes in `part` to the object's own, decrypted, then unpacked; nothing of them is seen under `to`
// before all is authentic.
void unpack(const std::filesystem::path& part, const ManifestObject& expected, const KeyRing& keys,
            const std::string& where, const std::filesystem::path& to, const WorkControl& control) {
    const std::filesystem::path plain = part.string() + ".plain";
    const FileDescriptor file(::open(plain.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) throw_errno("make '" + plain.string() + "'", errno);
    std::uint64_t made = 0;
    ByteSink out = [&](std::span<const std::byte> bytes) {
        made += bytes.size();
        if (made > expected.plain_size().count)
            throw Error{ErrorCode::corrupt, where + ": more comes out of it than its manifest says"};
        write_all(file.get(), bytes, "write '" + plain.string() + "'");
    };
    std::optional<Decompressor> decompressor;
    if (expected.compression) {
        if (expected.compression->scheme != compression_scheme)
            throw Error{ErrorCode::unsupported,
                        where + " is compressed by '" + printable(expected.compression->scheme) + "'",
                        "Read this backup with the version of lifeboat that made it."};
        decompressor.emplace(std::move(out));
        out = [&decompressor](std::span<const std::byte> bytes) { decompressor->write(bytes); };
    }
    std::optional<Decryption> decryption;
    if (expected.encryption) {
        ObjectEncryption authentic = *expected.encryption;
        authentic.plain_sha256.clear();  // every segment is authentic by itself
        decryption.emplace(keys, std::move(out), where, authentic);
        out = [&decryption](std::span<const std::byte> bytes) { decryption->write(bytes); };
    }
    const ByteSource source = content_of_file(part.string()).open(0);
    std::vector<std::byte> buffer(1u << 20);
    try {
        for (std::size_t count = source(buffer); count > 0; count = source(buffer)) {
            control.check();
            out(std::span(buffer).first(count));
        }
        if (decryption) decryption->finish();
        if (decompressor) decompressor->finish();
    } catch (const Error& error) {
        // the stored bytes are those of the manifest: what they cannot be unpacked to was never right
        if (error.code != ErrorCode::incomplete && error.code != ErrorCode::limit_exceeded) throw;
        throw Error{ErrorCode::corrupt, where + ": " + error.message};
    }
    if (made != expected.plain_size().count)
        throw Error{ErrorCode::corrupt, where + ": " + std::to_string(made) + " bytes come out of it instead of " +
                                            std::to_string(expected.plain_size().count)};
    if (::fsync(file.get()) != 0) throw_errno("sync '" + plain.string() + "'", errno);
    remove_file(to);
    move_durably(plain, to);
}

}  // namespace

bool is_about_the_source(ErrorCode code) {
    switch (code) {
        case ErrorCode::denied:
        case ErrorCode::not_found:
        case ErrorCode::unreachable:
        case ErrorCode::connection_lost:
        case ErrorCode::protocol_failed:
        case ErrorCode::slow:
        case ErrorCode::archived:
        case ErrorCode::busy:
        case ErrorCode::io_failed:
        case ErrorCode::corrupt:
        case ErrorCode::incomplete:
        case ErrorCode::unsupported:
        case ErrorCode::limit_exceeded:
        case ErrorCode::refused:
            return true;
        case ErrorCode::usage:
        case ErrorCode::invalid_file:
        case ErrorCode::locked:
        case ErrorCode::stale_plan:
        case ErrorCode::moved:
        case ErrorCode::timed_out:
        case ErrorCode::stalled:
        case ErrorCode::cancelled:
        case ErrorCode::expression_failed:
        case ErrorCode::secret_missing:
        case ErrorCode::secret_exposed:
        case ErrorCode::script_failed:
        case ErrorCode::injected:
        case ErrorCode::internal:
        case ErrorCode::already_exists:
        case ErrorCode::disk_full:
        case ErrorCode::program_missing:
        case ErrorCode::child_failed:
        case ErrorCode::no_candidate:
        case ErrorCode::check_failed:
        case ErrorCode::not_healthy:
        case ErrorCode::sql_failed:
        case ErrorCode::dump_leaves_database:
        case ErrorCode::journal_damaged:
            return false;
    }
    return false;
}

void remove_part(const std::filesystem::path& part) {
    for (const std::filesystem::path& each : {part, note_of(part), std::filesystem::path(part.string() + ".plain")})
        remove_file(each);
}

void fetch_object(Store& store, const std::string& key, const ManifestObject& expected, const KeyRing& keys,
                  const std::filesystem::path& to, const std::filesystem::path& part, ByteProgress& progress,
                  const WorkControl& control) {
    make_directories(to.parent_path());
    try {
        collect(store, key, expected, part, progress, control);
    } catch (const Error& error) {
        if (!is_about_the_source(error.code)) throw;
        throw SourceTrouble{error};
    }
    if (expected.is_packed()) {
        try {
            unpack(part, expected, keys, "object '" + key + "' in store '" + store.name() + "'", to, control);
        } catch (const Error& error) {
            remove_part(part);
            // a key that is missing here is missing for every copy
            if (error.code != ErrorCode::corrupt) throw;
            throw SourceTrouble{error};
        }
    } else {
        remove_file(to);
        move_durably(part, to);
    }
    remove_part(part);
}

void check_object(Store& store, const std::string& key, const ManifestObject& expected, ByteProgress& progress,
                  const WorkControl& control) {
    try {
        for (int attempt = 1;; ++attempt) {
            try {
                Sha256 digest;
                receive(store, key, look_at(store, key, expected, control), 0, progress, control,
                        [&digest](std::span<const std::byte> bytes) { digest.update(bytes); });
                const std::string found = to_hex(digest.finish());
                if (!expected.sha256.empty() && found != expected.sha256)
                    throw wrong_digest(store, key, found, expected.sha256);
                return;
            } catch (const Error& error) {
                if (error.code != ErrorCode::busy || attempt == tries) throw;
            }
        }
    } catch (const Error& error) {
        if (!is_about_the_source(error.code)) throw;
        throw SourceTrouble{error};
    }
}

bool is_object(const std::filesystem::path& path, const ManifestObject& expected, ByteProgress& progress,
               const WorkControl& control) {
    std::error_code failed;
    const auto status = std::filesystem::symlink_status(path, failed);
    if (failed || !std::filesystem::is_regular_file(status) || expected.plain_sha256().empty()) return false;
    if (std::filesystem::file_size(path, failed) != expected.plain_size().count || failed) return false;
    WorkControl counted = control;
    counted.moved = [&](std::uint64_t bytes) { progress.add(bytes); };
    return hash_file(path, counted).sha256 == expected.plain_sha256();
}

}  // namespace lifeboat
