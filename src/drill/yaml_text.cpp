#include "drill/yaml_text.h"

namespace lifeboat {

namespace {

// As to_text, but with a blank behind each colon: without it a plain key would run into its value.
void write(std::string& text, const Json& value) {
    if (value.is_object()) {
        text += "{";
        bool first = true;
        for (const auto& [key, each] : value.items()) {
            text += std::exchange(first, false) ? "" : ", ";
            text += to_text(Json(key)) + ": ";
            write(text, each);
        }
        text += "}";
    } else if (value.is_array()) {
        text += "[";
        bool first = true;
        for (const Json& each : value) {
            text += std::exchange(first, false) ? "" : ", ";
            write(text, each);
        }
        text += "]";
    } else {
        text += to_text(value);
    }
}

}  // namespace

std::string yaml_text(const std::vector<std::pair<std::string, Json>>& document) {
    std::string text;
    for (const auto& [key, value] : document) {
        text += key + ": ";
        // lists of maps stand one below the other: for people, and because lines have a limit
        if (value.is_array() && !value.empty() && value.front().is_object()) {
            for (const Json& each : value) {
                text += "\n  - ";
                write(text, each);
            }
        } else if (value.is_object() && !value.empty()) {
            for (const auto& [name, each] : value.items()) {
                text += "\n  " + to_text(Json(name)) + ": ";
                write(text, each);
            }
        } else if (value.is_string() && key == "lifeboat") {
            text += value.get<std::string>();
        } else {
            write(text, value);
        }
        text += "\n";
    }
    return text;
}

}  // namespace lifeboat
