#include "runs/open_file.h"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"

namespace lifeboat {

FileDescriptor open_file(const std::filesystem::path& path, int flags) {
    while (true) {
        const int number = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
        if (number >= 0) return FileDescriptor{number};
        if (errno != EINTR) throw_errno("open '" + path.string() + "'", errno);
    }
}

std::optional<std::string> read_file_if_any(const std::filesystem::path& path) {
    const FileDescriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!file) {
        if (errno == ENOENT) return std::nullopt;
        throw_errno("open '" + path.string() + "'", errno);
    }
    std::string text;
    std::array<char, 65536> chunk{};
    while (true) {
        const ssize_t got = ::read(file.get(), chunk.data(), chunk.size());
        if (got == 0) return text;
        if (got > 0) {
            text.append(chunk.data(), static_cast<std::size_t>(got));
        } else if (errno != EINTR) {
            throw_errno("read '" + path.string() + "'", errno);
        }
    }
}

void write_all(const FileDescriptor& file, std::string_view bytes, const std::filesystem::path& path) {
    while (!bytes.empty()) {
        const ssize_t put = ::write(file.get(), bytes.data(), bytes.size());
        if (put >= 0) {
            bytes.remove_prefix(static_cast<std::size_t>(put));
        } else if (errno != EINTR) {
            throw_errno("write '" + path.string() + "'", errno);
        }
    }
}

}  // namespace lifeboat
