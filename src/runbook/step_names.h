// Names of steps in expressions, checked when all steps are known: the step is there, it stands before the place that
// names it, and it has the output.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "runbook/expressions.h"
#include "runbook/graph.h"
#include "runbook/runbook.h"

namespace lifeboat {

// One list of steps of a file, as its reader leaves it.
struct StepList {
    std::string root;  // its key: "steps", "always", "setup", "disaster", "observe"
    std::vector<Step> steps;
    std::map<std::string, std::size_t, std::less<>> ids;
    bool has_cycle = false;
};

Needs needs_of(const std::vector<Step>& steps);

// `lists` are in the order in which they run. A place outside of all of them comes after all of them.
void check_step_names(SourceFile& file, const Specs& specs, const std::vector<StepList>& lists,
                      const std::vector<StepName>& names);

}  // namespace lifeboat
