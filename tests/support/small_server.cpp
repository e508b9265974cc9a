#include "support/small_server.h"

#include <array>
#include <stdexcept>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace lifeboat::test {

namespace {

int listen_on_loopback(int& port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd, 64) != 0 ||
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        throw std::runtime_error("cannot listen on 127.0.0.1");
    }
    port = ntohs(address.sin_port);
    return fd;
}

bool is_complete(const std::string& request) {
    // no HTTP at all, like the first bytes of TLS
    if (!request.empty() && (request[0] < 'A' || request[0] > 'Z')) return true;
    const std::size_t head = request.find("\r\n\r\n");
    if (head == std::string::npos) return false;
    const std::size_t length = request.find("Content-Length: ");
    const std::size_t body = length < head ? std::stoul(request.substr(length + 16)) : 0;
    return request.size() >= head + 4 + body;
}

}  // namespace

SmallServer::SmallServer(Handler handler) : handler_(std::move(handler)), listener_(listen_on_loopback(port_)) {
    thread_ = std::thread([this] { serve(); });
}

SmallServer::~SmallServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
    for (const int connection : hanging_)
        ::close(connection);
}

std::string SmallServer::url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
}

std::vector<std::string> SmallServer::requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
}

void SmallServer::serve() {
    for (;;) {
        const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (connection < 0) return;
        answer(connection);
    }
}

void SmallServer::answer(int connection) {
    std::string request;
    std::array<char, 4096> chunk{};
    while (!is_complete(request)) {
        const ssize_t count = ::recv(connection, chunk.data(), chunk.size(), 0);
        if (count <= 0) break;
        request.append(chunk.data(), static_cast<std::size_t>(count));
    }
    if (!request.empty()) {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
    }
    const std::string response = request.empty() ? std::string("-") : handler_(request);
    if (response.empty()) {
        hanging_.push_back(connection);
        return;
    }
    std::size_t sent = 0;
    while (!request.empty() && sent < response.size()) {
        const ssize_t count = ::send(connection, response.data() + sent, response.size() - sent, MSG_NOSIGNAL);
        if (count <= 0) break;
        sent += static_cast<std::size_t>(count);
    }
    ::close(connection);
}

std::string http_answer(int status, const std::string& body, const std::string& more_headers) {
    return "HTTP/1.1 " + std::to_string(status) + " Status\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\nConnection: close\r\n" + more_headers + "\r\n" + body;
}

int closed_port() {
    int port = 0;
    ::close(listen_on_loopback(port));
    return port;
}

}  // namespace lifeboat::test
