// The first key of every file, `lifeboat: <kind>/v1`.
#pragma once

#include <string_view>

#include "runbook/load.h"
#include "runbook/node.h"

namespace lifeboat {

// "site", "runbook", "drill".
std::string_view to_text(FileKind kind);
std::string_view format_of(FileKind kind);

// Reports a file of another kind or version; what stands in it is then not worth checking.
bool has_format(SourceFile& file, const Node& root, FileKind kind);

}  // namespace lifeboat
