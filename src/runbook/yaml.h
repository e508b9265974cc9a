// YAML text → tree, strictly: duplicate and merge keys, tags, second documents, unterminated quotes, numbers that other
// readers would take for something else, and whatever is too deep or too large are mistakes. Types are those of
// YAML 1.2 (only true and false are booleans). Takes time and memory linear in the text.
#pragma once

#include <optional>

#include "runbook/node.h"
#include "runbook/source_file.h"

namespace lifeboat {

// Nothing when the text is no YAML, or too hostile to be read; the reasons are then in `file`. A tree may come with
// mistakes too (a duplicate key is left out of it). The root is always a map.
std::optional<Node> read_yaml(SourceFile& file);

}  // namespace lifeboat
