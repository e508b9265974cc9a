// How another machine is reached by SSH, and the one way in: the bytes of its SFTP server, carried either by the
// system's OpenSSH client as a child (ssh_program.h) or by the library that is built in (ssh_library.h). In both an
// unknown or changed host key is an error, never a question.
//
// Errors say by their code what to do, and by details {ssh} what exactly happened:
//   denied       host_key_changed, host_key_unknown, host_key_other_type, host_key_revoked, authentication_failed
//   unsupported  no_common_algorithm, no_sftp
//   unreachable  no connection; timed_out and cancelled as the control says
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/secret.h"
#include "world/byte_duplex.h"
#include "world/control.h"

namespace lifeboat {

struct SshTarget {
    std::string host;
    int port = 0;  // 0: 22, or what ssh_config says
    std::string user;
    std::filesystem::path key_file;  // the private key; empty: agent or password
    Secret passphrase;               // of the key
    Secret password;
    bool agent = false;                                   // keys of the agent at SSH_AUTH_SOCK may be used
    std::filesystem::path known_hosts;                    // as OpenSSH writes it; unused when there are fingerprints
    std::vector<std::string> fingerprints;                // "SHA256:…" of host keys: exactly these are trusted
    std::filesystem::path ssh_config;                     // jump hosts, certificates, aliases: only for the program
    Duration connect_timeout = std::chrono::seconds(30);  // until the SFTP server can be talked to
};

enum class SshTransport { automatic, program, library };

struct SshChoice {
    SshTransport transport = SshTransport::library;  // never automatic
    std::string why;                                 // "OpenSSH's client '/usr/bin/ssh': …"
};

class SshDoor {
  public:
    // Throws Error{refused} for a target that cannot be meant, Error{program_missing} where the program is asked for,
    // or needed, and not installed.
    SshDoor(SshTarget target, SshTransport wish);

    const SshChoice& choice() const { return choice_; }
    const SshTarget& target() const { return target_; }
    // A new connection each time, by any thread.
    std::unique_ptr<ByteDuplex> open_sftp(const WorkControl& control);

  private:
    SshTarget target_;
    SshChoice choice_;
    std::mutex mutex_;
    std::string pinned_keys_;  // lines of a known_hosts file, learnt from the fingerprints
};

// "host 'nas' port 22", for messages.
std::string to_text(const SshTarget& target);
// An Error with details {ssh: `what`}.
Error ssh_error(ErrorCode code, const SshTarget& target, std::string_view what, std::string_view why,
                std::string hint = {});

}  // namespace lifeboat
