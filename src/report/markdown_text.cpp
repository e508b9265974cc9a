#include "report/markdown_text.h"

#include <algorithm>

#include "base/text.h"

namespace lifeboat {

namespace {

bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (static_cast<unsigned char>(c) & 0x80u) != 0;
}

std::string one_line(std::string_view text) {
    std::string line = printable(text, true);
    std::replace(line.begin(), line.end(), '\n', ' ');
    std::replace(line.begin(), line.end(), '\t', ' ');
    return line;
}

bool ends_word(std::string_view text, std::size_t at) {
    return at >= text.size() || text[at] == ' ';
}

std::string without_bars(std::string_view cell) {
    std::string safe;
    for (std::size_t i = 0; i < cell.size(); ++i) {
        if (cell[i] == '|' && (i == 0 || cell[i - 1] != '\\')) safe += '\\';
        safe += cell[i];
    }
    return safe;
}

// Digits, '.' or ')' and a blank at the start would begin a numbered list.
std::size_t list_number(std::string_view text) {
    std::size_t digits = 0;
    while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9')
        ++digits;
    return digits > 0 && digits < text.size() && (text[digits] == '.' || text[digits] == ')') &&
                   ends_word(text, digits + 1)
               ? digits
               : std::string_view::npos;
}

}  // namespace

std::string markdown_escaped(std::string_view text) {
    const std::string line = one_line(trim(text));
    const std::size_t number = list_number(line);
    std::string out;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (c == '<') {
            out += "&lt;";
            continue;
        }
        if (c == '&') {
            out += "&amp;";
            continue;
        }
        bool escape = std::string_view("\\`*[]|~").find(c) != std::string_view::npos;
        // an underscore inside a word does not format, and names are full of them
        if (c == '_') escape = !(i > 0 && i + 1 < line.size() && is_word(line[i - 1]) && is_word(line[i + 1]));
        if (i == 0) {
            const bool marks = (c == '+' || c == '-') && (ends_word(line, 1) || line[1] == c);
            escape = escape || marks || std::string_view("#>=").find(c) != std::string_view::npos;
        }
        if (i == number) escape = true;
        // addresses are shown, not linked
        if (c == ':' && std::string_view(line).substr(i).starts_with("://")) escape = true;
        if (escape) out += '\\';
        out += c;
    }
    return out;
}

std::string markdown_code(std::string_view text) {
    std::string line = one_line(text);
    if (line.empty()) return line;
    std::size_t longest = 0;
    for (std::size_t i = 0, run = 0; i < line.size(); ++i) {
        run = line[i] == '`' ? run + 1 : 0;
        longest = std::max(longest, run);
    }
    const std::string fence(longest + 1, '`');
    const std::string pad = longest > 0 || line.front() == ' ' ? " " : "";
    return fence + pad + line + pad + fence;
}

std::string markdown_table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& wanted) {
    std::vector<std::vector<std::string>> rows = wanted;
    for (auto& row : rows) {
        for (std::string& cell : row)
            cell = without_bars(cell);
    }
    constexpr std::size_t widest = 60;  // a long cell must not push every other row apart
    std::vector<std::size_t> widths;
    for (const std::string& cell : head)
        widths.push_back(std::max<std::size_t>(3, characters(cell)));
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i)
            widths[i] = std::max(widths[i], std::min(widest, characters(row[i])));
    }
    const auto line = [&widths](const std::vector<std::string>& cells) {
        std::string text = "|";
        for (std::size_t i = 0; i < cells.size(); ++i) {
            text += " " + cells[i];
            if (const std::size_t now = characters(cells[i]); now < widths[i]) text.append(widths[i] - now, ' ');
            text += " |";
        }
        return text + "\n";
    };
    std::string text = line(head);
    text += "|";
    for (const std::size_t width : widths)
        text += std::string(width + 2, '-') + "|";
    text += "\n";
    for (const auto& row : rows)
        text += line(row);
    return text;
}

}  // namespace lifeboat
