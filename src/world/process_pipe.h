// Descriptors for a child's streams: close-on-exec and never 0, 1 or 2, so that they can be put in place in any order.
#pragma once

#include <string_view>

#include "world/file_descriptor.h"

namespace lifeboat {

// `fd` is the result of a call that makes one: throws throw_errno(tried) when it is negative.
FileDescriptor hold_fd(int fd, std::string_view tried);

struct Pipe {
    FileDescriptor read;
    FileDescriptor write;
};
Pipe make_pipe();

}  // namespace lifeboat
