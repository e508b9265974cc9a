#include "stores/key.h"

#include "base/text.h"
#include "stores/store.h"

namespace lifeboat {

std::string key_refusal(std::string_view key) {
    if (key.empty()) return "it is empty";
    if (key.size() > 1024) return "it is longer than 1024 bytes";
    for (const char byte : key) {
        const auto code = static_cast<unsigned char>(byte);
        if (code < 0x20 || code == 0x7f) return "it holds a control character";
    }
    if (!is_utf8(key)) return "it is not well-formed UTF-8";
    if (key.front() == '/') return "it is an absolute path";
    for (const std::string& part : split(key, '/')) {
        if (part.empty()) return "a part of it is empty";
        if (part == "." || part == "..") return "it holds '" + part + "'";
        if (part.size() > 255) return "a part of it is longer than 255 bytes";
    }
    return {};
}

void check_key(const std::string& store, std::string_view key) {
    const std::string why = key_refusal(key);
    if (!why.empty()) throw store_error(ErrorCode::refused, store, printable(key), "this key is refused: " + why);
}

}  // namespace lifeboat
