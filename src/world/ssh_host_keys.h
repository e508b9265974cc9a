// Which host keys are trusted: the lines of a known_hosts file (plain, hashed, with ports, patterns and markers) and
// fingerprints. Pure. A host key is told apart as trusted, changed, of another type than the known ones, revoked or
// unknown, each with an error of its own (R31).
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "world/ssh.h"

namespace lifeboat {

struct HostKey {
    std::string type;         // "ssh-ed25519"
    std::string fingerprint;  // "SHA256:…", as ssh-keygen -l writes it
};

struct KnownHostKey {
    HostKey key;
    std::size_t line = 0;
    bool revoked = false;
    bool authority = false;  // signs host keys, is none itself
};

enum class HostKeyVerdict { trusted, changed, other_type, unknown, revoked };

// `blob` is the public key as it travels and as it stands, in base64, in files.
HostKey host_key_of(std::span<const std::byte> blob);
// Of the two fields "type base64".
HostKey host_key_of_text(std::string_view type, std::string_view base64);

// The lines that are about this host; those without a port count only where there are none with it.
std::vector<KnownHostKey> known_host_keys(std::string_view known_hosts, std::string_view host, int port);
// The file's text; Error{denied | not_found} naming it.
std::string read_known_hosts(const std::filesystem::path& file);

// Whether a private key, in OpenSSH's format or in PEM, is one for RSA.
bool is_rsa_private_key(std::string_view text);

// Well-formed, without '=' at its end; Error{refused}.
std::string normal_fingerprint(std::string_view text);

HostKeyVerdict judge_host_key(const std::vector<KnownHostKey>& known, const HostKey& shown);
// `verdict` is not `trusted`. A `shown` without fingerprint could not be learnt.
Error host_key_error(const SshTarget& target, HostKeyVerdict verdict, const std::vector<KnownHostKey>& known,
                     const HostKey& shown);
// None of the keys that the host has shown is one of the target's fingerprints.
Error fingerprint_error(const SshTarget& target, const std::vector<HostKey>& shown);

}  // namespace lifeboat
