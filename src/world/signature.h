// Ed25519 signatures (RFC 8032), over OpenSSL: 64 bytes over a text, by one key. `openssl pkeyutl -rawin` makes and
// checks the same.
#pragma once

#include <string>
#include <string_view>

#include "base/ed25519.h"
#include "base/secret.h"
#include "world/crypto.h"

namespace lifeboat {

class Ed25519Signer {
  public:
    // `name` is the secret's, for messages. Throws Error{refused} for what is no Ed25519 private key.
    Ed25519Signer(const Secret& secret, const std::string& name);

    const Ed25519Public& public_key() const { return public_; }
    // 64 bytes; the same for the same text.
    std::string sign(std::string_view text) const;

  private:
    KeyMaterial private_;
    Ed25519Public public_{};
};

// False also for what is no signature at all.
bool is_signature(std::string_view signature, std::string_view text, const Ed25519Public& key);

}  // namespace lifeboat
