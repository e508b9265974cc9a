#include "runbook/node.h"

#include <algorithm>
#include <charconv>

namespace lifeboat {

namespace {

constexpr std::string_view opening = "${{";

// Bytes that the escape at `at` of a double-quoted scalar takes in the file, and what it means.
struct Escape {
    std::size_t written = 1;
    std::size_t meant = 1;
};

Escape escape_at(std::string_view raw, std::size_t at) {
    if (raw[at] != '\\' || at + 1 >= raw.size()) return {};
    const char kind = raw[at + 1];
    const std::size_t digits = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
    if (digits == 0) {
        const bool two_bytes = kind == 'N' || kind == '_';
        return {.written = 2, .meant = two_bytes ? 2U : kind == 'L' || kind == 'P' ? 3U : 1U};
    }
    std::uint32_t code = 0;
    const std::string_view hex = raw.substr(at + 2, digits);
    std::from_chars(hex.data(), hex.data() + hex.size(), code, 16);
    return {.written = 2 + digits, .meant = code < 0x80 ? 1U : code < 0x800 ? 2U : code < 0x10000 ? 3U : 4U};
}

// Offset in `raw`, a quoted scalar of one line with its quotes, of byte `offset` of its value.
std::size_t offset_in_quotes(std::string_view raw, Node::Style style, std::size_t offset) {
    std::size_t at = 1;
    for (std::size_t value = 0; value < offset && at < raw.size();) {
        Escape step;
        if (style == Node::Style::double_quoted) step = escape_at(raw, at);
        if (style == Node::Style::single_quoted && raw[at] == '\'') step.written = 2;
        at += step.written;
        value += step.meant;
    }
    return at;
}

// Where a scalar of several lines holds the expression that stands at or before `offset` of its value.
std::size_t offset_by_expression(std::string_view text, std::string_view raw, std::size_t offset) {
    std::size_t in_raw = std::string_view::npos;
    std::size_t in_text = text.find(opening);
    while (in_text != std::string_view::npos && in_text <= offset) {
        in_raw = raw.find(opening, in_raw == std::string_view::npos ? 0 : in_raw + 1);
        if (in_raw == std::string_view::npos) return 0;
        const std::size_t next = text.find(opening, in_text + 1);
        if (next == std::string_view::npos || next > offset) {
            const std::size_t inside = offset - in_text;
            const std::size_t line_end = std::min(raw.find('\n', in_raw), raw.size());
            return in_raw + inside < line_end ? in_raw + inside : in_raw;
        }
        in_text = next;
    }
    return 0;
}

}  // namespace

const Entry* Node::entry(std::string_view key) const {
    const auto found =
        std::find_if(entries.begin(), entries.end(), [key](const Entry& each) { return each.key.text == key; });
    return found == entries.end() ? nullptr : &*found;
}

const Node* Node::at(std::string_view key) const {
    const Entry* found = entry(key);
    return found != nullptr ? &found->value : nullptr;
}

std::string_view described(Node::Kind kind) {
    switch (kind) {
        case Node::Kind::null:
            return "nothing";
        case Node::Kind::boolean:
            return "a boolean";
        case Node::Kind::integer:
            return "an integer";
        case Node::Kind::number:
            return "a number";
        case Node::Kind::text:
            return "text";
        case Node::Kind::list:
            return "a list";
        case Node::Kind::map:
            return "a map";
    }
    return "";
}

Json to_json(const Node& node) {
    switch (node.kind) {
        case Node::Kind::null:
            return nullptr;
        case Node::Kind::boolean:
            return node.text == "true";
        case Node::Kind::integer: {
            std::int64_t value = 0;
            const char* first = node.text.data() + (node.text.front() == '+' ? 1 : 0);
            std::from_chars(first, node.text.data() + node.text.size(), value);
            return value;
        }
        case Node::Kind::number: {
            double value = 0;
            const char* first = node.text.data() + (node.text.front() == '+' ? 1 : 0);
            std::from_chars(first, node.text.data() + node.text.size(), value);
            return value;
        }
        case Node::Kind::text:
            return node.text;
        case Node::Kind::list: {
            Json list = Json::array();
            for (const Node& item : node.items)
                list.push_back(to_json(item));
            return list;
        }
        case Node::Kind::map: {
            Json map = Json::object();
            for (const Entry& entry : node.entries)
                map[entry.key.text] = to_json(entry.value);
            return map;
        }
    }
    return nullptr;
}

SourceSpan span_of(const SourceFile& file, const Node& node) {
    return file.span(node.begin, node.end);
}

SourceSpan span_of(const SourceFile& file, const Key& key) {
    return file.span(key.begin, key.end);
}

SourceSpan span_inside(const SourceFile& file, const Node& scalar, std::size_t offset, std::size_t length) {
    const std::string_view raw = file.text().substr(scalar.begin, scalar.end - scalar.begin);
    std::size_t at = 0;
    if (raw.find('\n') != std::string_view::npos || scalar.style == Node::Style::other) {
        const std::size_t extent = scalar.style == Node::Style::other ? file.text().size() : scalar.end;
        at = offset_by_expression(scalar.text, file.text().substr(scalar.begin, extent - scalar.begin), offset);
        if (at == 0) return span_of(file, scalar);
    } else {
        at = scalar.style == Node::Style::plain ? offset : offset_in_quotes(raw, scalar.style, offset);
    }
    return file.span(scalar.begin + at, scalar.begin + at + length);
}

}  // namespace lifeboat
