// The words of a Lua expression with their places: enough to see what it names and that it is no statement.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace lifeboat {

struct Token {
    enum class Kind { name, keyword, number, text, symbol };
    Kind kind;
    std::string_view spelling;  // strings with their quotes
    std::size_t offset = 0;     // bytes from the start
};

// Comments are left out; ends at the first thing that is no token (an unfinished string among them).
std::vector<Token> tokens_of(std::string_view text);

}  // namespace lifeboat
