#include "world/ssh_program.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "world/files.h"
#include "world/process.h"
#include "world/process_pipe.h"
#include "world/process_program.h"
#include "world/process_spawn.h"
#include "world/process_stream.h"
#include "world/socket_wait.h"
#include "world/ssh_host_keys.h"

namespace lifeboat {

namespace {

using std::chrono::milliseconds;

constexpr int pipe_size = 1 << 20;
constexpr Bytes kept_errors{16u << 10};
// For the last words of a client whose output has ended.
constexpr Duration ending_time = std::chrono::seconds(2);

SteadyTime steady_now() {
    return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
}

std::string shell_quoted(const std::string& text) {
    std::string quoted = "'";
    for (const char letter : text) {
        if (letter == '\'') {
            quoted += "'\\''";
        } else {
            quoted += letter;
        }
    }
    return quoted + "'";
}

void write_script(const std::filesystem::path& path, const std::string& text) {
    write_durably(path, "#!/bin/sh\n" + text, 0700);
}

// A folder of this user alone, with a program that answers the client's questions for a secret. The secrets themselves
// are in pipes: nothing of them is ever on a disk, in an argument or in an environment.
class SecretAnswers {
  public:
    explicit SecretAnswers(const SshTarget& target) : folder_(std::filesystem::temp_directory_path()) {
        std::string cases;
        // by the exact question: a jump host's client asks through the same program and gets nothing
        if (!target.passphrase.empty()) {
            cases += shell_quoted("Enter passphrase for key '" + target.key_file.string() + "': ") +
                     ") from=" + shell_quoted(hold("passphrase", target.passphrase)) + ";;\n";
        }
        if (!target.password.empty()) {
            const std::string from = shell_quoted(hold("password", target.password));
            cases += shell_quoted(target.user.substr(0, 30) + "@" + target.host.substr(0, 128) + "'s password: ") +
                     ") from=" + from + ";;\n";
            cases += shell_quoted("(" + target.user + "@" + target.host + ") ") + "*) from=" + from + ";;\n";
        }
        write_script(program(),
                     "case \"$1\" in\n" + cases +
                         "*) exit 1;;\nesac\nIFS= read -r secret < \"$from\" && printf '%s\\n' \"$secret\"\n");
    }

    std::filesystem::path program() const { return folder_.path() / "askpass"; }

  private:
    // The client may ask more than once: for a password by two methods.
    static constexpr int times = 4;

    std::string hold(const char* name, const Secret& secret) {
        const std::filesystem::path path = folder_.path() / name;
        if (::mkfifo(path.c_str(), 0600) != 0) throw_errno("make the pipe '" + path.string() + "'", errno);
        FileDescriptor pipe =
            hold_fd(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC), "open the pipe '" + path.string() + "'");
        const std::string line = secret.reveal() + "\n";
        for (int i = 0; i < times; ++i) {
            if (::write(pipe.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()))
                throw Error{ErrorCode::limit_exceeded, "the secret for '" + std::string(name) + "' is too long"};
        }
        pipes_.push_back(std::move(pipe));
        return path.string();
    }

    PrivateDirectory folder_;
    std::vector<FileDescriptor> pipes_;
};

// A folder with a program that writes down which host keys the client was shown, and trusts none.
class KeyRecorder {
  public:
    KeyRecorder() : folder_(std::filesystem::temp_directory_path()) {
        write_script(folder_.path() / "record", "[ \"$2\" = NONE ] || printf '%s %s %s\\n' \"$1\" \"$2\" \"$3\" >> " +
                                                    shell_quoted(shown_file().string()) + "\nexit 0\n");
    }

    // For KnownHostsCommand.
    std::string command() const { return "/bin/sh \"" + (folder_.path() / "record").string() + "\" %H %t %K"; }

    // "host type base64"
    std::vector<std::string> shown_lines() const {
        std::error_code ignored;
        if (!std::filesystem::exists(shown_file(), ignored)) return {};
        std::vector<std::string> lines = split(read_small_file(shown_file()), '\n');
        lines.erase(std::remove(lines.begin(), lines.end(), ""), lines.end());
        lines.erase(std::unique(lines.begin(), lines.end()), lines.end());
        return lines;
    }

  private:
    std::filesystem::path shown_file() const { return folder_.path() / "shown"; }

