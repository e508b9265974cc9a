// What may be the key of an object: a relative path that means the same in every store and cannot leave a directory.
// Parts between
// '/' are not empty, '.' or '..'; no control characters, well-formed UTF-8, at most 1024 bytes and 255 in a part.
#pragma once

#include <string>
#include <string_view>

namespace lifeboat {

// Why `key` cannot be one; empty when it can.
std::string key_refusal(std::string_view key);
// Throws Error{refused} naming the store.
void check_key(const std::string& store, std::string_view key);

}  // namespace lifeboat
