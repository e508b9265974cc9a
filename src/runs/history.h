// How long the steps of a runbook really took, from the journals of its past runs: the estimates of the next plan.
#pragma once

#include <string>

#include "engine/run_store.h"
#include "engine/survey.h"

namespace lifeboat {

// Reads the newest `runs` ended runs of `runbook` at the first question; drills do not count, nor do steps during which
// the run was paused or its runner died. Runs that cannot be read are left out. The store must outlive the result.
History history_of(const RunStore& store, std::string runbook, std::size_t runs = 20);

}  // namespace lifeboat
