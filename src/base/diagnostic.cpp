#include "base/diagnostic.h"

#include <algorithm>

#include "base/text.h"

namespace lifeboat {

namespace {

constexpr std::size_t widest_excerpt = 100;
constexpr std::size_t kept_before_caret = 60;
constexpr std::size_t tab_width = 4;

// A source line as it is shown: one entry per column, tabs spread out, nothing that could drive a terminal.
struct Excerpt {
    std::vector<std::string> columns;
    std::vector<std::size_t> starts;  // per character of the line, the column it starts at; one more for the line's end
};

std::size_t character_length(std::string_view text) {
    const auto lead = static_cast<unsigned char>(text[0]);
    const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    return is_utf8(text.substr(0, length)) ? std::min(length, text.size()) : 1;
}

Excerpt excerpt_of(std::string_view line) {
    Excerpt excerpt;
    while (!line.empty()) {
        const std::string_view character = line.substr(0, character_length(line));
        excerpt.starts.push_back(excerpt.columns.size());
        if (character == "\t") {
            do
                excerpt.columns.emplace_back(" ");
            while (excerpt.columns.size() % tab_width != 0);
        } else {
            excerpt.columns.emplace_back(printable(character) == character ? character : "\xef\xbf\xbd");
        }
        line.remove_prefix(character.size());
    }
    excerpt.starts.push_back(excerpt.columns.size());
    return excerpt;
}

std::vector<std::string_view> lines_of(std::string_view source) {
    std::vector<std::string_view> lines;
    while (true) {
        const std::size_t end = source.find('\n');
        std::string_view line = source.substr(0, end);
        if (line.ends_with('\r')) line.remove_suffix(1);
        lines.push_back(line);
        if (end == std::string_view::npos) return lines;
        source.remove_prefix(end + 1);
    }
}

std::string joined(const std::vector<std::string>& columns, std::size_t from, std::size_t to) {
    std::string text;
    for (std::size_t i = from; i < to; ++i)
        text += columns[i];
    return text;
}

// The line with its number, and the caret below it.
std::string shown(std::string_view line, const SourceSpan& span) {
    const Excerpt excerpt = excerpt_of(line);
    const auto column_of = [&excerpt](std::size_t character) {
        return excerpt.starts[std::min(character, excerpt.starts.size() - 1)];
    };
    const auto first = static_cast<std::size_t>(std::max(span.at.column, 1) - 1);
    const std::size_t caret = column_of(first);
    const std::size_t width = excerpt.columns.size();
    const std::size_t caret_end =
        std::max(column_of(first + static_cast<std::size_t>(std::max(span.length, 1))), caret + 1);

    std::size_t from = 0;
    std::size_t to = width;
    if (width > widest_excerpt) {
        from = caret > kept_before_caret ? caret - kept_before_caret : 0;
        to = std::min(from + widest_excerpt, width);
        from = to - widest_excerpt;
    }
    const std::string before = from > 0 ? "…" : "";
    const std::string number = std::to_string(span.at.line);
    const std::string gutter(number.size() < 5 ? 5 - number.size() : 0, ' ');

    std::string text =
        gutter + number + " | " + before + joined(excerpt.columns, from, to) + (to < width ? "…" : "") + "\n";
    text += std::string(gutter.size() + number.size(), ' ') + " | " +
            std::string(caret - from + (from > 0 ? 1 : 0), ' ') + "^";
    return text + std::string(std::max(std::min(caret_end, std::max(to, caret + 1)) - caret, std::size_t{1}) - 1, '~') +
           "\n";
}

}  // namespace

void Diagnostics::error(SourceSpan span, std::string path, std::string message, std::string hint) {
    add({.severity = Severity::error,
         .span = span,
         .path = std::move(path),
         .message = std::move(message),
         .hint = std::move(hint)});
}

void Diagnostics::warning(SourceSpan span, std::string path, std::string message, std::string hint) {
    add({.severity = Severity::warning,
         .span = span,
         .path = std::move(path),
         .message = std::move(message),
         .hint = std::move(hint)});
}

bool Diagnostics::has_errors() const {
    return std::any_of(all_.begin(), all_.end(), [](const Diagnostic& one) { return one.severity == Severity::error; });
}

std::string Diagnostics::render() const {
    std::vector<const Diagnostic*> sorted;
    for (const Diagnostic& one : all_)
        sorted.push_back(&one);
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const Diagnostic* a, const Diagnostic* b) { return a->span.at < b->span.at; });

    const std::vector<std::string_view> lines = lines_of(source_);
    std::string text;
    std::size_t errors = 0;
    for (const Diagnostic* one : sorted) {
        const SourcePosition at = one->span.at;
        text += printable(file_);
        if (at.line > 0) text += ":" + std::to_string(at.line) + ":" + std::to_string(std::max(at.column, 1));
        text += one->severity == Severity::error ? ": error: " : ": warning: ";
        text += printable(one->message) + "\n";
        if (at.line > 0 && static_cast<std::size_t>(at.line) <= lines.size()) {
            text += shown(lines[static_cast<std::size_t>(at.line) - 1], one->span);
        }
        if (!one->path.empty()) text += "at: " + printable(one->path) + "\n";
        if (!one->hint.empty()) text += "hint: " + printable(one->hint) + "\n";
        if (one->severity == Severity::error) ++errors;
    }
    if (all_.size() > 1) {
        const std::size_t warnings = all_.size() - errors;
        if (errors > 0) text += counted(errors, "error");
        if (errors > 0 && warnings > 0) text += ", ";
        if (warnings > 0) text += counted(warnings, "warning");
        text += "\n";
    }
    return text;
}

}  // namespace lifeboat
