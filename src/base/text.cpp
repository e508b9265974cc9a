#include "base/text.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace lifeboat {

namespace {

struct Character {
    std::uint32_t code = 0;
    std::size_t bytes = 1;
    bool valid = false;
};

// The character at the start of `text`, which is not empty. A byte that begins no well-formed sequence is one bad
// character.
Character first_character(std::string_view text) {
    const auto byte = [&text](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    const std::uint8_t lead = byte(0);
    if (lead < 0x80) return {.code = lead, .bytes = 1, .valid = true};
    const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return {.code = lead};
    std::uint32_t code = lead & (0x7fU >> length);
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return {.code = lead};
        code = (code << 6) | (byte(i) & 0x3fU);
    }
    constexpr std::array<std::uint32_t, 5> smallest{0, 0, 0x80, 0x800, 0x10000};
    if (code < smallest[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return {.code = lead};
    return {.code = code, .bytes = length, .valid = true};
}

// Same letter in another case, or the other one of `-` and `_`: people mean the same.
char folded(char c) {
    if (c >= 'A' && c <= 'Z') return static_cast<char>(c - 'A' + 'a');
    return c == '-' ? '_' : c;
}

// Insertions, deletions, replacements and swapped neighbours between `a` and `b`, or `limit` + 1 when there are more.
std::size_t distance(std::string_view a, std::string_view b, std::size_t limit) {
    if ((a.size() > b.size() ? a.size() - b.size() : b.size() - a.size()) > limit) return limit + 1;
    std::vector<std::size_t> before_last(b.size() + 1);
    std::vector<std::size_t> last(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j)
        last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        std::size_t least = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t cost = folded(a[i - 1]) == folded(b[j - 1]) ? 0 : 1;
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + cost});
            if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) && folded(a[i - 2]) == folded(b[j - 1])) {
                row[j] = std::min(row[j], before_last[j - 2] + 1);
            }
            least = std::min(least, row[j]);
        }
        if (least > limit + 1) return limit + 1;
        before_last.swap(last);
        last.swap(row);
    }
    return std::min(last[b.size()], limit + 1);
}

std::size_t mistakes_allowed(std::size_t length) {
    if (length < 2) return 0;
    return length < 6 ? 1 : std::min<std::size_t>(length / 3, 4);
}

bool drives_terminal(std::uint32_t code) {
    const bool control = code < 0x20 || (code >= 0x7f && code <= 0x9f);
    const bool turns_text_around = (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
    return control || turns_text_around;
}

void append_hex(std::string& out, std::uint32_t value, int digits) {
    for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4)
        out += "0123456789abcdef"[(value >> shift) & 0xf];
}

void append_escaped(std::string& out, std::uint32_t code) {
    if (code == '\n') {
        out += "\\n";
    } else if (code == '\t') {
        out += "\\t";
    } else if (code == '\r') {
        out += "\\r";
    } else if (code <= 0xff) {
        out += "\\x";
        append_hex(out, code, 2);
    } else {
        out += "\\u";
        append_hex(out, code, 4);
    }
}

}  // namespace

std::optional<std::string> nearest(std::string_view misspelt, std::span<const std::string> names) {
    const std::string* best = nullptr;
    std::size_t best_distance = 0;
    for (const std::string& name : names) {
        const std::size_t limit = mistakes_allowed(std::max(misspelt.size(), name.size()));
        const std::size_t apart = distance(misspelt, name, limit);
        if (apart > limit || (best != nullptr && apart >= best_distance)) continue;
        best = &name;
        best_distance = apart;
    }
    if (best == nullptr) return std::nullopt;
    return *best;
}

std::string did_you_mean(std::string_view misspelt, std::span<const std::string> names) {
    const auto name = nearest(misspelt, names);
    return name ? " (did you mean '" + *name + "'?)" : "";
}

std::string join(std::span<const std::string> parts, std::string_view separator) {
    std::string joined;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (i > 0) joined += separator;
        joined += parts[i];
    }
    return joined;
}

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    while (true) {
        const std::size_t end = text.find(separator);
        parts.emplace_back(text.substr(0, end));
        if (end == std::string_view::npos) return parts;
        text.remove_prefix(end + 1);
    }
}

std::string_view trim(std::string_view text) {
    constexpr std::string_view blank = " \t\r\n\v\f";
    const std::size_t first = text.find_first_not_of(blank);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

std::string printable(std::string_view text, bool keep_lines) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const Character next = first_character(text);
        const bool kept = keep_lines && (next.code == '\n' || next.code == '\t');
        if (!kept && (!next.valid || drives_terminal(next.code))) {
            append_escaped(out, next.code);
        } else {
            out += text.substr(0, next.bytes);
        }
        text.remove_prefix(next.bytes);
    }
    return out;
}

std::size_t characters(std::string_view text) {
    std::size_t count = 0;
    for (; !text.empty(); ++count)
        text.remove_prefix(first_character(text).bytes);
    return count;
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const Character next = first_character(text);
        if (!next.valid) return false;
        text.remove_prefix(next.bytes);
    }
    return true;
}

std::string counted(std::size_t count, std::string_view singular, std::string_view plural) {
    std::string text = std::to_string(count) + " ";
    if (count == 1) return text += singular;
    if (!plural.empty()) return text += plural;
    return (text += singular) += 's';
}

}  // namespace lifeboat
