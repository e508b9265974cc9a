// Both transports against a real sshd.
#include "world/ssh.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/sshd.h"
#include "support/unwatched.h"
#include "world/process.h"
#include "world/sftp_protocol.h"

using namespace lifeboat;
using namespace lifeboat::test;
using std::chrono::seconds;

namespace {

// Runs the rest of the test only where there is an sshd.
#define NEEDS_SSHD()                                                     \
    if (const std::string missing = Sshd::missing(); !missing.empty()) { \
        WARN("SKIPPED: " << missing);                                    \
        return;                                                          \
    }

constexpr SshTransport both[] = {SshTransport::program, SshTransport::library};

const char* name_of(SshTransport transport) {
    return transport == SshTransport::program ? "program" : "library";
}

SshTarget target_of(const Sshd& sshd) {
    SshTarget target;
    target.host = Sshd::host;
    target.port = sshd.port();
    target.user = sshd.user();
    target.key_file = sshd.user_key();
    target.known_hosts = sshd.known_hosts();
    return target;
}

WorkControl within(Duration time) {
    return {.stop = {},
            .deadline = std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now() + time),
            .moved = {}};
}

// Connects and asks the server something; "" when that works, else what details {ssh} say.
Error attempt(const SshTarget& target, SshTransport transport) {
    try {
        SshDoor door(target, transport);
        SftpClient client(door.open_sftp(within(seconds(60))), {}, within(seconds(60)));
        if (!client.lstat("/", {})) return Error{ErrorCode::internal, "there is no root"};
    } catch (const Error& error) {
        return error;
    }
    return Error{ErrorCode::usage, "works"};
}

std::string outcome(const Error& error) {
    if (error.code == ErrorCode::usage) return "works";
    return error.details.contains("ssh") ? error.details["ssh"].get<std::string>() : "error: " + error.full_message();
}

}  // namespace

TEST_CASE("R31 every type of host key against right, wrong, absent and other-type entries") {
    NEEDS_SSHD();
    const Sshd stranger({.host_keys = "ed25519 ecdsa rsa"});
    for (const std::string& type : {std::string("ed25519"), std::string("ecdsa"), std::string("rsa")}) {
        const Sshd sshd({.host_keys = type});
        const std::string other = type == "ecdsa" ? "ed25519" : "ecdsa";
        const std::string right = sshd.name() + " " + sshd.host_key(type) + "\n";
        const std::string wrong = sshd.name() + " " + stranger.host_key(type) + "\n";
        const std::string other_type = sshd.name() + " " + stranger.host_key(other) + "\n";
        for (const SshTransport transport : both) {
            for (const bool hashed : {false, true}) {
                CAPTURE(type, name_of(transport), hashed);
                SshTarget target = target_of(sshd);
                target.known_hosts = sshd.folder() / "entries";
                const auto with = [&](const std::string& text) {
                    write_text(target.known_hosts, text);
                    if (hashed && !text.empty()) hash_known_hosts(target.known_hosts);
                    return attempt(target, transport);
                };
                // this libssh2 has no RSA signatures that a server of today gives
                if (type == "rsa" && transport == SshTransport::library) {
                    const Error error = with(right);
                    CHECK(outcome(error) == "no_common_algorithm");
                    CHECK(error.code == ErrorCode::unsupported);
                    CHECK(error.hint.find("transport 'program'") != std::string::npos);
                    continue;
                }
                CHECK(outcome(with(right)) == "works");
                CHECK(outcome(with(other_type + right)) == "works");

                const Error changed = with(wrong);
                CHECK(outcome(changed) == "host_key_changed");
                CHECK(changed.code == ErrorCode::denied);
                CHECK(changed.message.find(sshd.fingerprint(type)) != std::string::npos);
                CHECK(changed.message.find(stranger.fingerprint(type)) != std::string::npos);

                const Error unknown = with("");
                CHECK(outcome(unknown) == "host_key_unknown");
                CHECK(unknown.message.find(sshd.fingerprint(type)) != std::string::npos);

                const Error another = with(other_type);
                CHECK(outcome(another) == "host_key_other_type");
                CHECK(another.message.find(sshd.fingerprint(type)) != std::string::npos);
                CHECK(another.message.find(stranger.fingerprint(other)) != std::string::npos);

                CHECK(outcome(with("@revoked " + right)) == "host_key_revoked");
                // of another port
                CHECK(outcome(with("[127.0.0.1]:1 " + sshd.host_key(type) + "\n")) == "host_key_unknown");
            }
        }
    }
}

