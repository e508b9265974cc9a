// The engine: Plan → Events. Decide, write the intention, act, write the outcome. A resume is the same call with a
// journal that is not empty.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/secret.h"
#include "engine/crew.h"
#include "engine/journal.h"
#include "engine/state.h"
#include "engine/workspace.h"

namespace lifeboat {

// The world of one run. Everything outlives the call of `execute`.
struct RunPorts {
    Journal& journal;
    Crew& crew;
    const Clock& clock;
    const Actions& actions;
    const Redactor& redactor;
    Observer& observer;
    // A step's own folder below the run's, made when asked for.
    std::function<Workspace(const std::string& step_id)> workspace;
};

// What is said to the run at the start of this life.
struct Opening {
    std::string run_id;
    Runner runner;
    Timestamp incident_start{};
    bool incident_declared = false;
    std::vector<PersonDecided> decisions;    // answers, rollback, abandon
    std::vector<std::string> orphans_ended;  // what was ended before (children of a dead runner)
};

// Runs until the run has ended or is paused; returns the last state. `past` is the fold of the journal so far.
// Throws only what the journal throws: everything a deed throws becomes an event.
RunState execute(const Plan& plan, RunState past, const Opening& opening, RunPorts ports);

}  // namespace lifeboat
