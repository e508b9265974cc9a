// SSH without any program: libssh2, which is built in. It reads no ssh_config. What Debian's 1.10 cannot do is said
// plainly in the errors: AES-GCM and chacha20, RSA keys of users and hosts with anything newer than SHA-1,
// certificates.
#pragma once

#include <memory>
#include <string>

#include "world/byte_duplex.h"
#include "world/ssh.h"

namespace lifeboat {

// "the built-in libssh2 1.10.0"
std::string library_name();

// Connects, checks the host key, logs in and starts the SFTP server on the other machine.
std::unique_ptr<ByteDuplex> open_ssh_library(const SshTarget& target, const WorkControl& control);

}  // namespace lifeboat
