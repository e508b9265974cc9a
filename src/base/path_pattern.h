// What is left out of a tree, in the manner of a .gitignore: a pattern without '/' in front or within names entries at
// any depth ("*.tmp"); one with it begins at the tree's root ("var/cache", "/core"). '*', '?' and '[…]' stand for text
// within one part, "**" as a whole part for any number of parts. A '/' at the end means folders alone. What lies below
// a folder that matches is left out with it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lifeboat {

// Why `pattern` cannot be one; empty when it can.
std::string path_pattern_refusal(std::string_view pattern);

class PathPatterns {
  public:
    PathPatterns() = default;
    // Throws Error{invalid_file} for what is none.
    explicit PathPatterns(const std::vector<std::string>& patterns);

    bool empty() const { return patterns_.empty(); }
    // Whether this very entry is left out; `path` is relative to the tree's root.
    bool match(std::string_view path, bool folder) const;
    // The same of a file, for trees whose folders are not asked about: any folder above it counts.
    bool match_within(std::string_view path) const;

  private:
    struct Pattern {
        std::vector<std::string> parts;
        bool anywhere = false;
        bool folders_only = false;
    };
    std::vector<Pattern> patterns_;
};

}  // namespace lifeboat
