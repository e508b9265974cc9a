// JSON values: the one alias for the library's type, and the two conversions whose defaults would bite.
// Objects keep their keys sorted, so the same value always has the same text (digests rely on it).
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace lifeboat {

using Json = nlohmann::json;

// The one-line text of `value`. Bytes that are no UTF-8 (a child's output) become U+FFFD instead of throwing.
std::string to_text(const Json& value);

// The same over several lines, for people.
std::string to_pretty_text(const Json& value);

// Parses `text`; throws Error{invalid_file} naming `what` and the place. Nesting is limited to 200 levels.
Json parse_json(std::string_view text, std::string_view what);

}  // namespace lifeboat
