// What the expressions of a run may use: what the draft knows, the steps so far, and the run itself.
#pragma once

#include <set>
#include <string>

#include "base/json.h"
#include "engine/state.h"

namespace lifeboat {

// The scope for `value`, whose texts hold the expressions: only the steps that it names are put in, so that the cost
// does not grow with the length of the runbook.
Json scope_for(const Plan& plan, const RunState& state, const Json& value);

// `value` with its expressions expanded once; values without any are returned as they are. Throws
// Error{expression_failed}.
Json expand(const Plan& plan, const RunState& state, const Json& value);

// The ids of the steps that the expressions in `value` name; too many rather than too few.
std::set<std::string> steps_named_in(const Json& value);

// A bare expression, such as a step's `if:`. Throws Error{expression_failed}, also when it is neither true nor false.
bool holds(const Plan& plan, const RunState& state, const std::string& expression);

}  // namespace lifeboat
