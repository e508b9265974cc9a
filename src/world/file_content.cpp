#include "world/file_content.h"

#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/sha256.h"

namespace lifeboat {

namespace {

constexpr std::size_t chunk = 1u << 20;

bool all_zero(std::span<const std::byte> bytes) {
    return bytes.empty() ||
           (bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

// Hashes the chunks handed over in a thread of its own, so that reading and writing go on meanwhile. A chunk's buffer
// may be reused when `take_buffer` returns it again.
class HashBeside {
  public:
    HashBeside() : thread_([this] { work(); }) {}
    ~HashBeside() {
        close();
        thread_.join();
    }
    HashBeside(const HashBeside&) = delete;
    HashBeside& operator=(const HashBeside&) = delete;

    std::span<std::byte> take_buffer() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return given_ - hashed_ < slots_.size(); });
        auto& slot = slots_[given_ % slots_.size()];
        slot.bytes.resize(chunk);
        return slot.bytes;
    }
    // The buffer last taken holds `length` bytes.
    void hand_over(std::size_t length) {
        const std::lock_guard lock(mutex_);
        slots_[given_ % slots_.size()].length = length;
        ++given_;
        changed_.notify_all();
    }
    Digest finish() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return given_ == hashed_; });
        return digest_.finish();
    }

  private:
    struct Slot {
        std::vector<std::byte> bytes;
        std::size_t length = 0;
    };

    void close() {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        changed_.notify_all();
    }
    void work() {
        std::unique_lock lock(mutex_);
        while (true) {
            changed_.wait(lock, [this] { return closed_ || given_ > hashed_; });
            if (given_ == hashed_) return;
            const auto& slot = slots_[hashed_ % slots_.size()];
            lock.unlock();
            digest_.update(std::span{slot.bytes}.first(slot.length));
            lock.lock();
            ++hashed_;
            changed_.notify_all();
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::array<Slot, 4> slots_;
    std::size_t given_ = 0;
    std::size_t hashed_ = 0;
    bool closed_ = false;
    Sha256 digest_;
    std::thread thread_;
};

class HashHere {
  public:
    std::span<std::byte> take_buffer() {
        buffer_.resize(chunk);
        return buffer_;
    }
    void hand_over(std::size_t length) { digest_.update(std::span{buffer_}.first(length)); }
    Digest finish() { return digest_.finish(); }

  private:
    std::vector<std::byte> buffer_;
    Sha256 digest_;
};

// `consume` sees each chunk with its offset, after it was handed to the hasher.
template <typename Hasher, typename Consume>
HashedFile pass(int from, Hasher& hasher, const WorkControl& control, const std::string& names, Consume consume) {
    HashedFile result;
    control.check();
    while (true) {
        const auto buffer = hasher.take_buffer();
        const std::size_t length = read_full(from, buffer, names);
        if (length == 0) break;
        hasher.hand_over(length);
        consume(std::span<const std::byte>{buffer}.first(length), result.size);
        result.size += length;
        control.advance(length);
        if (length < buffer.size()) break;
    }
    const Digest digest = hasher.finish();
    result.sha256 = to_hex(digest);
    return result;
}

constexpr std::uint64_t worth_a_thread = 8u << 20;

template <typename Consume>
HashedFile hashed_pass(int from, const WorkControl& control, const std::string& names, Consume consume) {
    struct stat status {};
    if (::fstat(from, &status) != 0) throw_errno(names, errno);
    (void)::posix_fadvise(from, 0, 0, POSIX_FADV_SEQUENTIAL);
    if (static_cast<std::uint64_t>(status.st_size) >= worth_a_thread) {
        HashBeside hasher;
        return pass(from, hasher, control, names, consume);
    }
    HashHere hasher;
    return pass(from, hasher, control, names, consume);
}

}  // namespace

HashedFile copy_content(int from, int to, const WorkControl& control, const std::string& names) {
    struct stat status {};
    if (::fstat(from, &status) != 0) throw_errno(names, errno);
    const bool has_holes = status.st_blocks * 512 < status.st_size;
    std::uint64_t pushed = 0;
    const auto copied = hashed_pass(from, control, names, [&](std::span<const std::byte> bytes, std::uint64_t at) {
        if (has_holes && all_zero(bytes)) {
            if (::lseek(to, static_cast<off_t>(bytes.size()), SEEK_CUR) < 0) throw_errno(names, errno);
        } else {
            write_all(to, bytes, names);
        }
        // Writing back begins early, so that the final sync has little left to wait for.
        if (at + bytes.size() - pushed >= (8u << 20)) {
            (void)::sync_file_range(to, static_cast<off_t>(pushed), static_cast<off_t>(at + bytes.size() - pushed),
                                    SYNC_FILE_RANGE_WRITE);
            pushed = at + bytes.size();
        }
    });
    if (has_holes && ::ftruncate(to, static_cast<off_t>(copied.size)) != 0) throw_errno(names, errno);
    return copied;
}

HashedFile hash_content(int from, const WorkControl& control, const std::string& names) {
    return hashed_pass(from, control, names, [](std::span<const std::byte>, std::uint64_t) {});
}

void write_all(int to, std::span<const std::byte> bytes, const std::string& names) {
    while (!bytes.empty()) {
        const ssize_t count = ::write(to, bytes.data(), bytes.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) throw_errno(names, errno);
        bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
}

std::size_t read_full(int from, std::span<std::byte> buffer, const std::string& names) {
    std::size_t length = 0;
    while (length < buffer.size()) {
        const ssize_t count = ::read(from, buffer.data() + length, buffer.size() - length);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) throw_errno(names, errno);
        if (count == 0) break;
        length += static_cast<std::size_t>(count);
    }
    return length;
}

void sync_content(int file, const std::string& names) {
    while (::fsync(file) != 0) {
        if (errno != EINTR) throw_errno(names, errno);
    }
}

}  // namespace lifeboat
