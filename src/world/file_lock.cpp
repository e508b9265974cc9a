#include "world/file_lock.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "world/files.h"

namespace lifeboat {

std::optional<FileLock> FileLock::try_take(const std::filesystem::path& path) {
    make_directories(path.parent_path());
    FileDescriptor file{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (!file) throw_errno("open '" + path.string() + "'", errno);
    while (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) return std::nullopt;
        if (errno != EINTR) throw_errno("lock '" + path.string() + "'", errno);
    }
    return FileLock{path, std::move(file)};
}

FileLock FileLock::take(const std::filesystem::path& path) {
    if (auto lock = try_take(path)) return std::move(*lock);
    const std::string note = note_in(path);
    throw Error{ErrorCode::locked, "'" + path.string() + "' is locked by another process",
                note.empty() ? "Wait until the holder has ended." : "Held by " + note + "."};
}

std::string FileLock::note_in(const std::filesystem::path& path) {
    if (!identity_of(path)) return {};
    return std::string{trim(read_small_file(path, {64u << 10}))};
}

void FileLock::write_note(std::string_view note) {
    // In place: a rename would put another file, without the lock, under the name.
    if (::ftruncate(file_.get(), 0) != 0) throw_errno("write '" + path_.string() + "'", errno);
    std::size_t written = 0;
    while (written < note.size()) {
        const ssize_t count =
            ::pwrite(file_.get(), note.data() + written, note.size() - written, static_cast<off_t>(written));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) throw_errno("write '" + path_.string() + "'", errno);
        written += static_cast<std::size_t>(count);
    }
}

}  // namespace lifeboat
