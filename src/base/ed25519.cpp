#include "base/ed25519.h"

#include <algorithm>

#include "base/base64.h"
#include "base/sha256.h"
#include "base/text.h"

namespace lifeboat {

namespace {

using namespace std::string_view_literals;

// What stands before the 32 bytes in DER: there is one way to write each.
constexpr std::string_view public_der = "\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"sv;
constexpr std::string_view private_der = "\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"sv;

std::string without_space(std::string_view text) {
    std::string rest;
    for (const char letter : text)
        if (letter != ' ' && letter != '\n' && letter != '\r' && letter != '\t') rest += letter;
    return rest;
}

// The bytes of PEM with this label, or of bare base64.
std::optional<std::string> der_of(std::string_view text, const std::string& label) {
    std::string letters = without_space(text);
    const std::string begin = "-----BEGIN" + label + "KEY-----";
    const std::string end = "-----END" + label + "KEY-----";
    if (letters.starts_with(begin)) {
        if (!letters.ends_with(end)) return std::nullopt;
        letters = letters.substr(begin.size(), letters.size() - begin.size() - end.size());
    }
    return base64_decoded(letters);
}

std::array<std::uint8_t, 32> last_bytes(std::string_view der) {
    std::array<std::uint8_t, 32> key{};
    std::copy(der.end() - 32, der.end(), key.begin());
    return key;
}

}  // namespace

std::optional<Ed25519Public> parse_ed25519_public(std::string_view text) {
    const auto der = der_of(text, "PUBLIC");
    if (!der) return std::nullopt;
    const bool whole = der->size() == public_der.size() + 32 && der->starts_with(public_der);
    if (!whole && der->size() != 32) return std::nullopt;
    return last_bytes(*der);
}

std::string ed25519_fingerprint(const Ed25519Public& key) {
    return sha256_hex(std::string(public_der) + std::string(key.begin(), key.end())).substr(0, 16);
}

std::optional<std::array<std::uint8_t, 32>> parse_ed25519_private(std::string_view text) {
    const auto der = der_of(text, "PRIVATE");
    if (!der || der->size() != private_der.size() + 32 || !der->starts_with(private_der)) return std::nullopt;
    return last_bytes(*der);
}

}  // namespace lifeboat
