// Base64 with padding, in its standard alphabet.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lifeboat {

std::string base64_encoded(std::string_view bytes);
// nullopt when `text` is not base64.
std::optional<std::string> base64_decoded(std::string_view text);

}  // namespace lifeboat
