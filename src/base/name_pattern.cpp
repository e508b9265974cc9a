#include "base/name_pattern.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace lifeboat {

namespace {

constexpr std::string_view conversions = "YmdHMS";

bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}

// The number of exactly `width` digits at the front of `text`, which are taken off.
std::optional<int> take_digits(std::string_view& text, std::size_t width) {
    if (text.size() < width) return std::nullopt;
    int value = 0;
    for (std::size_t i = 0; i < width; ++i) {
        if (!is_digit(text[i])) return std::nullopt;
        value = value * 10 + (text[i] - '0');
    }
    text.remove_prefix(width);
    return value;
}

bool take(std::string_view& text, std::string_view any_of) {
    if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
    text.remove_prefix(1);
    return true;
}

struct Parts {
    int year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0;
    std::int64_t microseconds = 0;
    std::optional<Duration> zone;  // where the name states one

    // Nothing for 30 February. A leap second counts as the last one before it: earlier is the safe side.
    std::optional<Timestamp> instant(Duration otherwise) const {
        const std::chrono::year_month_day date{std::chrono::year(year),
                                               std::chrono::month(static_cast<unsigned>(month)),
                                               std::chrono::day(static_cast<unsigned>(day))};
        if (!date.ok() || year < 1970 || hour > 23 || minute > 59 || second > 60) return std::nullopt;
        return Timestamp{std::chrono::sys_days(date)} + std::chrono::hours(hour) + std::chrono::minutes(minute) +
               std::chrono::seconds(std::min(second, 59)) + Duration(microseconds) - zone.value_or(otherwise);
    }
};

// A time at the front of a text, and how many bytes it takes; nothing when there is none of that shape.
struct Front {
    Parts parts;
    std::size_t length;
};

std::optional<Front> front_by_format(std::string_view text, std::string_view format) {
    const std::size_t whole = text.size();
    Parts parts;
    while (!format.empty()) {
        if (format.front() != '%') {
            if (!take(text, format.substr(0, 1))) return std::nullopt;
            format.remove_prefix(1);
            continue;
        }
        const char conversion = format[1];
        format.remove_prefix(2);
        const auto value = take_digits(text, conversion == 'Y' ? 4 : 2);
        if (!value) return std::nullopt;
        const std::array<std::pair<char, int*>, 6> fields{{{'Y', &parts.year},
                                                           {'m', &parts.month},
                                                           {'d', &parts.day},
                                                           {'H', &parts.hour},
                                                           {'M', &parts.minute},
                                                           {'S', &parts.second}}};
        for (const auto& [name, field] : fields)
            if (name == conversion) *field = *value;
    }
    return Front{.parts = parts, .length = whole - text.size()};
}

// +02:00, -0230, +02, and -02-00 as names without ':' have it.
bool take_zone(std::string_view& text, Duration& zone) {
    if (take(text, "Zz")) {
        zone = Duration::zero();
        return true;
    }
    std::string_view rest = text;
    const bool west = !rest.empty() && rest.front() == '-';
    if (!take(rest, "+-")) return false;
    const auto hours = take_digits(rest, 2);
    if (!hours || *hours > 15) return false;
    std::string_view behind = rest;
    take(behind, ":-");
    const auto minutes = take_digits(behind, 2);
    if (minutes && *minutes < 60) rest = behind;
    zone = std::chrono::hours(*hours) + std::chrono::minutes(minutes && *minutes < 60 ? *minutes : 0);
    if (west) zone = -zone;
    text = rest;
    return true;
}

// Every way to read one, the longest first: a fraction and a zone may also be text of the name.
std::vector<Front> fronts_of_iso(std::string_view text) {
    const std::size_t whole = text.size();
    std::vector<Front> fronts;
    Parts parts;
    const auto number = [&text](int& field, std::size_t width) {
        const auto value = take_digits(text, width);
        if (value) field = *value;
        return value.has_value();
    };
    if (!number(parts.year, 4)) return fronts;
    const bool dashes = take(text, "-");
    if (!number(parts.month, 2) || take(text, "-") != dashes || !number(parts.day, 2)) return fronts;
    if (!take(text, "Tt_ ") || !number(parts.hour, 2)) return fronts;
    const std::string between = text.empty() || is_digit(text.front()) ? std::string() : std::string(1, text.front());
    if (!between.empty() && between != ":" && between != "-" && between != "." && between != "_") return fronts;
    if (!between.empty()) text.remove_prefix(1);
    if (!number(parts.minute, 2) || (!between.empty() && !take(text, between)) || !number(parts.second, 2))
        return fronts;

    const auto add = [&](std::string_view rest, Parts with) {
        std::string_view behind = rest;
        Duration zone{};
        if (take_zone(behind, zone)) {
            Parts zoned = with;
            zoned.zone = zone;
            fronts.push_back(Front{.parts = zoned, .length = whole - behind.size()});
        }
        fronts.push_back(Front{.parts = with, .length = whole - rest.size()});
    };
    std::string_view behind = text;
    const bool dash = !behind.empty() && behind.front() == '-';
    if (take(behind, ".,-")) {
        std::size_t digits = 0;
        while (digits < behind.size() && digits < 9 && is_digit(behind[digits]))
            ++digits;
        // `-0200` is a zone, `-123Z` a fraction as `toISOString()` with its '.' replaced gives it
        if (digits > 0 && (!dash || digits == 3 || digits == 6)) {
            Parts fine = parts;
            std::int64_t scale = 100'000;
            for (std::size_t i = 0; i < digits; ++i, scale /= 10)
                fine.microseconds += (behind[i] - '0') * scale;
            add(behind.substr(digits), fine);
        }
    }
    add(text, parts);
    return fronts;
}

