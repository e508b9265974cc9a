#include "base/time.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <limits>

namespace lifeboat {

namespace {

constexpr std::uint64_t longest = static_cast<std::uint64_t>(std::numeric_limits<Duration::rep>::max());

struct Unit {
    std::string_view name;
    std::uint64_t microseconds;
};

// Largest first: a duration names its units in this order, each at most once.
constexpr std::array units{Unit{"w", 604'800'000'000},
                           Unit{"d", 86'400'000'000},
                           Unit{"h", 3'600'000'000},
                           Unit{"m", 60'000'000},
                           Unit{"s", 1'000'000},
                           Unit{"ms", 1'000},
                           Unit{"us", 1}};
constexpr std::array iso_date_units{Unit{"W", 604'800'000'000}, Unit{"D", 86'400'000'000}};
constexpr std::array iso_time_units{Unit{"H", 3'600'000'000}, Unit{"M", 60'000'000}, Unit{"S", 1'000'000}};

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

struct Number {
    std::uint64_t whole = 0;
    std::uint64_t fraction = 0;
    std::uint64_t scale = 1;  // the fraction is fraction / scale
};

// Takes a decimal number with at most six digits after the point from the front of `text`.
std::optional<Number> take_number(std::string_view& text) {
    Number number;
    std::size_t i = 0;
    for (; i < text.size() && is_digit(text[i]); ++i) {
        const auto digit = static_cast<std::uint64_t>(text[i] - '0');
        if (number.whole > (longest - digit) / 10) return std::nullopt;
        number.whole = number.whole * 10 + digit;
    }
    if (i == 0) return std::nullopt;
    if (i < text.size() && text[i] == '.') {
        const std::size_t point = i++;
        for (; i < text.size() && is_digit(text[i]); ++i) {
            if (i - point > 6) return std::nullopt;
            number.fraction = number.fraction * 10 + static_cast<std::uint64_t>(text[i] - '0');
            number.scale *= 10;
        }
        if (i == point + 1) return std::nullopt;
    }
    text.remove_prefix(i);
    return number;
}

// Adds number × unit to `total`; false on overflow and where microseconds are too coarse.
bool add(std::uint64_t& total, const Number& number, std::uint64_t unit) {
    if (number.fraction * unit % number.scale != 0) return false;
    const std::uint64_t part = number.fraction * unit / number.scale;
    if (number.whole > (longest - part) / unit) return false;
    const std::uint64_t amount = number.whole * unit + part;
    if (amount > longest - total) return false;
    total += amount;
    return true;
}

// Reads number-unit pairs up to the end of `text`, at least one.
template <typename Units>
bool add_pairs(std::uint64_t& total, std::string_view text, const Units& allowed) {
    if (text.empty()) return false;
    std::size_t next_unit = 0;
    while (!text.empty()) {
        const auto number = take_number(text);
        if (!number) return false;
        std::size_t name_length = 0;
        while (name_length < text.size() && !is_digit(text[name_length]))
            ++name_length;
        const std::string_view name = text.substr(0, name_length);
        while (next_unit < allowed.size() && allowed[next_unit].name != name)
            ++next_unit;
        if (next_unit == allowed.size() || !add(total, *number, allowed[next_unit].microseconds)) return false;
        ++next_unit;
        text.remove_prefix(name_length);
    }
    return true;
}

// Takes exactly `count` digits from the front of `text`.
std::optional<int> take_digits(std::string_view& text, std::size_t count) {
    if (text.size() < count) return std::nullopt;
    int value = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (!is_digit(text[i])) return std::nullopt;
        value = value * 10 + (text[i] - '0');
    }
    text.remove_prefix(count);
    return value;
}

bool take(std::string_view& text, std::string_view any_of) {
    if (text.empty() || any_of.find(text[0]) == std::string_view::npos) return false;
    text.remove_prefix(1);
    return true;
}

std::optional<std::chrono::sys_days> take_date(std::string_view& text) {
    const auto year = take_digits(text, 4);
    if (!year || !take(text, "-")) return std::nullopt;
    const auto month = take_digits(text, 2);
    if (!month || !take(text, "-")) return std::nullopt;
    const auto day = take_digits(text, 2);
    if (!day) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year{*year}, std::chrono::month{static_cast<unsigned>(*month)},
                                           std::chrono::day{static_cast<unsigned>(*day)}};
    if (!date.ok()) return std::nullopt;
    return std::chrono::sys_days{date};
}

std::optional<Duration> take_time_of_day(std::string_view& text) {
    const auto hour = take_digits(text, 2);
    if (!hour || !take(text, ":")) return std::nullopt;
    const auto minute = take_digits(text, 2);
    if (!minute || !take(text, ":")) return std::nullopt;
    const auto second = take_digits(text, 2);
    // 60 is a leap second: the first moment of the next minute here
    if (!second || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
    Duration time = std::chrono::hours{*hour} + std::chrono::minutes{*minute} + std::chrono::seconds{*second};
    if (take(text, ".")) {
        int digits = 0;
        for (std::int64_t weight = 100'000; !text.empty() && is_digit(text[0]); weight /= 10, ++digits) {
            time += Duration{(text[0] - '0') * weight};
            text.remove_prefix(1);
        }
        if (digits == 0) return std::nullopt;
    }
    return time;
}

std::optional<std::chrono::minutes> take_zone(std::string_view& text) {
    if (take(text, "Zz")) return std::chrono::minutes{0};
    if (text.empty()) return std::nullopt;
    const int sign = text[0] == '-' ? -1 : 1;
    if (!take(text, "+-")) return std::nullopt;
    const auto hours = take_digits(text, 2);
    if (!hours || !take(text, ":")) return std::nullopt;
    const auto minutes = take_digits(text, 2);
    if (!minutes || *hours > 23 || *minutes > 59) return std::nullopt;
    return std::chrono::minutes{sign * (*hours * 60 + *minutes)};
}

std::string date_and_time(Timestamp when, char separator) {
    const auto day = std::chrono::floor<std::chrono::days>(when);
    const std::chrono::year_month_day date{day};
    const auto seconds = std::chrono::floor<std::chrono::seconds>(when - day).count();
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%04d-%02u-%02u%c%02d:%02d:%02d", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), separator,
                  static_cast<int>(seconds / 3600), static_cast<int>(seconds / 60 % 60),
                  static_cast<int>(seconds % 60));
    return text.data();
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
    std::uint64_t total = 0;
    if (text.starts_with('P')) {
        text.remove_prefix(1);
        const std::size_t t = text.find('T');
        const std::string_view days = text.substr(0, t);
        if (t == std::string_view::npos || !days.empty()) {
            if (!add_pairs(total, days, iso_date_units)) return std::nullopt;
        }
        if (t != std::string_view::npos && !add_pairs(total, text.substr(t + 1), iso_time_units)) return std::nullopt;
    } else if (!add_pairs(total, text, units)) {
        return std::nullopt;
    }
    return Duration{static_cast<Duration::rep>(total)};
}

std::string to_text(Duration duration) {
    if (duration == Duration::zero()) return "0s";
    std::string text = duration < Duration::zero() ? "-" : "";
    std::uint64_t left = static_cast<std::uint64_t>(duration.count());
    if (duration < Duration::zero()) left = 0 - left;
    for (const Unit& unit : units) {
        if (unit.name == "w") continue;  // 30d reads better than 4w2d
        if (const std::uint64_t count = left / unit.microseconds; count > 0) {
            text += std::to_string(count);
            text += unit.name;
        }
        left %= unit.microseconds;
    }
    return text;
}

std::string to_human(Duration duration) {
    using namespace std::chrono;
    constexpr Duration roundable = Duration::max() - days{1};  // the rounding below looks one unit further
    if (duration < Duration::zero()) return "-" + to_human(-std::max(duration, -roundable));
    duration = std::min(duration, roundable);
    if (duration == Duration::zero()) return "0s";
    if (duration < 1ms) return std::to_string(duration.count()) + "us";
    if (duration < microseconds{999'500}) return std::to_string(round<milliseconds>(duration).count()) + "ms";
    if (duration < microseconds{59'950'000}) {
        const auto tenths = round<std::chrono::duration<std::int64_t, std::deci>>(duration).count();
        const std::string fraction = tenths % 10 == 0 ? "" : "." + std::to_string(tenths % 10);
        return std::to_string(tenths / 10) + fraction + "s";
    }
    const auto two = [](std::int64_t count, std::int64_t per_big, const char* big, const char* small) {
        std::string text = std::to_string(count / per_big) + big;
        if (count % per_big != 0) text += " " + std::to_string(count % per_big) + small;
        return text;
    };
    if (const auto count = round<seconds>(duration).count(); count < 3600) return two(count, 60, "m", "s");
    if (const auto count = round<minutes>(duration).count(); count < std::int64_t{24} * 60)
        return two(count, 60, "h", "m");
    return two(round<hours>(duration).count(), 24, "d", "h");
}

std::optional<Timestamp> parse_timestamp(std::string_view text) {
    const auto day = take_date(text);
    if (!day || !take(text, "Tt ")) return std::nullopt;
    const auto time = take_time_of_day(text);
    if (!time) return std::nullopt;
    const auto zone = take_zone(text);
    if (!zone || !text.empty()) return std::nullopt;
    return Timestamp{*day} + *time - *zone;
}

std::string to_text(Timestamp when) {
    const auto second = std::chrono::floor<std::chrono::seconds>(when);
    std::array<char, 16> fraction{};
    std::snprintf(fraction.data(), fraction.size(), ".%06dZ", static_cast<int>((when - second).count()));
    return date_and_time(when, 'T') + fraction.data();
}

std::string to_human(Timestamp when) {
    return date_and_time(when, ' ') + "Z";
}

Timestamp SystemClock::now() const {
    return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

SteadyTime SystemClock::steady() const {
    return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::steady_clock::now());
}

}  // namespace lifeboat