    PrivateDirectory folder_;
};

struct ClientOptions {
    std::filesystem::path known_hosts;  // instead of the target's
    std::string known_hosts_command;
    std::string host_key_algorithms;
    std::filesystem::path askpass;
};

Command client(const SshTarget& target, const ClientOptions& options) {
    Command command;
    const auto find = find_program("ssh");
    if (!find) throw Error{ErrorCode::program_missing, "there is no program 'ssh' in PATH"};
    std::vector<std::string>& argv = command.argv;
    argv = {find->string(), "-F", target.ssh_config.empty() ? "none" : target.ssh_config.string()};
    const auto set = [&argv](const std::string& option) {
        argv.push_back("-o");
        argv.push_back(option);
    };
    const auto set_path = [&set](const std::string& option, const std::filesystem::path& path) {
        // '%' begins what the client expands
        std::string text;
        for (const char letter : path.string())
            text += letter == '%'                     ? "%%"
                    : letter == '"' || letter == '\\' ? std::string{'\\', letter}
                                                      : std::string{letter};
        set(option + "=\"" + text + "\"");
    };

    set("StrictHostKeyChecking=yes");
    set("UpdateHostKeys=no");
    set("VerifyHostKeyDNS=no");
    const std::filesystem::path& known_hosts = options.known_hosts.empty() ? target.known_hosts : options.known_hosts;
    if (!known_hosts.empty()) {
        set_path("UserKnownHostsFile", known_hosts);
        set("GlobalKnownHostsFile=/dev/null");
    }
    if (!options.known_hosts_command.empty()) set("KnownHostsCommand=" + options.known_hosts_command);
    if (!options.host_key_algorithms.empty()) set("HostKeyAlgorithms=" + options.host_key_algorithms);

    set(options.askpass.empty() ? "BatchMode=yes" : "BatchMode=no");
    set("NumberOfPasswordPrompts=1");
    if (!target.key_file.empty()) {
        set_path("IdentityFile", target.key_file);
        set("IdentitiesOnly=yes");
    }
    if (!target.agent) set("IdentityAgent=none");
    if (target.ssh_config.empty()) {
        std::string methods = "publickey";
        if (!target.password.empty()) methods += ",password,keyboard-interactive";
        if (target.key_file.empty() && !target.agent && !target.password.empty())
            methods = "password,keyboard-interactive";
        set("PreferredAuthentications=" + methods);
    }
    set("GSSAPIAuthentication=no");

    // half the work of the default where the processor helps
    set("Ciphers=^aes128-gcm@openssh.com,aes256-gcm@openssh.com");
    set("Compression=no");
    // every connection is one of its own: channels of a shared one would share its window
    set("ControlMaster=no");
    set("ControlPath=none");
    set("ForwardAgent=no");
    set("ForwardX11=no");
    set("ClearAllForwardings=yes");
    set("PermitLocalCommand=no");
    set("RequestTTY=no");
    set("EscapeChar=none");
    set("LogLevel=INFO");  // below, it keeps to itself why the two sides cannot agree
    set("ServerAliveInterval=15");
    set("ServerAliveCountMax=4");
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(target.connect_timeout).count();
    set("ConnectTimeout=" + std::to_string(std::clamp<long long>(seconds, 1, 3600)));

    if (!target.user.empty()) argv.insert(argv.end(), {"-l", target.user});
    if (target.port != 0) argv.insert(argv.end(), {"-p", std::to_string(target.port)});
    argv.insert(argv.end(), {"-s", "--", target.host, "sftp"});

    command.environment = clean_environment();
    if (target.agent) {
        if (const char* const agent = std::getenv("SSH_AUTH_SOCK")) command.environment["SSH_AUTH_SOCK"] = agent;
    }
    if (!options.askpass.empty()) {
        command.environment["SSH_ASKPASS"] = options.askpass.string();
        command.environment["SSH_ASKPASS_REQUIRE"] = "force";
    }
    return command;
}

struct ShownKeys {
    std::vector<std::string> lines;  // of a known_hosts file
    std::vector<HostKey> keys;
    std::string errors;  // of the client
};

// Connects once without trusting anything: what the host shows.
ShownKeys look_at_host_key(const SshTarget& target, const std::string& host_key_algorithms,
                           const WorkControl& control) {
    const KeyRecorder recorder;
    SshTarget bare = target;
    bare.passphrase = {};
    bare.password = {};
    Command command = client(bare, {.known_hosts = "/dev/null",
                                    .known_hosts_command = recorder.command(),
                                    .host_key_algorithms = host_key_algorithms,
                                    .askpass = {}});
    command.grace = std::chrono::seconds(1);
    const ChildResult result = run_child(command, {.stop = control.stop, .deadline = control.deadline, .started = {}});
    control.check();
    ShownKeys shown{.lines = recorder.shown_lines(), .keys = {}, .errors = result.errors};
    for (const std::string& line : shown.lines) {
        const std::vector<std::string> fields = split(line, ' ');
        if (fields.size() == 3) shown.keys.push_back(host_key_of_text(fields[1], fields[2]));
    }
    return shown;
}

// The algorithms that sign with keys of this type, as a pattern for HostKeyAlgorithms.
std::string algorithms_of(const std::string& type) {
    if (type == "ssh-rsa") return "rsa-sha2-*,ssh-rsa*";
    if (type.starts_with("ecdsa-")) return "ecdsa-*";
    return type + "*";
}

std::string after(std::string_view text, std::string_view mark, std::string_view end) {
    const std::size_t at = text.find(mark);
    if (at == std::string_view::npos) return {};
    text.remove_prefix(at + mark.size());
    return std::string(text.substr(0, text.find_first_of(end)));
}

std::string last_lines(std::string_view errors) {
    std::vector<std::string> lines;
    for (const std::string& line : split(trim(errors), '\n')) {
        if (!trim(line).empty()) lines.push_back(printable(trim(line)));
    }
    if (lines.size() > 3) lines.erase(lines.begin(), lines.end() - 3);
    return join(lines, "; ");
}

// The key in a line of a file that the client found fault with.
std::vector<KnownHostKey> offending_key(std::string_view errors) {
    const std::string place = after(errors, " key in ", "\r\n");
    const std::size_t colon = place.rfind(':');
    if (colon == std::string::npos) return {};
    std::ifstream file(place.substr(0, colon));
    std::string line;
    const std::size_t wanted = std::strtoul(place.c_str() + colon + 1, nullptr, 10);
    for (std::size_t number = 1; number <= wanted && std::getline(file, line); ++number) {
        if (number != wanted) continue;
        const std::vector<std::string> fields = split(trim(line), ' ');
        if (fields.size() < 3) return {};
        return {KnownHostKey{.key = host_key_of_text(fields[1], fields[2]), .line = number}};
    }
    return {};
}

Error explain(const SshTarget& target, const std::string& errors) {
    const std::string words = last_lines(errors);
    const SshFailure failure = failure_in(errors);
    switch (failure) {
        case SshFailure::host_key_changed:
        case SshFailure::host_key_unknown:
        case SshFailure::host_key_revoked: {
            const WorkControl control{.stop = {}, .deadline = steady_now() + std::chrono::seconds(10), .moved = {}};
            HostKey shown{.type = {}, .fingerprint = {}};
            try {
                const ShownKeys seen = look_at_host_key(target, {}, control);
                if (!seen.keys.empty()) shown = seen.keys.front();
            } catch (const Error&) {
                // the message then goes without it
            }
            std::vector<KnownHostKey> known;
            std::error_code ignored;
            if (!target.known_hosts.empty() && std::filesystem::exists(target.known_hosts, ignored))
                known = known_host_keys(read_known_hosts(target.known_hosts), target.host, target.port);
            if (known.empty()) known = offending_key(errors);
            // the client calls a key of another type a changed one
            HostKeyVerdict verdict = judge_host_key(known, shown);
            if (failure == SshFailure::host_key_revoked) verdict = HostKeyVerdict::revoked;
            if (verdict == HostKeyVerdict::trusted || (verdict == HostKeyVerdict::unknown && !known.empty()))
                verdict = failure == SshFailure::host_key_changed ? HostKeyVerdict::changed : HostKeyVerdict::unknown;
            return host_key_error(target, verdict, known, shown);
        }
        case SshFailure::no_common_algorithm:
            return ssh_error(ErrorCode::unsupported, target, "no_common_algorithm",
                             "the two sides have no algorithm in common: " + words,
                             "Compare what the server allows with 'ssh -Q' here; an ssh_config can allow more.");
        case SshFailure::authentication_failed:
            return ssh_error(ErrorCode::denied, target, "authentication_failed", "the login was refused: " + words,
                             "Check user, key and passphrase or password, and that the server knows the public key.");
        case SshFailure::no_sftp:
            return ssh_error(ErrorCode::unsupported, target, "no_sftp", "it does not serve SFTP: " + words,
                             "The server's sshd_config needs a line 'Subsystem sftp internal-sftp'.");
        case SshFailure::unreachable:
            break;
    }
    return ssh_error(ErrorCode::unreachable, target, "unreachable",
                     words.empty() ? "the client ended without a word" : words);
}

class ProgramDuplex final : public ByteDuplex {
  public:
    ProgramDuplex(const SshTarget& target, const std::string& pinned_keys) : target_(target) {
        ClientOptions options;
        if (!target.passphrase.empty() || !target.password.empty()) {
            answers_.emplace(target);
            options.askpass = answers_->program();
        }
        if (!target.fingerprints.empty()) {
            pinned_.emplace(std::filesystem::temp_directory_path());
            options.known_hosts = pinned_->path() / "known_hosts";
            write_durably(options.known_hosts, pinned_keys);
        }
        const Command command = client(target, options);
        const ProgramPlace place = find_command(command);

        int ends[2];
        // a socket: writing to one that is closed can be told not to raise SIGPIPE
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) throw_errno("make a socket pair", errno);
        FileDescriptor theirs(ends[1]);
        to_client_ = hold_fd(ends[0], "make a socket pair");
        theirs = hold_fd(theirs.release(), "make a socket pair");
        ::setsockopt(to_client_.get(), SOL_SOCKET, SO_SNDBUF, &pipe_size, sizeof pipe_size);
        Pipe output = make_pipe();
        ::fcntl(output.read.get(), F_SETPIPE_SZ, pipe_size);
        Pipe errors = make_pipe();
        child_ = std::make_unique<GatedChild>(SpawnRequest{.program = place.program.string(),
                                                           .argv = command.argv,
                                                           .environment = command.environment,
                                                           .folder = place.folder.string(),
                                                           .input = theirs.get(),
                                                           .output = output.write.get(),
                                                           .errors = errors.write.get()});
        from_client_ = std::move(output.read);
        errors_ = std::move(errors.read);
        for (const FileDescriptor* each : {&to_client_, &from_client_, &errors_})
            ::fcntl(each->get(), F_SETFL, O_NONBLOCK);
        ready_ = hold_fd(::epoll_create1(EPOLL_CLOEXEC), "make an epoll descriptor");
        watch(EPOLL_CTL_ADD, from_client_, EPOLLIN);
        watch(EPOLL_CTL_ADD, errors_, EPOLLIN);
        watch(EPOLL_CTL_ADD, to_client_, 0);
        child_->open_gate();
    }

