// Runs as they happen, for the renderers: one runbook (a database restored beside, checked, swapped in) and the
// journals of what became of it.
#pragma once

#include <string>
#include <vector>

#include "engine/event.h"
#include "engine/plan.h"
#include "engine/state.h"
#include "report/report.h"

namespace lifeboat::sample {

struct Story {
    Plan plan;
    std::vector<Event> events;

    RunState state() const { return replay(plan, events); }
    Report report() const;
};

// The incident is declared at 01:58, the run begins at 02:00.
Plan database_plan();

// Recovered at the second attempt of the fetch; a notification failed.
Story recovered();
// The check found damage: everything was put back.
Story rolled_back();
// The runner was killed in the swap, a probe said that it was done, the check after it failed, and one undo failed.
Story rollback_incomplete();
// A failure behind the line of no return: the run waits, and what can be said to it is listed.
Story paused();
// A person answered, the only check was skipped, and the run ended unverified.
Story unverified();
// Under way, nothing decided yet.
Story under_way();
// Every text that comes from outside tries to format, to break out, or to drive a terminal.
Story hostile();

}  // namespace lifeboat::sample
