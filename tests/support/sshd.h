// A real sshd on a free port of 127.0.0.1 with keys of its own in a throw-away folder, started by
// tests/servers/sshd.sh. Ends with the object, with every connection.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "support/scratch_folder.h"

namespace lifeboat::test {

struct SshdWish {
    std::string host_keys = "ed25519";  // types, with a space between them
    std::string user_keys = "ed25519";
    std::string password;  // only as root
    std::string config;    // more lines
};

class Sshd {
  public:
    // Why there can be none on this machine; empty when there can.
    static std::string missing();

    explicit Sshd(const SshdWish& wish = {});
    ~Sshd();
    Sshd(const Sshd&) = delete;
    Sshd& operator=(const Sshd&) = delete;

    static constexpr const char* host = "127.0.0.1";
    int port() const { return port_; }
    const std::string& user() const { return user_; }
    // Empty at first: what is served is for the test to choose.
    std::filesystem::path home() const { return folder_ / "home"; }
    const std::filesystem::path& folder() const { return folder_.path(); }
    std::filesystem::path user_key(const std::string& type = "ed25519") const { return folder_ / ("user_" + type); }
    // "ssh-ed25519 AAAA…"
    std::string host_key(const std::string& type = "ed25519") const;
    std::string fingerprint(const std::string& type = "ed25519") const;
    // A known_hosts file with every host key that the server has.
    std::filesystem::path known_hosts() const;
    // "[127.0.0.1]:port", as in such a file.
    std::string name() const;
    std::string log() const;

    // SIGSTOP and SIGCONT to the server and all its connections.
    void pause() const;
    void resume() const;
    // Ends all connections; the server goes on.
    void cut() const;
    std::size_t connections() const;

  private:
    void signal_all(int signal) const;

    ScratchFolder folder_;
    std::string user_;
    std::string types_;
    int port_ = 0;
    int pid_ = -1;
};

// The hash of `line`'s host as ssh-keygen -H makes it.
void hash_known_hosts(const std::filesystem::path& file);

}  // namespace lifeboat::test
