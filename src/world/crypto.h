// The primitives of encryption, over OpenSSL: key material that is wiped when it goes, random bytes, key derivation,
// and AES-GCM of one message. What is made of them is in sealed_stream.h. Failures of the library itself are
// Error{internal}.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lifeboat {

// Bytes that must not stay in memory: every copy is overwritten when it goes. Never grows, so nothing is left behind.
class KeyMaterial {
  public:
    KeyMaterial() = default;
    explicit KeyMaterial(std::size_t size) : bytes_(size) {}
    explicit KeyMaterial(std::span<const std::uint8_t> bytes) : bytes_(bytes.begin(), bytes.end()) {}
    ~KeyMaterial();
    KeyMaterial(const KeyMaterial&) = default;
    KeyMaterial(KeyMaterial&& other) noexcept = default;
    KeyMaterial& operator=(const KeyMaterial& other);
    KeyMaterial& operator=(KeyMaterial&& other) noexcept;

    std::span<const std::uint8_t> bytes() const { return bytes_; }
    std::span<std::uint8_t> bytes() { return bytes_; }
    std::size_t size() const { return bytes_.size(); }

  private:
    std::vector<std::uint8_t> bytes_;
};

// Overwrites what was read from or is on the way into key material.
void wipe(std::span<std::uint8_t> bytes);
void wipe(std::string& text);

// From the system's generator, fit for keys.
void fill_random(std::span<std::uint8_t> bytes);

enum class HashName { sha1, sha256, sha512 };

// HKDF (RFC 5869), extract and expand. `context` ("info") is at most 1024 bytes: Error{limit_exceeded}.
KeyMaterial hkdf(HashName hash, std::span<const std::uint8_t> key, std::span<const std::uint8_t> salt,
                 std::string_view context, std::size_t size);

// scrypt (RFC 7914). The defaults take 128 MiB and about half a second.
struct ScryptCost {
    std::uint64_t n = std::uint64_t{1} << 17;
    std::uint32_t r = 8;
    std::uint32_t p = 1;
    bool operator==(const ScryptCost&) const = default;
};
// Whether a cost that somebody else wrote down may be paid: n a power of two from 2^10 on, at most 1 GiB of memory and
// 16 times the work of the defaults.
bool is_bearable(const ScryptCost& cost);
// Throws Error{limit_exceeded} for a cost that is not bearable.
KeyMaterial scrypt(std::string_view passphrase, std::span<const std::uint8_t> salt, const ScryptCost& cost,
                   std::size_t size);

// AES in Galois/counter mode under one key of 16 or 32 bytes; messages are shorter than 2 GiB. One thread at a time.
class AesGcm {
  public:
    static constexpr std::size_t nonce_size = 12;
    static constexpr std::size_t tag_size = 16;
    using Nonce = std::array<std::uint8_t, nonce_size>;

    explicit AesGcm(const KeyMaterial& key);
    ~AesGcm();
    AesGcm(AesGcm&&) noexcept;
    AesGcm& operator=(AesGcm&&) noexcept;

    // Writes plain.size() + tag_size bytes to the front of `sealed`. A nonce must never seal two different messages.
    void seal(const Nonce& nonce, std::span<const std::byte> plain, std::span<std::byte> sealed);
    // Writes sealed.size() - tag_size bytes to the front of `plain`. False when they are not authentic: `plain` holds
    // zeros then.
    [[nodiscard]] bool open(const Nonce& nonce, std::span<const std::byte> sealed, std::span<std::byte> plain);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace lifeboat