TEST_CASE("R31 of a server with several keys the known type is negotiated") {
    NEEDS_SSHD();
    const Sshd sshd({.host_keys = "ed25519 ecdsa rsa"});
    for (const SshTransport transport : both) {
        for (const std::string& type : {std::string("ed25519"), std::string("ecdsa"), std::string("rsa")}) {
            if (type == "rsa" && transport == SshTransport::library) continue;
            CAPTURE(type, name_of(transport));
            SshTarget target = target_of(sshd);
            target.known_hosts = sshd.folder() / "one";
            write_text(target.known_hosts, sshd.name() + " " + sshd.host_key(type) + "\n");
            CHECK(outcome(attempt(target, transport)) == "works");
        }
    }
}

TEST_CASE("R31 a pinned fingerprint is the only key that is trusted, of whatever type") {
    NEEDS_SSHD();
    const Sshd sshd({.host_keys = "ed25519 ecdsa rsa"});
    const Sshd stranger;
    for (const SshTransport transport : both) {
        for (const std::string& type : {std::string("ed25519"), std::string("ecdsa"), std::string("rsa")}) {
            if (type == "rsa" && transport == SshTransport::library) continue;
            CAPTURE(type, name_of(transport));
            SshTarget target = target_of(sshd);
            target.known_hosts.clear();
            target.fingerprints = {stranger.fingerprint(), sshd.fingerprint(type)};
            CHECK(outcome(attempt(target, transport)) == "works");
        }
        CAPTURE(name_of(transport));
        SshTarget target = target_of(sshd);
        target.fingerprints = {stranger.fingerprint()};
        const Error error = attempt(target, transport);
        CHECK(outcome(error) == "host_key_changed");
        CHECK(error.code == ErrorCode::denied);
        for (const char* type : {"ed25519", "ecdsa"})
            CHECK(error.message.find(sshd.fingerprint(type)) != std::string::npos);
        CHECK(error.message.find(stranger.fingerprint()) != std::string::npos);
    }
}

TEST_CASE("keys with and without a passphrase, and wrong ones") {
    const Unwatched unwatched;  // libssh2 loses two numbers of each key that it cannot open
    NEEDS_SSHD();
    const Sshd sshd({.user_keys = "ed25519 ecdsa rsa encrypted"});
    for (const SshTransport transport : both) {
        CAPTURE(name_of(transport));
        const auto with = [&](const std::string& key, const std::string& passphrase) {
            SshTarget target = target_of(sshd);
            target.key_file = sshd.user_key(key);
            target.passphrase = Secret(passphrase);
            return attempt(target, transport);
        };
        CHECK(outcome(with("ed25519", "")) == "works");
        CHECK(outcome(with("ecdsa", "")) == "works");
        CHECK(outcome(with("encrypted", "open sesame")) == "works");
        const Error wrong = with("encrypted", "wrong phrase here");
        CHECK(outcome(wrong) == "authentication_failed");
        CHECK(wrong.code == ErrorCode::denied);
        CHECK(wrong.full_message().find("wrong phrase here") == std::string::npos);
        CHECK(outcome(with("encrypted", "")) == "authentication_failed");
        if (transport == SshTransport::program) {
            CHECK(outcome(with("rsa", "")) == "works");
        } else {
            const Error rsa = with("rsa", "");
            CHECK(outcome(rsa) == "authentication_failed");
            CHECK(rsa.message.find("RSA keys only by SHA-1") != std::string::npos);
        }
        CHECK(with("missing", "").code != ErrorCode::usage);
    }
}

