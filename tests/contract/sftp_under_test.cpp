#include "contract/sftp_under_test.h"

#include <atomic>

#include "stores/sftp.h"
#include "support/small_server.h"
#include "support/sshd.h"

namespace lifeboat::test {

namespace {

// Started at the first use, ended with the program.
const Sshd& server() {
    static const Sshd sshd({.user_keys = "ed25519 encrypted"});
    return sshd;
}

SftpOptions good_options(SshTransport transport) {
    static std::atomic<int> count = 0;
    const Sshd& sshd = server();
    SftpOptions options;
    options.server.host = Sshd::host;
    options.server.port = sshd.port();
    options.server.user = sshd.user();
    options.server.key_file = sshd.user_key();
    options.server.known_hosts = sshd.known_hosts();
    options.transport = transport;
    options.path = (sshd.home() / ("sub dir+" + std::to_string(++count))).string();
    return options;
}

std::vector<StoreUnderTest::Broken> broken(SshTransport transport) {
    const auto changed = [&](const std::function<void(SftpOptions&)>& change) {
        SftpOptions options = good_options(transport);
        change(options);
        return std::make_shared<SftpStore>("vault", options);
    };
    return {
        {"another user's key", changed([](SftpOptions& o) { o.server.user = "nobody"; }), ErrorCode::denied},
        {"a wrong passphrase", changed([](SftpOptions& o) {
             o.server.key_file = server().user_key("encrypted");
             o.server.passphrase = Secret("wrong");
         }),
         ErrorCode::denied},
        {"an unknown host key", changed([](SftpOptions& o) { o.server.known_hosts = "/dev/null"; }), ErrorCode::denied},
        {"a folder whose parent is missing too", changed([](SftpOptions& o) { o.path = "/nonexistent/root"; }),
         ErrorCode::unreachable},
        {"nobody listens", changed([](SftpOptions& o) { o.server.port = closed_port(); }), ErrorCode::unreachable},
    };
}

StoreUnderTest sftp(
    const std::string& kind, SshTransport transport,
    const std::function<void(SftpOptions&)>& change = [](SftpOptions&) {}) {
    return {.kind = kind,
            .missing = &Sshd::missing,
            .make =
                [=] {
                    SftpOptions options = good_options(transport);
                    change(options);
                    return std::make_shared<SftpStore>("vault", options);
                },
            .make_on_disk =
                [=] {
                    SftpOptions options = good_options(transport);
                    change(options);
                    return StoreUnderTest::OnDisk{.folder = options.path, .open = [options] {
                                                      return std::make_shared<SftpStore>("vault", options);
                                                  }};
                },
            .broken = [=] { return broken(transport); }};
}

}  // namespace

std::vector<StoreUnderTest> sftp_stores() {
    return {sftp("sftp by OpenSSH's client", SshTransport::program), sftp("sftp by libssh2", SshTransport::library),
            sftp("sftp on one connection", SshTransport::program, [](SftpOptions& o) { o.connections = 1; })};
}

}  // namespace lifeboat::test