Error wrong(const std::string& message, std::string hint = {}) {
    return Error{ErrorCode::invalid_file, message, std::move(hint)};
}

}  // namespace

std::optional<Duration> parse_fixed_zone(std::string_view text) {
    if (text == "UTC") return Duration::zero();
    Duration zone{};
    const bool offset = text.size() == 6 && text[3] == ':';
    if ((!offset && text != "Z") || !take_zone(text, zone) || !text.empty()) return std::nullopt;
    return zone;
}

std::string name_time_refusal(std::string_view format) {
    if (format == iso_name_time) return {};
    std::string found;
    for (std::size_t i = 0; i < format.size(); ++i) {
        if (format[i] == '/') return "a time does not go over several parts of a path";
        if (is_digit(format[i])) return "digits beside a conversion would be read as part of it";
        if (format[i] != '%') continue;
        ++i;
        if (i == format.size()) return "it ends in '%'";
        if (conversions.find(format[i]) == std::string_view::npos)
            return "'" + printable(format.substr(i - 1, 2)) + "' is not one of %Y %m %d %H %M %S";
        if (found.find(format[i]) != std::string::npos) return "'%" + std::string(1, format[i]) + "' stands twice";
        found += format[i];
    }
    const auto has = [&found](char conversion) { return found.find(conversion) != std::string::npos; };
    for (const char conversion : {'Y', 'm', 'd'})
        if (!has(conversion)) return "'%" + std::string(1, conversion) + "' is missing";
    if ((has('M') && !has('H')) || (has('S') && !has('M'))) return "it has minutes or seconds without what is above";
    return {};
}

NamePattern::NamePattern(std::string_view pattern, std::string_view time_format, std::string_view zone)
    : text_(pattern), format_(time_format) {
    if (const std::string why = name_time_refusal(time_format); !why.empty())
        throw wrong("'" + printable(time_format) + "' is no format of a time: " + why,
                    "Write it like %Y%m%d_%H%M%S, or 'iso'.");
    const auto fixed = parse_fixed_zone(zone);
    if (!fixed)
        throw wrong("'" + printable(zone) + "' is no fixed zone", "Write 'UTC', or an offset such as '+02:00'.");
    zone_ = *fixed;

    const auto refuse = [&](const std::string& why, std::string hint = {}) {
        return wrong("pattern '" + printable(pattern) + "': " + why, std::move(hint));
    };
    const std::string placeholders = "The placeholders are <time>, <id>, <*> and, at the end, <**>.";
    if (pattern.empty()) throw wrong("the pattern is empty", placeholders);
    std::string plain;
    const auto end_text = [&] {
        if (!plain.empty()) tokens_.push_back(Token{.kind = Token::Kind::text, .text = std::exchange(plain, {})});
    };
    for (std::string_view rest = pattern; !rest.empty();) {
        if (rest.front() == '>') throw refuse("'>' ends no placeholder", placeholders);
        if (rest.front() != '<') {
            plain += rest.front();
            rest.remove_prefix(1);
            continue;
        }
        const std::size_t end = rest.find('>');
        if (end == std::string_view::npos) throw refuse("'<' begins no placeholder", placeholders);
        const std::string_view name = rest.substr(1, end - 1);
        rest.remove_prefix(end + 1);
        Token token;
        if (name == "time") {
            token.kind = Token::Kind::time;
        } else if (name == "id") {
            token.kind = Token::Kind::id;
        } else if (name == "*") {
            token.kind = Token::Kind::any;
        } else if (name == "**") {
            token.kind = Token::Kind::rest;
        } else {
            const std::vector<std::string> names{"time", "id"};
            throw refuse("'<" + printable(name) + ">' is no placeholder" + did_you_mean(name, names), placeholders);
        }
        end_text();
        if ((token.kind == Token::Kind::time || token.kind == Token::Kind::id) && has(token.kind))
            throw refuse("'<" + std::string(name) + ">' stands twice", "Write <*> for the one that need not be read.");
        if (token.kind == Token::Kind::rest && !rest.empty()) throw refuse("'<**>' stands before the end");
        if (token.kind == Token::Kind::rest && (tokens_.empty() || !tokens_.back().text.ends_with('/')))
            throw refuse("'<**>' stands for whole parts of the path", "Put a '/' before it.");
        const bool wild = token.kind == Token::Kind::id || token.kind == Token::Kind::any;
        if (wild && !tokens_.empty() &&
            (tokens_.back().kind == Token::Kind::id || tokens_.back().kind == Token::Kind::any))
            throw refuse("two placeholders for any text stand side by side");
        tokens_.push_back(std::move(token));
    }
    end_text();
    std::string sample;
    for (const Token& token : tokens_)
        sample += token.kind == Token::Kind::text ? token.text : "x";
    for (const std::string& part : split(sample, '/'))
        if (part.empty() || part == "." || part == "..")
            throw refuse("it is no relative path", "Write it as a key below the store, such as db/backup_<time>.sql.");
}

