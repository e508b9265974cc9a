#include "base/json.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/text.h"

namespace lifeboat {

namespace {

constexpr int deepest = 200;

// The library parses without recursion but prints and frees with it: what is too deep is refused before it exists.
std::optional<std::size_t> too_deep_at(std::string_view text) {
    int depth = 0;
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (quoted) {
            if (c == '\\') {
                ++i;
            } else if (c == '"') {
                quoted = false;
            }
        } else if (c == '"') {
            quoted = true;
        } else if (c == '[' || c == '{') {
            if (++depth > deepest) return i;
        } else if (c == ']' || c == '}') {
            --depth;
        }
    }
    return std::nullopt;
}

std::string place_of(std::string_view text, std::size_t offset) {
    const std::string_view before = text.substr(0, offset);
    const auto lines = std::count(before.begin(), before.end(), '\n');
    const std::size_t line_start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
    return "line " + std::to_string(lines + 1) + ", column " +
           std::to_string(characters(before.substr(line_start)) + 1);
}

// "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while parsing value - why" → "why"
std::string reason_of(std::string_view what) {
    if (const auto bracket = what.find("] "); bracket != std::string_view::npos) what.remove_prefix(bracket + 2);
    if (what.starts_with("parse error")) {
        if (const auto colon = what.find(": "); colon != std::string_view::npos) what.remove_prefix(colon + 2);
    }
    if (const auto dash = what.find(" - "); dash != std::string_view::npos && what.starts_with("syntax error")) {
        what.remove_prefix(dash + 3);
    }
    return printable(what);
}

}  // namespace

std::string to_text(const Json& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string to_pretty_text(const Json& value) {
    return value.dump(2, ' ', false, Json::error_handler_t::replace);
}

Json parse_json(std::string_view text, std::string_view what) {
    const std::string subject = "'" + std::string(what) + "'";
    if (const auto offset = too_deep_at(text)) {
        throw Error{ErrorCode::invalid_file, subject + " is nested deeper than " + std::to_string(deepest) +
                                                 " levels at " + place_of(text, *offset)};
    }
    try {
        return Json::parse(text.begin(), text.end());
    } catch (const Json::parse_error& error) {
        const std::size_t offset = error.byte > 0 ? std::min(error.byte - 1, text.size()) : 0;
        throw Error{ErrorCode::invalid_file,
                    subject + " is not valid JSON at " + place_of(text, offset) + ": " + reason_of(error.what())};
    } catch (const Json::exception& error) {
        throw Error{ErrorCode::invalid_file, subject + " is not valid JSON: " + reason_of(error.what())};
    }
}

}  // namespace lifeboat
