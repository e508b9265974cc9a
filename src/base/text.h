// Small operations on text that several rooms need.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lifeboat {

// The nearest of `names` to `misspelt` when it is near enough to be meant; for "did you mean".
std::optional<std::string> nearest(std::string_view misspelt, std::span<const std::string> names);

// " (did you mean 'x'?)" or nothing: what diagnostics append.
std::string did_you_mean(std::string_view misspelt, std::span<const std::string> names);

std::string join(std::span<const std::string> parts, std::string_view separator);
std::vector<std::string> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);

// Control bytes, ESC among them, as visible escapes (`\x1b`), so that text from a child cannot drive a terminal. Keeps
// \n and \t when `keep_lines`.
std::string printable(std::string_view text, bool keep_lines = false);

// UTF-8 characters in `text`; a bad byte counts as one.
std::size_t characters(std::string_view text);
// Whether `text` is well-formed UTF-8.
bool is_utf8(std::string_view text);

// '12 rows', '1 row'.
std::string counted(std::size_t count, std::string_view singular, std::string_view plural = {});

}  // namespace lifeboat
