#include "support/sshd.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/small_server.h"

namespace lifeboat::test {

namespace {

int run(const std::vector<std::string>& arguments, const std::vector<std::string>& more_environment,
        const std::filesystem::path& output) {
    std::vector<char*> argv;
    for (const std::string& each : arguments)
        argv.push_back(const_cast<char*>(each.c_str()));
    argv.push_back(nullptr);
    std::vector<std::string> variables{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                       "LANG=C.UTF-8"};
    variables.insert(variables.end(), more_environment.begin(), more_environment.end());
    std::vector<char*> envp;
    for (const std::string& each : variables)
        envp.push_back(const_cast<char*>(each.c_str()));
    envp.push_back(nullptr);
    posix_spawn_file_actions_t files;
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_addopen(&files, 1, output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::posix_spawn_file_actions_adddup2(&files, 1, 2);
    pid_t pid = -1;
    const int failure = ::posix_spawnp(&pid, argv[0], &files, nullptr, argv.data(), envp.data());
    ::posix_spawn_file_actions_destroy(&files);
    if (failure != 0) throw std::runtime_error("cannot start " + arguments.front());
    return pid;
}

void run_to_end(const std::vector<std::string>& arguments, const std::filesystem::path& output) {
    const int pid = run(arguments, {}, output);
    int status = 0;
    ::waitpid(pid, &status, 0);
    if (status != 0) throw std::runtime_error(arguments.front() + " failed: " + read_text(output));
}

bool answers(int port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool connected = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    return connected;
}

// Its children and theirs: sshd gives each connection a session of its own.
std::vector<int> descendants(int pid) {
    std::vector<int> all;
    std::ifstream children("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children");
    for (int child = 0; children >> child;) {
        all.push_back(child);
        for (const int below : descendants(child))
            all.push_back(below);
    }
    return all;
}

}  // namespace

std::string Sshd::missing() {
    if (::access("/usr/sbin/sshd", X_OK) != 0) return "openssh-server is not installed";
    return {};
}

Sshd::Sshd(const SshdWish& wish) : types_(wish.host_keys), port_(closed_port()) {
    const passwd* const entry = ::getpwuid(::geteuid());
    user_ = entry == nullptr ? "root" : entry->pw_name;
    std::filesystem::create_directory(home());
    pid_ =
        run({"/bin/sh", LIFEBOAT_SOURCE_DIR "/tests/servers/sshd.sh", folder_.path().string(), std::to_string(port_)},
            {"HOST_KEYS=" + wish.host_keys, "USER_KEYS=" + wish.user_keys, "PASSWORD=" + wish.password,
             "SSHD_CONFIG=" + wish.config},
            folder_ / "log");
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!answers(port_)) {
        if (::waitpid(pid_, nullptr, WNOHANG) != 0) {
            pid_ = -1;
            throw std::runtime_error("sshd did not start: " + log());
        }
        if (std::chrono::steady_clock::now() > until) throw std::runtime_error("sshd does not listen: " + log());
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

Sshd::~Sshd() {
    if (pid_ <= 0) return;
    signal_all(SIGKILL);
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
}

std::string Sshd::host_key(const std::string& type) const {
    std::istringstream words(read_text(folder_ / ("host_" + type + ".pub")));
    std::string name;
    std::string key;
    words >> name >> key;
    return name + " " + key;
}

std::string Sshd::fingerprint(const std::string& type) const {
    const std::filesystem::path output = folder_ / ("fingerprint_" + type);
    std::filesystem::remove(output);
    run_to_end({"ssh-keygen", "-lf", (folder_ / ("host_" + type + ".pub")).string()}, output);
    std::istringstream words(read_text(output));
    std::string bits;
    std::string fingerprint;
    words >> bits >> fingerprint;
    return fingerprint;
}

std::string Sshd::name() const {
    return "[" + std::string(host) + "]:" + std::to_string(port_);
}

std::filesystem::path Sshd::known_hosts() const {
    std::string text;
    std::istringstream types(types_);
    for (std::string type; types >> type;)
        text += name() + " " + host_key(type) + "\n";
    write_text(folder_ / "known_hosts", text);
    return folder_ / "known_hosts";
}

std::string Sshd::log() const {
    return read_text(folder_ / "log");
}

void Sshd::signal_all(int signal) const {
    for (const int each : descendants(pid_))
        ::kill(each, signal);
}

void Sshd::pause() const {
    ::kill(pid_, SIGSTOP);
    signal_all(SIGSTOP);
}

void Sshd::resume() const {
    signal_all(SIGCONT);
    ::kill(pid_, SIGCONT);
}

void Sshd::cut() const {
    signal_all(SIGKILL);
}

std::size_t Sshd::connections() const {
    return descendants(pid_).size();
}

void hash_known_hosts(const std::filesystem::path& file) {
    run_to_end({"ssh-keygen", "-q", "-H", "-f", file.string()}, file.string() + ".log");
    std::filesystem::remove(file.string() + ".old");
}

}  // namespace lifeboat::test
