// The system's OpenSSH client as a child whose streams are those of the SFTP server on the other machine. It asks
// nobody anything: host keys are strict, secrets reach it through pipes that only this user can open. It reads no
// configuration but the one named in the target. The child ends with the object, and by itself when this process dies.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "world/byte_duplex.h"
#include "world/ssh.h"

namespace lifeboat {

// The host key behind the target's fingerprints, as lines for `pinned_keys`. Throws Error{denied} when the host shows
// only others.
std::string find_pinned_host_keys(const SshTarget& target, const WorkControl& control);

// Returns at once; why there is no connection is thrown where its first bytes are waited for. `pinned_keys` are the
// only trusted ones when the target has fingerprints.
std::unique_ptr<ByteDuplex> open_ssh_program(const SshTarget& target, const std::string& pinned_keys);

// What the last words of a client that has ended are about.
enum class SshFailure {
    host_key_changed,
    host_key_unknown,
    host_key_revoked,
    no_common_algorithm,
    authentication_failed,
    no_sftp,
    unreachable,
};
SshFailure failure_in(std::string_view client_errors);

}  // namespace lifeboat
