// Generated files: YAML whose values are written as JSON, which YAML reads as it is. Pure.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/json.h"

namespace lifeboat {

// One top-level key a line, in this order: the first one says what kind of file it is.
std::string yaml_text(const std::vector<std::pair<std::string, Json>>& document);

}  // namespace lifeboat