TEST_CASE("R11 a password reaches the server, and neither an argument nor an environment nor a disk") {
    NEEDS_SSHD();
    if (::geteuid() != 0 || std::system("unshare --mount --propagation private true 2> /dev/null") != 0) {
        WARN("SKIPPED: a server with passwords needs root and a mount namespace of its own");
        return;
    }
    const std::string password = "pass'word \"canary-4711\\";
    const Sshd sshd({.password = password});
    for (const SshTransport transport : both) {
        CAPTURE(name_of(transport));
        SshTarget target = target_of(sshd);
        target.key_file.clear();
        target.password = Secret(password);
        // whatever it starts is looked at while it logs in
        std::atomic<bool> over = false;
        std::atomic<int> seen = 0;
        std::atomic<int> looked = 0;
        std::atomic<int> scripts = 0;
        std::jthread watcher([&] {
            while (!over) {
                std::error_code ignored;
                for (const auto& process : std::filesystem::directory_iterator("/proc", ignored)) {
                    const std::string pid = process.path().filename();
                    if (pid.find_first_not_of("0123456789") != std::string::npos || pid == std::to_string(::getpid()))
                        continue;
                    for (const char* file : {"cmdline", "environ"}) {
                        std::ifstream in(process.path() / file, std::ios::binary);
                        std::stringstream text;
                        text << in.rdbuf();
                        ++looked;
                        if (text.str().find("canary-4711") != std::string::npos) ++seen;
                    }
                }
                for (const auto& folder :
                     std::filesystem::directory_iterator(std::filesystem::temp_directory_path(), ignored)) {
                    // a pipe would not be read: it is not on the disk
                    if (!std::filesystem::is_regular_file(folder.path() / "askpass", ignored)) continue;
                    std::ifstream in(folder.path() / "askpass");
                    std::stringstream text;
                    text << in.rdbuf();
                    ++scripts;
                    if (text.str().find("canary-4711") != std::string::npos) ++seen;
                }
            }
        });
        CHECK(outcome(attempt(target, transport)) == "works");
        target.password = Secret("wrong canary-4711");
        const Error error = attempt(target, transport);
        over = true;
        watcher.join();
        CHECK(outcome(error) == "authentication_failed");
        CHECK(error.full_message().find("canary-4711") == std::string::npos);
        CHECK(looked > 0);
        if (transport == SshTransport::program) CHECK(scripts > 0);
        CHECK(seen == 0);
    }
}

TEST_CASE("an agent's keys are used only when asked for") {
    NEEDS_SSHD();
    const Sshd sshd;
    const std::string socket = (sshd.folder() / "agent").string();
    std::vector<std::string> words{"ssh-agent", "-D", "-a", socket};
    std::vector<char*> argv;
    for (std::string& word : words)
        argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_t agent = -1;
    REQUIRE(::posix_spawnp(&agent, "ssh-agent", nullptr, nullptr, argv.data(), environ) == 0);
    while (!std::filesystem::exists(socket))
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    ::setenv("SSH_AUTH_SOCK", socket.c_str(), 1);
    auto environment = clean_environment();
    environment["SSH_AUTH_SOCK"] = socket;
    run_child_checked({.argv = {"ssh-add", "-q", sshd.user_key().string()}, .environment = environment}, {});
    for (const SshTransport transport : both) {
        CAPTURE(name_of(transport));
        SshTarget target = target_of(sshd);
        target.key_file.clear();
        CHECK(outcome(attempt(target, transport)) == "authentication_failed");
        target.agent = true;
        CHECK(outcome(attempt(target, transport)) == "works");
    }
    ::unsetenv("SSH_AUTH_SOCK");
    ::kill(agent, SIGTERM);
    ::waitpid(agent, nullptr, 0);
}

