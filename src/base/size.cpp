#include "base/size.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>

namespace lifeboat {

namespace {

struct Unit {
    std::string_view name;
    std::uint64_t bytes;
};

// Largest first.
constexpr std::array binary_units{Unit{"TiB", 1ULL << 40}, Unit{"GiB", 1ULL << 30}, Unit{"MiB", 1ULL << 20},
                                  Unit{"KiB", 1ULL << 10}, Unit{"B", 1}};
constexpr std::array decimal_units{Unit{"TB", 1'000'000'000'000}, Unit{"GB", 1'000'000'000}, Unit{"MB", 1'000'000},
                                   Unit{"kB", 1'000}};

std::optional<std::uint64_t> unit_named(std::string_view name) {
    if (name == "KB") name = "kB";
    for (const Unit& unit : binary_units) {
        if (unit.name == name) return unit.bytes;
    }
    for (const Unit& unit : decimal_units) {
        if (unit.name == name) return unit.bytes;
    }
    return std::nullopt;
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

template <typename Units>
std::string exact(std::uint64_t count, const Units& units) {
    for (const Unit& unit : units) {
        if (count % unit.bytes == 0) return std::to_string(count / unit.bytes) + std::string(unit.name);
    }
    return std::to_string(count) + "B";
}

}  // namespace

std::optional<Bytes> parse_bytes(std::string_view text) {
    const std::size_t number_end = std::min(text.find_first_not_of("0123456789."), text.size());
    const std::string_view number = text.substr(0, number_end);
    const auto unit = unit_named(text.substr(number_end));
    const std::size_t point = std::min(number.find('.'), number.size());
    const std::string_view whole_digits = number.substr(0, point);
    const std::string_view fraction_digits = point < number.size() ? number.substr(point + 1) : std::string_view();
    if (!unit || whole_digits.empty() || (point < number.size() && fraction_digits.empty())) return std::nullopt;
    // six digits after the point times 1 TiB still fits 64 bits
    if (fraction_digits.size() > 6 || !std::all_of(fraction_digits.begin(), fraction_digits.end(), is_digit))
        return std::nullopt;

    constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t whole = 0;
    for (const char c : whole_digits) {
        const auto digit = static_cast<std::uint64_t>(c - '0');
        if (whole > (most - digit) / 10) return std::nullopt;
        whole = whole * 10 + digit;
    }
    std::uint64_t fraction = 0;
    std::uint64_t scale = 1;
    for (const char c : fraction_digits) {
        fraction = fraction * 10 + static_cast<std::uint64_t>(c - '0');
        scale *= 10;
    }
    const std::uint64_t part = fraction * *unit / scale;
    if (whole > (most - part) / *unit) return std::nullopt;
    return Bytes{whole * *unit + part};
}

std::optional<Bytes> parse_rate(std::string_view text) {
    constexpr std::string_view by_the_second = "/s";
    if (!text.ends_with(by_the_second)) return std::nullopt;
    text.remove_suffix(by_the_second.size());
    const std::optional<Bytes> rate = parse_bytes(text);
    return rate && rate->count > 0 ? rate : std::nullopt;
}

std::string to_text(Bytes size) {
    if (size.count == 0) return "0B";
    const std::string binary = exact(size.count, binary_units);
    const std::string decimal = exact(size.count, decimal_units);
    return decimal.size() < binary.size() ? decimal : binary;
}

std::string to_human(Bytes size) {
    if (size.count < 1024) return std::to_string(size.count) + " B";
    auto value = static_cast<double>(size.count);
    std::size_t unit = binary_units.size() - 1;
    // 1023.95 would be printed as 1024.0
    while (value >= 1023.95 && unit > 0) {
        value /= 1024;
        --unit;
    }
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.1f ", value);
    return text.data() + std::string(binary_units[unit].name);
}

}  // namespace lifeboat
