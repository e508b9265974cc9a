// Text from outside as Markdown that reads as exactly that text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lifeboat {

// One line of prose: newlines become blanks, control bytes visible, everything that would format is escaped.
std::string markdown_escaped(std::string_view text);
// A code span that survives backticks; empty text stays empty.
std::string markdown_code(std::string_view text);

// A table whose columns line up in the raw text too. Cells are Markdown already; bars in
// them are escaped.
std::string markdown_table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows);

}  // namespace lifeboat
