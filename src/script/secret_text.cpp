#include "script/secret_text.h"

#include "base/error.h"

namespace lifeboat {

namespace {

// Secret text lives outside of Lua's memory and its limit.
constexpr std::size_t most_bytes = 256U << 10;
constexpr std::size_t most_parts = 1000;

void append(Json& list, const Json& part) {
    if (part.is_string() && !list.empty() && list.back().is_string()) {
        list.back().get_ref<std::string&>() += part.get_ref<const std::string&>();
    } else if (!part.is_string() || !part.get_ref<const std::string&>().empty()) {
        list.push_back(part);
    }
}

}  // namespace

Json join_secret(const std::vector<Json>& parts) {
    Json list = Json::array();
    for (const Json& part : parts) {
        if (part.is_object() && part["secret"].is_array()) {
            for (const Json& inner : part["secret"])
                append(list, inner);
        } else {
            append(list, part);
        }
    }
    std::size_t bytes = 0;
    for (const Json& part : list) {
        if (part.is_string()) bytes += part.get_ref<const std::string&>().size();
    }
    if (list.size() > most_parts || bytes > most_bytes)
        throw Error{ErrorCode::limit_exceeded, "a text with secrets in it becomes too long"};
    if (list.size() == 1 && list[0].is_object()) return list[0];
    Json joined = Json::object();
    joined["secret"] = std::move(list);
    return joined;
}

}  // namespace lifeboat
