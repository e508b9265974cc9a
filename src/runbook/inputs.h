// What was given for a runbook's inputs → values of their declared types, frozen.
#pragma once

#include "base/diagnostic.h"
#include "base/json.h"
#include "base/time.h"
#include "runbook/runbook.h"

namespace lifeboat {

// `given`: name → value; text (from `--set`) is converted to the input's type. `now` stands in for timestamps that say
// so.
Json freeze_inputs(const Runbook& runbook, const Json& given, Timestamp now, Diagnostics& diagnostics);

}  // namespace lifeboat
