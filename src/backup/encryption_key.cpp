#include <algorithm>
#include <map>
#include <mutex>
#include <tuple>

#include "backup/encryption.h"
#include "base/error.h"
#include "base/text.h"

namespace lifeboat {

namespace {

constexpr std::size_t key_size = 32;
constexpr std::size_t shortest_passphrase = 16;  // characters
constexpr std::string_view hint_context = "lifeboat key hint v1";
constexpr std::string_view make_a_key = "Make a key with 'openssl rand -hex 32'.";

// The value of a hexadecimal digit, or 16.
unsigned nibble(char digit) {
    if (digit >= '0' && digit <= '9') return static_cast<unsigned>(digit - '0');
    if (digit >= 'a' && digit <= 'f') return static_cast<unsigned>(digit - 'a') + 10;
    if (digit >= 'A' && digit <= 'F') return static_cast<unsigned>(digit - 'A') + 10;
    return 16;
}

bool is_hex(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char digit) { return nibble(digit) < 16; });
}

std::vector<std::uint8_t> salt_bytes(std::string_view hex) {
    std::vector<std::uint8_t> bytes(hex.size() / 2);
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<std::uint8_t>(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
    return bytes;
}

std::optional<KeyMaterial> from_hex(std::string_view text) {
    if (text.size() != 2 * key_size || !is_hex(text)) return std::nullopt;
    KeyMaterial key(key_size);
    for (std::size_t i = 0; i < key_size; ++i)
        key.bytes()[i] = static_cast<std::uint8_t>(nibble(text[2 * i]) << 4 | nibble(text[2 * i + 1]));
    return key;
}

// Of a digit of base64, of the usual or the URL's alphabet, or 64.
std::uint32_t sextet(char digit) {
    if (digit >= 'A' && digit <= 'Z') return static_cast<std::uint32_t>(digit - 'A');
    if (digit >= 'a' && digit <= 'z') return static_cast<std::uint32_t>(digit - 'a') + 26;
    if (digit >= '0' && digit <= '9') return static_cast<std::uint32_t>(digit - '0') + 52;
    if (digit == '+' || digit == '-') return 62;
    if (digit == '/' || digit == '_') return 63;
    return 64;
}

// 32 bytes are 43 digits and one '='; the two bits that are left over are zero.
std::optional<KeyMaterial> from_base64(std::string_view text) {
    if (text.size() != 44 || text.back() != '=') return std::nullopt;
    KeyMaterial key(key_size);
    std::uint32_t bits = 0;
    unsigned held = 0;
    std::size_t at = 0;
    for (const char digit : text.substr(0, 43)) {
        const std::uint32_t value = sextet(digit);
        if (value > 63) return std::nullopt;
        bits = (bits << 6 | value) & 0xffff;
        held += 6;
        if (held < 8) continue;
        held -= 8;
        key.bytes()[at++] = static_cast<std::uint8_t>(bits >> held);
    }
    if ((bits & ((1U << held) - 1)) != 0) return std::nullopt;
    return key;
}

}  // namespace

std::string key_hint(const KeyMaterial& key) {
    const KeyMaterial derived = hkdf(HashName::sha256, key.bytes(), {}, hint_context, key_size);
    const auto bytes = std::as_bytes(derived.bytes());
    Sha256 digest;
    digest.update(bytes);
    return to_hex(digest.finish()).substr(0, 8);
}

struct EncryptionKey::State {
    ~State() { wipe(passphrase); }

    KeyMaterial derived(const PassphraseSalt& from) {
        const auto place = std::tuple(from.salt, from.cost.n, from.cost.r, from.cost.p);
        const std::lock_guard lock(mutex);  // held while deriving: whoever waits wants the same
        auto found = by_salt.find(place);
        if (found == by_salt.end())
            found = by_salt.emplace(place, scrypt(passphrase, salt_bytes(from.salt), from.cost, key_size)).first;
        return found->second;
    }

    std::string name;
    std::optional<KeyMaterial> key;  // nullopt: a passphrase
    std::string passphrase;
    PassphraseSalt own;  // for what is encrypted from now on
    std::mutex mutex;
    std::map<std::tuple<std::string, std::uint64_t, std::uint32_t, std::uint32_t>, KeyMaterial> by_salt;
};

EncryptionKey::EncryptionKey(const Secret& secret, std::string name, const ScryptCost& cost)
    : state_(std::make_shared<State>()) {
    state_->name = std::move(name);
    const std::string_view text = trim(secret.reveal());
    state_->key = from_hex(text);
    if (!state_->key) state_->key = from_base64(text);
    if (state_->key) return;
    if (characters(text) < shortest_passphrase)
        throw Error{ErrorCode::refused,
                    "secret '" + state_->name + "' is too short for a passphrase: it takes " +
                        std::to_string(shortest_passphrase) + " characters",
                    std::string(make_a_key)};
    if (is_hex(text) && text.size() > 56 && text.size() < 72)
        throw Error{ErrorCode::refused,
                    "secret '" + state_->name + "' has " + std::to_string(text.size()) +
                        " hexadecimal digits: a key has 64, and a passphrase would not look like one",
                    std::string(make_a_key)};
    state_->passphrase = text;
    std::array<std::uint8_t, 16> salt{};
    fill_random(salt);
    state_->own = PassphraseSalt{.salt = to_hex(salt), .cost = cost};
}

const std::string& EncryptionKey::name() const {
    return state_->name;
}

bool EncryptionKey::is_passphrase() const {
    return !state_->key;
}

EncryptionHeader EncryptionKey::header() const {
    if (state_->key) return EncryptionHeader{.key_hint = key_hint(*state_->key)};
    return EncryptionHeader{.key_hint = key_hint(state_->derived(state_->own)), .passphrase = state_->own};
}

std::optional<KeyMaterial> EncryptionKey::material_for(const EncryptionHeader& header) const {
    if (header.passphrase.has_value() != is_passphrase()) return std::nullopt;
    KeyMaterial key = state_->key ? *state_->key : state_->derived(*header.passphrase);
    if (key_hint(key) != header.key_hint) return std::nullopt;
    return key;
}

std::string EncryptionKey::hint_for(const EncryptionHeader& header) const {
    if (state_->key) return key_hint(*state_->key);
    return header.passphrase ? key_hint(state_->derived(*header.passphrase)) : std::string();
}

bool KeyRing::may_hold(std::string_view key_hint) const {
    return std::any_of(keys_.begin(), keys_.end(),
                       [&](const EncryptionKey& key) { return key.is_passphrase() || key.hint() == key_hint; });
}

KeyMaterial KeyRing::material_for(const EncryptionHeader& header, std::string_view where) const {
    std::vector<std::string> there;
    for (const EncryptionKey& key : keys_) {
        if (auto material = key.material_for(header)) return std::move(*material);
        const std::string hint = key.hint_for(header);
        there.push_back("'" + key.name() + "' is " + (key.is_passphrase() ? "a passphrase" : "a key") +
                        (hint.empty() ? "" : " with hint " + hint));
    }
    throw Error{ErrorCode::denied,
                std::string(where) + ": it takes " + (header.passphrase ? "the passphrase" : "the key") +
                    " with hint " + header.key_hint + ", " +
                    (there.empty() ? std::string("and there is none") : "but " + join(there, ", ")),
                "Add the key that it was encrypted with to the keys of the backup set."};
}

}  // namespace lifeboat
