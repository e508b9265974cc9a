// The text of Ed25519 keys (RFC 8410), as `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` write them:
// PEM, or the base64 in it without the lines around it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lifeboat {

using Ed25519Public = std::array<std::uint8_t, 32>;

// The 32 bytes themselves in base64 are taken too. nullopt for anything else.
std::optional<Ed25519Public> parse_ed25519_public(std::string_view text);

// The first 16 hexadecimal digits of the SHA-256 of the key in DER.
std::string ed25519_fingerprint(const Ed25519Public& key);

// The 32 bytes of a private key, to be kept no longer than it takes to use them. nullopt for anything else.
std::optional<std::array<std::uint8_t, 32>> parse_ed25519_private(std::string_view text);

}  // namespace lifeboat
