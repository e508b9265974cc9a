#include "world/file_descriptor.h"

#include <unistd.h>

namespace lifeboat {

void FileDescriptor::reset() {
    if (number_ >= 0) ::close(std::exchange(number_, -1));
}

}  // namespace lifeboat
