// SHA-256, the only digest lifeboat writes down.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace lifeboat {

using Digest = std::array<std::uint8_t, 32>;

class Sha256 {
  public:
    Sha256();
    ~Sha256();
    Sha256(Sha256&&) noexcept;
    Sha256& operator=(Sha256&&) noexcept;

    void update(std::string_view bytes);
    void update(std::span<const std::byte> bytes);
    // Ends the digest; the object is ready for the next one.
    Digest finish();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

Digest sha256(std::string_view bytes);
// Lower-case hexadecimal of sha256(bytes).
std::string sha256_hex(std::string_view bytes);
Digest hmac_sha256(std::string_view key, std::string_view text);
std::string to_hex(std::span<const std::uint8_t> bytes);

}  // namespace lifeboat
