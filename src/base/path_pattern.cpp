#include "base/path_pattern.h"

#include <algorithm>

#include <fnmatch.h>

#include "base/error.h"
#include "base/text.h"

namespace lifeboat {

namespace {

constexpr std::string_view any_parts = "**";

bool part_matches(const std::string& pattern, const std::string& part) {
    return ::fnmatch(pattern.c_str(), part.c_str(), 0) == 0;
}

// In time bounded by the product of both lengths.
bool parts_match(const std::vector<std::string>& pattern, const std::vector<std::string>& parts) {
    // reached[n]: what was seen of the pattern matches the first n parts
    std::vector<bool> reached(parts.size() + 1, false);
    reached[0] = true;
    for (const std::string& each : pattern) {
        std::vector<bool> next(parts.size() + 1, false);
        for (std::size_t n = 0; n <= parts.size(); ++n) {
            if (each == any_parts) {
                next[n] = reached[n] || (n > 0 && next[n - 1]);
            } else if (n > 0) {
                next[n] = reached[n - 1] && part_matches(each, parts[n - 1]);
            }
        }
        reached = std::move(next);
    }
    return reached.back();
}

}  // namespace

std::string path_pattern_refusal(std::string_view pattern) {
    if (pattern.find_first_not_of('/') == std::string_view::npos) return "it would leave out everything, or nothing";
    if (pattern.starts_with('/')) pattern.remove_prefix(1);
    if (pattern.ends_with('/')) pattern.remove_suffix(1);
    const std::vector<std::string> parts = split(pattern, '/');
    for (const std::string& part : parts) {
        if (part.empty() || part == "." || part == "..") return "its parts cannot be empty, '.' or '..'";
        if (part != any_parts && part.find(any_parts) != std::string::npos)
            return "'**' stands for whole parts of a path";
    }
    if (std::all_of(parts.begin(), parts.end(), [](const std::string& part) { return part == any_parts; }))
        return "it would leave out everything";
    return {};
}

PathPatterns::PathPatterns(const std::vector<std::string>& patterns) {
    for (const std::string& text : patterns) {
        if (const std::string why = path_pattern_refusal(text); !why.empty())
            throw Error{ErrorCode::invalid_file, "'" + printable(text) + "' is no pattern of paths: " + why};
        std::string_view rest = text;
        Pattern pattern;
        if (rest.ends_with('/')) {
            pattern.folders_only = true;
            rest.remove_suffix(1);
        }
        pattern.anywhere = rest.find('/') == std::string_view::npos;
        if (rest.starts_with('/')) rest.remove_prefix(1);
        pattern.parts = split(rest, '/');
        patterns_.push_back(std::move(pattern));
    }
}

bool PathPatterns::match(std::string_view path, bool folder) const {
    if (patterns_.empty()) return false;
    const std::vector<std::string> parts = split(path, '/');
    return std::any_of(patterns_.begin(), patterns_.end(), [&](const Pattern& pattern) {
        if (pattern.folders_only && !folder) return false;
        return pattern.anywhere ? part_matches(pattern.parts.front(), parts.back()) : parts_match(pattern.parts, parts);
    });
}

bool PathPatterns::match_within(std::string_view path) const {
    if (patterns_.empty()) return false;
    for (std::size_t slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/', slash + 1))
        if (match(path.substr(0, slash), true)) return true;
    return match(path, false);
}

}  // namespace lifeboat
