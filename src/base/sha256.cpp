#include "base/sha256.h"

#include <openssl/evp.h>

#include "base/error.h"

namespace lifeboat {

struct Sha256::State {
    State() : context(EVP_MD_CTX_new()) { begin(); }
    ~State() { EVP_MD_CTX_free(context); }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    void begin() {
        if (context == nullptr || EVP_DigestInit_ex(context, EVP_sha256(), nullptr) != 1) {
            throw Error{ErrorCode::internal, "cannot start a SHA-256 digest"};
        }
    }

    EVP_MD_CTX* context;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::string_view bytes) {
    update(std::as_bytes(std::span(bytes)));
}

void Sha256::update(std::span<const std::byte> bytes) {
    if (EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) != 1) {
        throw Error{ErrorCode::internal, "cannot compute a SHA-256 digest"};
    }
}

Digest Sha256::finish() {
    Digest digest{};
    if (EVP_DigestFinal_ex(state_->context, digest.data(), nullptr) != 1) {
        throw Error{ErrorCode::internal, "cannot end a SHA-256 digest"};
    }
    state_->begin();
    return digest;
}

Digest sha256(std::string_view bytes) {
    Sha256 digest;
    digest.update(bytes);
    return digest.finish();
}

std::string sha256_hex(std::string_view bytes) {
    return to_hex(sha256(bytes));
}

Digest hmac_sha256(std::string_view key, std::string_view text) {
    constexpr std::size_t block = 64;
    std::string padded(key);
    if (padded.size() > block) {
        const Digest shorter = sha256(padded);
        padded.assign(shorter.begin(), shorter.end());
    }
    padded.resize(block, '\0');
    const auto keyed = [&padded](char mask, std::string_view rest) {
        std::string start = padded;
        for (char& byte : start)
            byte = static_cast<char>(byte ^ mask);
        Sha256 digest;
        digest.update(start);
        digest.update(rest);
        return digest.finish();
    };
    const Digest inner = keyed(0x36, text);
    return keyed(0x5c, std::string(inner.begin(), inner.end()));
}

std::string to_hex(std::span<const std::uint8_t> bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const std::uint8_t byte : bytes) {
        text += digits[byte >> 4];
        text += digits[byte & 0xf];
    }
    return text;
}

}  // namespace lifeboat
