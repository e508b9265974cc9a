#include "drill/loopback.h"

#include <cerrno>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/error.h"
#include "world/file_descriptor.h"

namespace lifeboat {

int free_loopback_port() {
    const FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    // the socket interface is older than types of its own for each family
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    if (!socket || ::bind(socket.get(), plain, length) != 0 || ::getsockname(socket.get(), plain, &length) != 0)
        throw_errno("find a free port of 127.0.0.1", errno);
    return ntohs(address.sin_port);
}

}  // namespace lifeboat
