#include "world/process_pipe.h"

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"

namespace lifeboat {

FileDescriptor hold_fd(int fd, std::string_view tried) {
    if (fd < 0) throw_errno(tried, errno);
    FileDescriptor held(fd);
    if (fd > STDERR_FILENO) return held;
    const int higher = ::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (higher < 0) throw_errno(tried, errno);
    return FileDescriptor(higher);
}

Pipe make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("make a pipe", errno);
    FileDescriptor write(ends[1]);
    FileDescriptor read = hold_fd(ends[0], "make a pipe");
    return {std::move(read), hold_fd(write.release(), "make a pipe")};
}

}  // namespace lifeboat
