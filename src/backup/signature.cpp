#include "backup/signature.h"

#include "backup/layout.h"
#include "base/error.h"
#include "world/signature.h"

namespace lifeboat {

ManifestSignature judge_signature(const std::optional<std::string>& signature, std::string_view manifest_text,
                                  const TrustedKeys& trusted) {
    if (!signature) return {};
    if (trusted.empty()) return {.state = SignatureState::unchecked, .signer = {}};
    for (const Ed25519Public& key : trusted)
        if (is_signature(*signature, manifest_text, key))
            return {.state = SignatureState::good, .signer = ed25519_fingerprint(key)};
    return {.state = SignatureState::wrong, .signer = {}};
}

std::string to_words(const ManifestSignature& signature) {
    switch (signature.state) {
        case SignatureState::none:
            return "unsigned";
        case SignatureState::unchecked:
            return "signed, by a key that is not known here";
        case SignatureState::good:
            return "signed by " + signature.signer;
        case SignatureState::wrong:
            return "signature is wrong";
    }
    return {};
}

Json to_json(const ManifestSignature& signature) {
    const auto with = [&](const char* state) {
        return Json{{"state", state}, {"key", signature.signer.empty() ? Json(nullptr) : Json(signature.signer)}};
    };
    switch (signature.state) {
        case SignatureState::none:
            return with("unsigned");
        case SignatureState::unchecked:
            return with("unchecked");
        case SignatureState::good:
            return with("good");
        case SignatureState::wrong:
            return with("wrong");
    }
    return {};
}

std::optional<std::string> read_signature(Store& store, const std::string& set, const std::string& id,
                                          const WorkControl& control) {
    try {
        return read_all(store, object_key(set, id, signature_name), Bytes{1u << 10}, control);
    } catch (const Error& error) {
        if (error.code == ErrorCode::not_found) return std::nullopt;
        if (error.code == ErrorCode::limit_exceeded) return std::string();
        throw;
    }
}

}  // namespace lifeboat
