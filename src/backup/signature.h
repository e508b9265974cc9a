// The signature of a manifest: `manifest.json.sig` beside it, 64 bytes of Ed25519 over its very bytes. Whoever trusts
// keys never takes a backup whose signature is wrong; one without a signature is shown as such, and taken.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ed25519.h"
#include "base/json.h"
#include "stores/store.h"

namespace lifeboat {

using TrustedKeys = std::vector<Ed25519Public>;

enum class SignatureState {
    none,
    unchecked,  // there is one, and no key to check it by
    good,
    wrong,  // it is no signature of this manifest by any of the trusted keys
};

struct ManifestSignature {
    SignatureState state = SignatureState::none;
    std::string signer;  // where it is good: the fingerprint of the key
    bool operator==(const ManifestSignature&) const = default;
};

// Pure.
ManifestSignature judge_signature(const std::optional<std::string>& signature, std::string_view manifest_text,
                                  const TrustedKeys& trusted);
// "signed by 0123456789abcdef", "signed, by a key that is not known here", "unsigned", "signature is wrong".
std::string to_words(const ManifestSignature& signature);
Json to_json(const ManifestSignature& signature);

// What lies there, whatever it is; nullopt when nothing does.
std::optional<std::string> read_signature(Store& store, const std::string& set, const std::string& id,
                                          const WorkControl& control = {});

}  // namespace lifeboat
