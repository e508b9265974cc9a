// A YAML document as a tree: what the checks read. Every value and key knows the bytes of the file that it stands in.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "runbook/source_file.h"

namespace lifeboat {

struct Entry;

struct Node {
    enum class Kind { null, boolean, integer, number, text, list, map };
    // How a scalar was written, as far as places inside it depend on it.
    enum class Style { plain, single_quoted, double_quoted, other };

    Kind kind = Kind::null;
    Style style = Style::other;
    bool reported = false;  // a mistake: checks have nothing to add
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::string text;  // of a scalar: numbers and booleans as they were written
    std::vector<Node> items;
    std::vector<Entry> entries;

    bool is_scalar() const { return kind != Kind::list && kind != Kind::map && kind != Kind::null; }
    const Entry* entry(std::string_view key) const;
    const Node* at(std::string_view key) const;
};

struct Key {
    std::string text;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
};

struct Entry {
    Key key;
    Node value;
};

// "a list", "text", …
std::string_view described(Node::Kind kind);

Json to_json(const Node& node);

SourceSpan span_of(const SourceFile& file, const Node& node);
SourceSpan span_of(const SourceFile& file, const Key& key);

// The place of `length` bytes at `offset` of the scalar's text. Exact for scalars of one line; for folded and literal
// ones the place of the same `${{`, else that of the scalar.
SourceSpan span_inside(const SourceFile& file, const Node& scalar, std::size_t offset, std::size_t length);

}  // namespace lifeboat
