// Joining secrets with text (base/secret.h): the result is secret text again.
#pragma once

#include <vector>

#include "base/json.h"

namespace lifeboat {

// `parts` are literal strings, secret references and secret texts; at least one of them is secret.
// Throws Error{limit_exceeded} when the text becomes unreasonably long.
Json join_secret(const std::vector<Json>& parts);

}  // namespace lifeboat