TEST_CASE("an ssh_config leads through a jump host") {
    NEEDS_SSHD();
    const Sshd inner;
    const Sshd jump;
    const auto config = jump.folder() / "ssh_config";
    write_text(config, "Host jump\n HostName 127.0.0.1\n Port " + std::to_string(jump.port()) + "\n User " +
                           jump.user() + "\n IdentityFile " + jump.user_key().string() + "\n UserKnownHostsFile " +
                           jump.known_hosts().string() + "\nHost inner\n HostName 127.0.0.1\n Port " +
                           std::to_string(inner.port()) + "\n User " + inner.user() + "\n IdentityFile " +
                           inner.user_key().string() + "\n UserKnownHostsFile " + inner.known_hosts().string() +
                           "\n ProxyJump jump\n");
    SshTarget target;
    target.host = "inner";
    target.ssh_config = config;
    CHECK(outcome(attempt(target, SshTransport::automatic)) == "works");
    CHECK(jump.log().find("Accepted publickey") != std::string::npos);
    // the jump host's own key is as strict
    write_text(jump.folder() / "known_hosts", "");
    CHECK(outcome(attempt(target, SshTransport::automatic)) == "host_key_unknown");
}

TEST_CASE("what the two sides cannot agree on is said") {
    NEEDS_SSHD();
    const Sshd sshd({.config = "Ciphers chacha20-poly1305@openssh.com,aes128-gcm@openssh.com"});
    CHECK(outcome(attempt(target_of(sshd), SshTransport::program)) == "works");
    CHECK(outcome(attempt(target_of(sshd), SshTransport::library)) == "no_common_algorithm");
    const Sshd strange({.config = "KexAlgorithms diffie-hellman-group1-sha1"});
    for (const SshTransport transport : both) {
        const Error error = attempt(target_of(strange), transport);
        CAPTURE(name_of(transport), error.message);
        if (transport == SshTransport::program) CHECK(outcome(error) == "no_common_algorithm");
    }
}

TEST_CASE("a server without SFTP, one that nobody runs, and one that never answers") {
    NEEDS_SSHD();
    const Sshd sshd({.config = "Subsystem other /bin/true"});
    for (const SshTransport transport : both) {
        CAPTURE(name_of(transport));
        CHECK(outcome(attempt(target_of(sshd), transport)) == "no_sftp");
        SshTarget nobody = target_of(sshd);
        nobody.port = 1;
        const Error error = attempt(nobody, transport);
        CHECK(outcome(error) == "unreachable");
        CHECK(error.code == ErrorCode::unreachable);
        sshd.pause();
        const auto began = std::chrono::steady_clock::now();
        const auto code = [&] {
            try {
                SshDoor door(target_of(sshd), transport);
                SftpClient client(door.open_sftp(within(seconds(1))), {}, within(seconds(1)));
            } catch (const Error& late) {
                return late.code;
            }
            return ErrorCode::internal;
        }();
        CHECK(code == ErrorCode::timed_out);
        CHECK(std::chrono::steady_clock::now() - began < seconds(5));
        sshd.resume();
    }
}

TEST_CASE("the transport says what it is and why") {
    SshTarget target;
    target.host = "nas";
    target.user = "dr";
    target.known_hosts = "/etc/known";
    const SshDoor automatic(target, SshTransport::automatic);
    if (find_program("ssh")) {
        CHECK(automatic.choice().transport == SshTransport::program);
        CHECK(automatic.choice().why.starts_with("OpenSSH's client '/"));
    }
    CHECK(SshDoor(target, SshTransport::library).choice().why.find("libssh2 1.") != std::string::npos);
    // without the program
    const std::string path = std::getenv("PATH");
    ::setenv("PATH", "/nonexistent", 1);
    const SshDoor without(target, SshTransport::automatic);
    CHECK(without.choice().transport == SshTransport::library);
    CHECK(without.choice().why.find("'ssh' is not in PATH") != std::string::npos);
    CHECK_THROWS_AS(SshDoor(target, SshTransport::program), Error);
    target.ssh_config = "/etc/ssh_config";
    CHECK_THROWS_AS(SshDoor(target, SshTransport::automatic), Error);
    ::setenv("PATH", path.c_str(), 1);
}