    MovedBytes move(std::span<const std::byte> out, std::span<std::byte> in, const std::stop_token& stop,
                    SteadyTime deadline) override {
        for (;;) {
            MovedBytes moved;
            if (!out.empty()) moved.sent = send(out);
            if (!in.empty()) moved.received = receive(in);
            if (moved.sent > 0 || moved.received > 0) return moved;
            watch(EPOLL_CTL_MOD, to_client_, out.empty() ? 0u : EPOLLOUT);
            switch (wait_for_socket(ready_.get(), POLLIN, stop, deadline)) {
                case Wake::ready:
                    break;
                case Wake::stopped:
                    throw Error{ErrorCode::cancelled, "the transfer was stopped"};
                case Wake::deadline:
                    return {};
            }
            if (errors_ && !read_errors()) {
                ::epoll_ctl(ready_.get(), EPOLL_CTL_DEL, errors_.get(), nullptr);
                errors_.reset();
            }
        }
    }

  private:
    void watch(int change, const FileDescriptor& fd, std::uint32_t events) const {
        epoll_event event{};
        event.events = events;
        if (::epoll_ctl(ready_.get(), change, fd.get(), &event) != 0) throw_errno("watch a child's streams", errno);
    }

    std::size_t send(std::span<const std::byte> out) {
        const ssize_t count = ::send(to_client_.get(), out.data(), out.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count >= 0) return static_cast<std::size_t>(count);
        if (errno == EAGAIN || errno == EINTR) return 0;
        fail();
    }

