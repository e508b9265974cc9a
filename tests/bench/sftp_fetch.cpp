// What tests/bench/sftp.py measures: one object out of an SFTP store into a file, in ranges side by side, hashed while
// it arrives. Arguments: host port user key_file known_hosts transport connections folder key output [largest_block]
// [window].
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <iostream>
#include <mutex>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "base/sha256.h"
#include "stores/sftp.h"

using namespace lifeboat;

namespace {

constexpr std::uint64_t range_size = 16u << 20;

// The ranges that are complete, in any order; hashes them in the order of the file.
class Hasher {
  public:
    Hasher(int file, std::uint64_t size) : file_(file), size_(size), complete_((size + range_size - 1) / range_size) {}

    void done(std::size_t range) {
        const std::lock_guard lock(mutex_);
        complete_[range] = true;
        changed_.notify_all();
    }

    Digest hash() {
        Sha256 digest;
        std::vector<char> block(1u << 20);
        for (std::size_t range = 0; range < complete_.size(); ++range) {
            {
                std::unique_lock lock(mutex_);
                changed_.wait(lock, [&] { return complete_[range]; });
            }
            const std::uint64_t end = std::min(size_, (range + 1) * range_size);
            for (std::uint64_t at = range * range_size; at < end;) {
                const ssize_t count = ::pread(file_, block.data(), block.size(), static_cast<off_t>(at));
                if (count <= 0) throw Error{ErrorCode::io_failed, "cannot read what was written"};
                digest.update(std::string_view(block.data(),
                                               std::min<std::uint64_t>(static_cast<std::uint64_t>(count), end - at)));
                at += static_cast<std::uint64_t>(count);
            }
        }
        return digest.finish();
    }

  private:
    int file_;
    std::uint64_t size_;
    std::vector<bool> complete_;
    std::mutex mutex_;
    std::condition_variable changed_;
};

void write_at(int file, std::uint64_t at, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t count = ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(at));
        if (count <= 0) throw_errno("write the output", errno);
        bytes = bytes.subspan(static_cast<std::size_t>(count));
        at += static_cast<std::uint64_t>(count);
    }
}

Digest fetch(SftpStore& store, const std::string& key, int file, std::size_t connections) {
    const auto object = store.stat(key, {});
    if (!object) throw Error{ErrorCode::not_found, "there is no such object"};
    const std::uint64_t size = object->size.count;
    if (connections == 1) {
        Sha256 digest;
        std::uint64_t at = 0;
        const ReadEnd end = store.read(key, {.validator = object->validator},
                                       [&](std::span<const std::byte> bytes) {
                                           digest.update(bytes);
                                           write_at(file, at, bytes);
                                           at += bytes.size();
                                       },
                                       {});
        if (end != ReadEnd::complete) throw Error{ErrorCode::moved, "it changed"};
        return digest.finish();
    }
    Hasher hasher(file, size);
    std::atomic<std::size_t> next = 0;
    const auto work = [&] {
        for (std::size_t range = next++; range * range_size < size; range = next++) {
            std::uint64_t at = range * range_size;
            const std::uint64_t length = std::min(range_size, size - at);
            const ReadEnd end = store.read(key, {.offset = at, .length = length, .validator = object->validator},
                                           [&](std::span<const std::byte> bytes) {
                                               write_at(file, at, bytes);
                                               at += bytes.size();
                                           },
                                           {});
            if (end != ReadEnd::complete) throw Error{ErrorCode::moved, "it changed"};
            hasher.done(range);
        }
    };
    std::vector<std::jthread> workers;
    for (std::size_t i = 0; i < connections; ++i)
        workers.emplace_back(work);
    return hasher.hash();
}

}  // namespace

int main(int count, char** arguments) {
    const std::vector<std::string> words(arguments + 1, arguments + count);
    if (words.size() < 10) {
        std::cerr << "host port user key_file known_hosts transport connections folder key output [block] [window]\n";
        return 2;
    }
    try {
        SftpOptions options;
        options.server.host = words[0];
        options.server.port = std::stoi(words[1]);
        options.server.user = words[2];
        options.server.key_file = words[3];
        options.server.known_hosts = words[4];
        options.transport = words[5] == "library" ? SshTransport::library : SshTransport::program;
        options.connections = static_cast<std::size_t>(std::stoi(words[6]));
        options.path = words[7];
        if (words.size() > 10) options.tuning.largest_block = std::stoul(words[10]);
        if (words.size() > 11) options.tuning.window = std::stoul(words[11]);
        SftpStore store("bench", options);
        const int file = ::open(words[9].c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (file < 0) throw_errno("open the output", errno);
        const Digest digest = fetch(store, words[8], file, options.connections);
        std::cout << to_hex(digest) << "\n";
    } catch (const Error& error) {
        std::cerr << error.full_message() << "\n";
        return 1;
    }
    return 0;
}