bool NamePattern::has(Token::Kind kind) const {
    return std::any_of(tokens_.begin(), tokens_.end(), [kind](const Token& token) { return token.kind == kind; });
}

std::string NamePattern::prefix() const {
    return tokens_.front().kind == Token::Kind::text ? tokens_.front().text : std::string();
}

bool NamePattern::goes_deeper() const {
    const std::size_t first = tokens_.front().kind == Token::Kind::text ? 1 : 0;
    return std::any_of(tokens_.begin() + static_cast<std::ptrdiff_t>(first), tokens_.end(), [](const Token& token) {
        return token.kind == Token::Kind::rest || token.text.find('/') != std::string::npos;
    });
}

// Backtracking that remembers where it failed, so that a hostile name costs no more than tokens times bytes.
class NamePattern::Matching {
  public:
    Matching(const NamePattern& pattern, std::string_view name) : pattern_(pattern), name_(name) {}

    std::optional<NameMatch> run() {
        if (!from(0, 0)) return std::nullopt;
        if (stem_ == std::string_view::npos) stem_ = name_.size();
        found_.stem = std::string(name_.substr(0, stem_));
        return std::move(found_);
    }

  private:
    bool from(std::size_t token, std::size_t at) {
        if (token == pattern_.tokens_.size()) return at == name_.size();
        if (failed_.contains({token, at})) return false;
        if (here(token, at)) return true;
        failed_.insert({token, at});
        return false;
    }

    bool here(std::size_t index, std::size_t at) {
        const Token& token = pattern_.tokens_[index];
        const std::string_view rest = name_.substr(at);
        switch (token.kind) {
            case Token::Kind::text:
                return rest.starts_with(token.text) && from(index + 1, at + token.text.size());
            case Token::Kind::time:
                return time(index, at, rest);
            case Token::Kind::id:
            case Token::Kind::any: {
                const std::size_t most = std::min(rest.find('/'), rest.size());
                for (std::size_t length = 1; length <= most; ++length) {
                    if (!from(index + 1, at + length)) continue;
                    if (token.kind == Token::Kind::id) found_.id = std::string(rest.substr(0, length));
                    return true;
                }
                return false;
            }
            case Token::Kind::rest:
                if (rest.empty()) return false;
                found_.rest = std::string(rest);
                stem_ = at;
                return true;
        }
        return false;
    }

    bool time(std::size_t index, std::size_t at, std::string_view rest) {
        std::vector<Front> fronts;
        if (pattern_.format_ == iso_name_time) {
            fronts = fronts_of_iso(rest);
        } else if (const auto front = front_by_format(rest, pattern_.format_)) {
            fronts.push_back(*front);
        }
        for (const Front& front : fronts) {
            if (!from(index + 1, at + front.length)) continue;
            found_.time = front.parts.instant(pattern_.zone_);
            if (!found_.time) found_.impossible = std::string(rest.substr(0, front.length));
            return true;
        }
        return false;
    }

    const NamePattern& pattern_;
    const std::string_view name_;
    std::set<std::pair<std::size_t, std::size_t>> failed_;
    NameMatch found_;
    std::size_t stem_ = std::string_view::npos;
};

std::optional<NameMatch> NamePattern::match(std::string_view name) const {
    return Matching(*this, name).run();
}

}  // namespace lifeboat
