// What a drill's expressions see: the steps of its lists, the run, the objectives. Pure.
#pragma once

#include <string>
#include <vector>

#include "report/report.h"
#include "runbook/drill.h"
#include "runbook/runbook.h"

namespace lifeboat {

// {"<step>": {"outputs": …, "outcome": …}} of every step that the report knows.
Json steps_scope(const Report& report);
// {"id", "name", "verdict", "rto", "rpo", "data_loss", …}: durations are numbers of seconds.
Json run_scope(const Report& report);
// {"rto", "rpo"} in seconds, null where the runbook sets none.
Json objectives_scope(const Objectives& objectives);

struct ExpectationOutcome {
    std::string that;
    bool holds = false;
    std::string why;  // it does not: what its names were
};
std::vector<ExpectationOutcome> judge_expectations(const std::vector<Expectation>& expectations, const Json& scope);

}  // namespace lifeboat
