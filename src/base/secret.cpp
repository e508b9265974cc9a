#include "base/secret.h"

#include <algorithm>
#include <set>

#include "base/error.h"

namespace lifeboat {

namespace {

bool is_reference(const Json& value) {
    return value.is_object() && value.size() == 1 && value.contains("secret") && value["secret"].is_string();
}

void collect_names(const Json& value, std::set<std::string>& names) {
    if (is_reference(value)) {
        names.insert(value["secret"].get<std::string>());
    } else if (value.is_structured()) {
        for (const Json& item : value)
            collect_names(item, names);
    }
}

}  // namespace

bool is_secret(const Json& value) {
    if (is_reference(value)) return true;
    if (!value.is_object() || value.size() != 1 || !value.contains("secret")) return false;
    const Json& parts = value["secret"];
    return parts.is_array() && std::all_of(parts.begin(), parts.end(),
                                           [](const Json& part) { return part.is_string() || is_reference(part); });
}

std::vector<std::string> secrets_in(const Json& value) {
    std::set<std::string> names;
    collect_names(value, names);
    return {names.begin(), names.end()};
}

Secret resolve_secret(const Json& value, SecretSource& source) {
    if (value.is_string()) return Secret{value.get<std::string>()};
    if (is_reference(value)) return source.fetch(value["secret"].get<std::string>());
    if (!is_secret(value)) {
        throw Error{ErrorCode::internal,
                    "a secret was expected where a value of type " + std::string(value.type_name()) + " stands"};
    }
    std::string text;
    for (const Json& part : value["secret"])
        text += resolve_secret(part, source).reveal();
    return Secret{std::move(text)};
}

}  // namespace lifeboat
