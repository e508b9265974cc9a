#include "stores/xml.h"

#include <pugixml.hpp>

namespace lifeboat {

namespace {

constexpr int deepest = 64;

XmlElement element_of(const pugi::xml_node& node, int depth) {
    const std::string_view full = node.name();
    const std::size_t colon = full.rfind(':');
    XmlElement element{.name = std::string(colon == std::string_view::npos ? full : full.substr(colon + 1)),
                       .text = node.text().get(),
                       .children = {}};
    if (depth == deepest) return element;
    for (const pugi::xml_node& child : node.children()) {
        if (child.type() == pugi::node_element) element.children.push_back(element_of(child, depth + 1));
    }
    return element;
}

}  // namespace

const XmlElement* XmlElement::child(std::string_view child_name) const {
    for (const XmlElement& element : children) {
        if (element.name == child_name) return &element;
    }
    return nullptr;
}

std::string XmlElement::text_of(std::string_view child_name) const {
    const XmlElement* element = child(child_name);
    return element == nullptr ? std::string() : element->text;
}

std::optional<XmlElement> parse_xml(std::string_view text) {
    pugi::xml_document document;
    // white space may be all of a key
    const unsigned options = pugi::parse_default | pugi::parse_ws_pcdata_single;
    if (!document.load_buffer(text.data(), text.size(), options, pugi::encoding_utf8)) return std::nullopt;
    if (!document.document_element()) return std::nullopt;
    return element_of(document.document_element(), 0);
}

std::string xml_escaped(std::string_view text) {
    std::string escaped;
    for (const char letter : text) {
        if (letter == '&') {
            escaped += "&amp;";
        } else if (letter == '<') {
            escaped += "&lt;";
        } else if (letter == '>') {
            escaped += "&gt;";
        } else if (letter == '"') {
            escaped += "&quot;";
        } else {
            escaped += letter;
        }
    }
    return escaped;
}

}  // namespace lifeboat
