#include "support/test_server.h"

#include <array>
#include <random>
#include <stdexcept>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace lifeboat::test {

namespace {

constexpr int ports_per_server = 20;

struct Pipe {
    int read = -1;
    int write = -1;
};

Pipe new_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("cannot make a pipe");
    return {ends[0], ends[1]};
}

std::string path_of(const std::string& script) {
    return std::string(LIFEBOAT_SOURCE_DIR) + "/tests/servers/" + script;
}

struct Started {
    pid_t pid = -1;
    int standard_input = -1;
    int standard_output = -1;
};

Started start(std::vector<std::string> arguments, const std::map<std::string, std::string>& variables) {
    std::vector<std::string> environment;
    for (char** entry = environ; *entry != nullptr; ++entry)
        environment.emplace_back(*entry);
    for (const auto& [name, value] : variables)
        environment.push_back(name + "=" + value);
    const auto pointers = [](std::vector<std::string>& texts) {
        std::vector<char*> all;
        for (std::string& text : texts)
            all.push_back(text.data());
        all.push_back(nullptr);
        return all;
    };
    const Pipe in = new_pipe();
    const Pipe out = new_pipe();
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_adddup2(&actions, in.read, 0);
    ::posix_spawn_file_actions_adddup2(&actions, out.write, 1);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    ::posix_spawnattr_setpgroup(&attributes, 0);
    pid_t pid = -1;
    const int failed = ::posix_spawn(&pid, arguments[0].c_str(), &actions, &attributes, pointers(arguments).data(),
                                     pointers(environment).data());
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
    ::close(in.read);
    ::close(out.write);
    if (failed != 0) throw std::runtime_error("cannot start " + arguments[0]);
    return {pid, in.write, out.read};
}

// Reads to the end, or to the line `ready`; false after a minute.
bool read_lines(int fd, std::string& text, bool to_ready) {
    std::array<char, 4096> chunk{};
    for (;;) {
        if (to_ready && (text.ends_with("\nready\n") || text == "ready\n")) return true;
        pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
        if (::poll(&waiting, 1, 60'000) <= 0) return false;
        const ssize_t count = ::read(fd, chunk.data(), chunk.size());
        if (count <= 0) return !to_ready;
        text.append(chunk.data(), static_cast<std::size_t>(count));
    }
}

}  // namespace

std::string TestServer::missing(const std::string& script) {
    const Started asked = start({path_of(script), "--missing"}, {});
    std::string text;
    read_lines(asked.standard_output, text, false);
    ::close(asked.standard_output);
    ::close(asked.standard_input);
    ::waitpid(asked.pid, nullptr, 0);
    while (text.ends_with('\n'))
        text.pop_back();
    return text;
}

TestServer::TestServer(const std::string& script, const std::map<std::string, std::string>& variables) {
    const Started started =
        start({path_of(script), folder_.path().string(), std::to_string(free_ports(ports_per_server))}, variables);
    group_ = started.pid;
    standard_input_ = started.standard_input;
    std::string text;
    const bool ready = read_lines(started.standard_output, text, true);
    ::close(started.standard_output);
    if (!ready) {
        const std::string said = std::filesystem::exists(folder_ / "out.txt") ? read_text(folder_ / "out.txt") : "";
        ::kill(-group_, SIGKILL);
        ::waitpid(group_, nullptr, 0);
        ::close(standard_input_);
        throw std::runtime_error(script + " did not start: " + said);
    }
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = text.find('\n', begin);
        const std::string line = text.substr(begin, end - begin);
        if (const std::size_t equals = line.find('='); equals != std::string::npos)
            values_[line.substr(0, equals)] = line.substr(equals + 1);
        begin = end + 1;
    }
}

TestServer::~TestServer() {
    ::kill(-group_, SIGKILL);
    ::waitpid(group_, nullptr, 0);
    ::close(standard_input_);
}

const std::string& TestServer::operator[](const std::string& name) const {
    const auto found = values_.find(name);
    if (found == values_.end()) throw std::runtime_error("the server did not say its " + name);
    return found->second;
}

int free_ports(int count) {
    const auto is_free = [](int port) {
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const bool bound = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
        ::close(fd);
        return bound;
    };
    // below the ports that the system gives out by itself
    std::mt19937 random{std::random_device{}()};
    for (int attempt = 0; attempt < 200; ++attempt) {
        const int first = std::uniform_int_distribution(15000, 31000)(random);
        int found = 0;
        while (found < count && is_free(first + found))
            ++found;
        if (found == count) return first;
    }
    throw std::runtime_error("no free ports");
}

}  // namespace lifeboat::test