    std::size_t receive(std::span<std::byte> in) {
        const ssize_t count = ::read(from_client_.get(), in.data(), in.size());
        if (count == 0) fail();
        if (count < 0) {
            if (errno == EAGAIN || errno == EINTR) return 0;
            fail();
        }
        if (!heard_) {
            heard_ = true;
            answers_.reset();
            pinned_.reset();
        }
        return static_cast<std::size_t>(count);
    }

    // False at the end.
    bool read_errors() {
        std::array<char, 4096> block;
        for (;;) {
            const ssize_t count = ::read(errors_.get(), block.data(), block.size());
            if (count > 0) {
                said_.take(std::string_view(block.data(), static_cast<std::size_t>(count)));
            } else {
                return count < 0 && (errno == EAGAIN || errno == EINTR);
            }
        }
    }

    // The client has ended or closed its streams: why?
    [[noreturn]] void fail() {
        const SteadyTime until = steady_now() + ending_time;
        while (errors_ && read_errors()) {
            if (wait_for_socket(errors_.get(), POLLIN, {}, until) != Wake::ready) break;
        }
        if (!heard_) throw explain(target_, said_.tail());
        const std::string words = last_lines(said_.tail());
        throw Error{ErrorCode::connection_lost,
                    to_text(target_) + ": the connection broke" + (words.empty() ? "" : ": " + words)};
    }

