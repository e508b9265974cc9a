// Sizes in bytes, as a type of their own.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lifeboat {

struct Bytes {
    std::uint64_t count = 0;
    auto operator<=>(const Bytes&) const = default;
};

// `20MiB`, `1.5GB`, `512B`; binary and decimal units. A number without a unit is no size: nullopt.
std::optional<Bytes> parse_bytes(std::string_view text);
// Bytes by the second: `20MiB/s`. At least one.
std::optional<Bytes> parse_rate(std::string_view text);
// Exact where it can be: `20MiB`, `1234B`.
std::string to_text(Bytes size);
// For people: `1.4 GiB`.
std::string to_human(Bytes size);

}  // namespace lifeboat
