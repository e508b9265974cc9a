// A drill's own steps as a runbook of their own, so that the ordinary binary carries them out. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runbook/runbook.h"

namespace lifeboat {

// The text of a runbook `name` with these steps. `root` is how their expressions call each other ("setup"). What is in
// `known` ({"inputs": …, "setup": …}) is put in as it is now; `resources` stays, for the run to look up.
// Throws Error{unsupported} for an expression that mixes what is known with what is not in a way that cannot be split.
std::string step_runbook(const std::string& name, std::string_view root, const std::vector<Step>& steps,
                         const std::vector<Requirement>& requirements, const Json& known);

// Every `${{` in the texts of `value` doubled, so that it is taken as it stands.
Json literally(const Json& value);

}  // namespace lifeboat
