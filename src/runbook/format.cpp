#include "runbook/format.h"

#include <array>

#include "base/text.h"
#include "runbook/tables.h"

namespace lifeboat {

namespace {

constexpr std::array kinds{FileKind::site, FileKind::runbook, FileKind::drill};

std::optional<FileKind> kind_in_format(std::string_view format) {
    const std::string_view name = format.substr(0, format.find('/'));
    for (const FileKind kind : kinds)
        if (to_text(kind) == name) return kind;
    return std::nullopt;
}

std::string_view unquoted(std::string_view text) {
    if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front())
        return text.substr(1, text.size() - 2);
    return text;
}

}  // namespace

std::string_view to_text(FileKind kind) {
    switch (kind) {
        case FileKind::site:
            return "site";
        case FileKind::runbook:
            return "runbook";
        case FileKind::drill:
            return "drill";
    }
    return "";
}

std::string_view format_of(FileKind kind) {
    switch (kind) {
        case FileKind::site:
            return site_format;
        case FileKind::runbook:
            return runbook_format;
        case FileKind::drill:
            return drill_format;
    }
    return "";
}

std::optional<FileKind> kind_of(std::string_view yaml) {
    if (yaml.starts_with("\xef\xbb\xbf")) yaml.remove_prefix(3);
    while (!yaml.empty()) {
        const std::size_t end = yaml.find('\n');
        std::string_view line = trim(yaml.substr(0, end));
        yaml.remove_prefix(end == std::string_view::npos ? yaml.size() : end + 1);
        if (line.starts_with("---")) line = trim(line.substr(3));
        if (line.starts_with('{')) line = trim(line.substr(1));
        if (line.empty() || line.starts_with('#') || line.starts_with('%')) continue;
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos || unquoted(trim(line.substr(0, colon))) != "lifeboat") return std::nullopt;
        std::string_view value = trim(line.substr(colon + 1));
        value = trim(value.substr(0, value.find_first_of(" \t,}#")));
        return kind_in_format(unquoted(value));
    }
    return std::nullopt;
}

bool has_format(SourceFile& file, const Node& root, FileKind kind) {
    const Path document;
    const Path path{.parent = &document, .key = "lifeboat"};
    if (!root.entries.empty() && root.entries.front().key.text != "lifeboat") {
        const Entry* later = root.entry("lifeboat");
        const Key& key = later != nullptr ? later->key : root.entries.front().key;
        file.error(span_of(file, key), later != nullptr ? path.text() : "", "the first key has to be `lifeboat`",
                   "Begin the file with `lifeboat: " + std::string(format_of(kind)) + "`.");
        if (later == nullptr) return false;
    }
    const Node* format = root.at("lifeboat");
    if (format == nullptr || format->kind != Node::Kind::text || format->text == format_of(kind)) return true;
    const auto other = kind_in_format(format->text);
    if (other && *other != kind) {
        file.error(span_of(file, *format), path.text(),
                   "this is a " + std::string(to_text(*other)) + ", not a " + std::string(to_text(kind)));
    } else if (other) {
        file.error(span_of(file, *format), path.text(), "this version of lifeboat cannot read '" + format->text + "'",
                   "It reads " + std::string(format_of(kind)) + ".");
    } else {
        file.error(span_of(file, *format), path.text(), "'" + format->text + "' is no kind of file",
                   "Write " + std::string(format_of(kind)) + ".");
    }
    return false;
}

}  // namespace lifeboat