    SshTarget target_;
    std::optional<SecretAnswers> answers_;
    std::optional<PrivateDirectory> pinned_;
    FileDescriptor to_client_;
    FileDescriptor from_client_;
    FileDescriptor errors_;
    FileDescriptor ready_;
    ProcessStream said_{kept_errors, {}};
    bool heard_ = false;
    std::unique_ptr<GatedChild> child_;  // last: killed before anything of the above goes
};

}  // namespace

SshFailure failure_in(std::string_view client_errors) {
    struct Sign {
        std::string_view text;
        SshFailure meaning;
    };
    static constexpr std::array signs{
        Sign{"REVOKED HOST KEY DETECTED", SshFailure::host_key_revoked},
        Sign{"is marked as revoked", SshFailure::host_key_revoked},
        Sign{"REMOTE HOST IDENTIFICATION HAS CHANGED", SshFailure::host_key_changed},
        Sign{" host key is known for ", SshFailure::host_key_unknown},
        Sign{"Host key verification failed", SshFailure::host_key_unknown},
        Sign{"no matching ", SshFailure::no_common_algorithm},
        Sign{"Permission denied (", SshFailure::authentication_failed},
        Sign{"Too many authentication failures", SshFailure::authentication_failed},
        Sign{"subsystem request failed", SshFailure::no_sftp},
    };
    for (const Sign& sign : signs) {
        if (client_errors.find(sign.text) != std::string_view::npos) return sign.meaning;
    }
    return SshFailure::unreachable;
}

std::string find_pinned_host_keys(const SshTarget& target, const WorkControl& control) {
    std::vector<HostKey> shown;
    std::string excluded;
    // Which type the pinned key has is not known: each type that the host has is looked at.
    constexpr int most_types = 8;
    for (int i = 0; i < most_types; ++i) {
        const ShownKeys seen = look_at_host_key(target, excluded, control);
        if (seen.keys.empty()) {
            if (shown.empty()) throw explain(target, seen.errors);
            break;
        }
        for (std::size_t each = 0; each < seen.keys.size(); ++each) {
            const HostKey& key = seen.keys[each];
            if (std::find(target.fingerprints.begin(), target.fingerprints.end(), key.fingerprint) !=
                target.fingerprints.end())
                return seen.lines[each] + "\n";
            shown.push_back(key);
            excluded += (excluded.empty() ? "-" : ",") + algorithms_of(key.type);
        }
    }
    throw fingerprint_error(target, shown);
}

std::unique_ptr<ByteDuplex> open_ssh_program(const SshTarget& target, const std::string& pinned_keys) {
    return std::make_unique<ProgramDuplex>(target, pinned_keys);
}

}  // namespace lifeboat
