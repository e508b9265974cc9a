// YAML → checked values. Strict: unknown and duplicate keys, wrong types, durations without a unit, unknown references
// are errors, all reported at once with their place (R30). Reading the files is the caller's work: these functions are
// pure.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/diagnostic.h"
#include "runbook/drill.h"
#include "runbook/runbook.h"
#include "runbook/site.h"
#include "runbook/spec.h"

namespace lifeboat {

enum class FileKind { site, runbook, drill };

template <typename T>
struct Loaded {
    std::optional<T> value;  // present when there is no error
    Diagnostics diagnostics;
};

// Text of a file named by another (`lua:` scripts), or nullopt where there is none.
using FileReader = std::function<std::optional<std::string>(const std::string& path)>;

// The kind by the first key, `lifeboat: …/v1`; nullopt when the text has none.
std::optional<FileKind> kind_of(std::string_view yaml);

Loaded<Site> load_site(std::string yaml, std::string file, const Specs& specs);
Loaded<Runbook> load_runbook(std::string yaml, std::string file, const Specs& specs, const FileReader& scripts);
Loaded<Drill> load_drill(std::string yaml, std::string file, const Specs& specs, const FileReader& scripts);

// JSON Schema (draft 2020-12) of one kind of file, derived from the same tables as the checks.
Json schema_of(FileKind kind, const Specs& specs);

}  // namespace lifeboat
