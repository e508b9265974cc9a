// A whole Lua script in this process: what the child behind a `lua:` step does (`lifeboat __lua`). The child has its
// own limits of CPU time and memory set by the parent, so that a script stuck inside a C function ends too.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/size.h"

namespace lifeboat {

struct ScriptLimits {
    Bytes memory{64u << 20};
    long instructions = 500'000'000;
};

// Runs `source` (text only, no bytecode) with the globals of `scope`, read-only, plus `outputs`, an empty table to
// fill, and `log(text)` and `fail(text)`. Returns `outputs` as JSON. Throws Error{script_failed | limit_exceeded} with
// `name:line: message`.
Json run_script(std::string_view source, std::string_view name, const Json& scope, const ScriptLimits& limits,
                const std::function<void(std::string_view)>& log);

}  // namespace lifeboat
