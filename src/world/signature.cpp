#include "world/signature.h"

#include <memory>

#include <openssl/evp.h>

#include "base/error.h"

namespace lifeboat {

namespace {

constexpr std::size_t signature_size = 64;

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

[[noreturn]] void fail() {
    throw Error{ErrorCode::internal, "OpenSSL refused an Ed25519 signature"};
}

const unsigned char* as_unsigned(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

Key private_key(const KeyMaterial& bytes) {
    Key key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes.bytes().data(), bytes.size()),
            &EVP_PKEY_free);
    if (!key) fail();
    return key;
}

}  // namespace

Ed25519Signer::Ed25519Signer(const Secret& secret, const std::string& name) {
    auto bytes = parse_ed25519_private(secret.reveal());
    if (!bytes)
        throw Error{ErrorCode::refused, "secret '" + name + "' is no Ed25519 private key",
                    "Make one with 'openssl genpkey -algorithm ed25519'."};
    private_ = KeyMaterial(*bytes);
    wipe(*bytes);
    std::size_t size = public_.size();
    if (EVP_PKEY_get_raw_public_key(private_key(private_).get(), public_.data(), &size) != 1) fail();
}

std::string Ed25519Signer::sign(std::string_view text) const {
    const Key key = private_key(private_);
    const Context context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    std::string signature(signature_size, '\0');
    std::size_t size = signature.size();
    if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
        EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, as_unsigned(text),
                       text.size()) != 1 ||
        size != signature_size)
        fail();
    return signature;
}

bool is_signature(std::string_view signature, std::string_view text, const Ed25519Public& key) {
    if (signature.size() != signature_size) return false;
    const Key loaded(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.data(), key.size()), &EVP_PKEY_free);
    const Context context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    if (!loaded || !context) fail();
    return EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, loaded.get()) == 1 &&
           EVP_DigestVerify(context.get(), as_unsigned(signature), signature.size(), as_unsigned(text), text.size()) ==
               1;
}

}  // namespace lifeboat
