#include "backup/arrival.h"

#include <cerrno>
#include <functional>

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/sha256.h"
#include "world/file_descriptor.h"
#include "world/files.h"

namespace lifeboat {

namespace {

constexpr int tries = 3;  // of an object that changes while it is read

// Bytes that were asked for go through the digest into `keep`; more than the manifest says are refused as they come.
void receive(Store& store, const std::string& key, const ManifestObject& expected, const ByteSink& keep,
             ByteProgress& progress, const WorkControl& control) {
    std::exception_ptr own_trouble;
    Sha256 digest;
    std::uint64_t arrived = 0;
    try {
        const auto there = store.stat(key, control);
        if (!there) throw store_error(ErrorCode::incomplete, store.name(), key, "it is missing");
        if (there->size != expected.size)
            throw store_error(ErrorCode::corrupt, store.name(), key,
                              "it has " + std::to_string(there->size.count) + " bytes instead of " +
                                  std::to_string(expected.size.count));
        const ReadEnd end = store.read(
            key, ReadRange{.validator = there->validator},
            [&](std::span<const std::byte> bytes) {
                arrived += bytes.size();
                if (arrived > expected.size.count)
                    throw store_error(ErrorCode::corrupt, store.name(), key, "it is longer than its manifest says");
                digest.update(bytes);
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
        const Digest found = digest.finish();
        if (arrived != expected.size.count)
            throw store_error(
                ErrorCode::incomplete, store.name(), key,
                "it ended after " + std::to_string(arrived) + " of " + std::to_string(expected.size.count) + " bytes");
        if (to_hex(found) != expected.sha256)
            throw store_error(ErrorCode::corrupt, store.name(), key,
                              "its SHA-256 is " + to_hex(found) + " instead of " + expected.sha256);
    } catch (const Error& error) {
        if (own_trouble) std::rethrow_exception(own_trouble);
        if (!is_about_the_source(error.code)) throw;
        throw SourceTrouble{error};
    }
}

void receive_steadily(Store& store, const std::string& key, const ManifestObject& expected, ByteProgress& progress,
                      const WorkControl& control, const std::function<ByteSink()>& keep) {
    for (int attempt = 1;; ++attempt) {
        try {
            receive(store, key, expected, keep(), progress, control);
            return;
        } catch (const SourceTrouble& trouble) {
            if (trouble.error.code != ErrorCode::busy || attempt == tries) throw;
        }
    }
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

void fetch_object(Store& store, const std::string& key, const ManifestObject& expected, const std::filesystem::path& to,
                  const std::filesystem::path& part, ByteProgress& progress, const WorkControl& control) {
    make_directories(to.parent_path());
    FileDescriptor file;
    receive_steadily(store, key, expected, progress, control, [&]() -> ByteSink {
        file = FileDescriptor(::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!file) throw_errno("make '" + part.string() + "'", errno);
        return [&](std::span<const std::byte> bytes) {
            while (!bytes.empty()) {
                const ssize_t count = ::write(file.get(), bytes.data(), bytes.size());
                if (count < 0) {
                    if (errno == EINTR) continue;
                    throw_errno("write '" + part.string() + "'", errno);
                }
                bytes = bytes.subspan(static_cast<std::size_t>(count));
            }
        };
    });
    if (::fsync(file.get()) != 0) throw_errno("sync '" + part.string() + "'", errno);
    file.reset();
    remove_file(to);
    move_durably(part, to);
}

void check_object(Store& store, const std::string& key, const ManifestObject& expected, ByteProgress& progress,
                  const WorkControl& control) {
    receive_steadily(store, key, expected, progress, control,
                     []() -> ByteSink { return [](std::span<const std::byte>) {}; });
}

bool is_object(const std::filesystem::path& path, const ManifestObject& expected, ByteProgress& progress,
               const WorkControl& control) {
    std::error_code failed;
    const auto status = std::filesystem::symlink_status(path, failed);
    if (failed || !std::filesystem::is_regular_file(status)) return false;
    if (std::filesystem::file_size(path, failed) != expected.size.count || failed) return false;
    WorkControl counted = control;
    counted.moved = [&](std::uint64_t bytes) { progress.add(bytes); };
    return hash_file(path, counted).sha256 == expected.sha256;
}

}  // namespace lifeboat
