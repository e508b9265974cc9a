// XML answers of servers as a small tree. Names are local names, without their namespace; entities of a document type
// are never expanded, and what lies deeper than 64 elements is left out.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lifeboat {

struct XmlElement {
    std::string name;
    std::string text;  // of this element itself
    std::vector<XmlElement> children;

    // The first child of that name, nullptr when there is none.
    const XmlElement* child(std::string_view child_name) const;
    // Its text; empty when there is none.
    std::string text_of(std::string_view child_name) const;
};

// nullopt when `text` is no well-formed document.
std::optional<XmlElement> parse_xml(std::string_view text);

// `text` as the content of an element.
std::string xml_escaped(std::string_view text);

}  // namespace lifeboat
