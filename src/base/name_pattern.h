// Names that other tools give to what they write, as a pattern with placeholders: `full_backup_<time>.tar.gz`. A name
// gives its time only here; what it does not state is not guessed. A pattern is a relative path; `<time>` stands for an
// instant, `<id>` and `<*>` for any text within one part of the path, `<**>` at the end for the rest of the path.
// Matching takes time bounded by the product of both lengths, whatever the names are.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace lifeboat {

// `UTC`, `Z`, `+02:00`: what has to be added to UTC. Nothing for names of regions: their rules are not in a name.
std::optional<Duration> parse_fixed_zone(std::string_view text);

// How a time is written in a name: `%Y %m %d %H %M %S` and plain text between them, each of a fixed width; or `iso`,
// which takes 2026-02-01T02:00:00Z and every spelling of it with '-', '.' or nothing instead of ':', with fractions and
// zones.
inline constexpr std::string_view iso_name_time = "iso";
// Why `format` cannot be one; empty when it can.
std::string name_time_refusal(std::string_view format);

struct NameMatch {
    std::string id;                 // of `<id>`
    std::optional<Timestamp> time;  // of `<time>`, in UTC
    std::string impossible;         // the text at `<time>` where it has the shape of a time and is none: 2026-02-30
    std::string stem;               // everything before `<**>`; without one the whole name
    std::string rest;               // of `<**>`
};

class NamePattern {
  public:
    // Throws Error{invalid_file} that says what is wrong with the pattern, the format or the zone.
    NamePattern(std::string_view pattern, std::string_view time_format, std::string_view zone);

    const std::string& text() const { return text_; }
    bool has_time() const { return has(Token::Kind::time); }
    bool has_id() const { return has(Token::Kind::id); }
    bool has_rest() const { return has(Token::Kind::rest); }
    // All names that match begin with it.
    std::string prefix() const;
    // Whether names that match may have a '/' behind `prefix`.
    bool goes_deeper() const;

    std::optional<NameMatch> match(std::string_view name) const;

  private:
    struct Token {
        enum class Kind { text, time, id, any, rest };
        Kind kind = Kind::text;
        std::string text;  // of Kind::text
    };
    class Matching;
    bool has(Token::Kind kind) const;

    std::string text_;
    std::vector<Token> tokens_;
    std::string format_;
    Duration zone_{};
};

}  // namespace lifeboat
