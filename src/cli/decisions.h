// What a person says to a paused run, from words to events.
#pragma once

#include <string>
#include <vector>

#include "cli/life.h"
#include "engine/event.h"
#include "engine/plan.h"

namespace lifeboat {

// `step=done|not_done|retry` for each. Throws Error{usage} for an unknown step or answer, with a did-you-mean.
std::vector<PersonDecided> answers(const std::vector<std::string>& words, const Plan& plan, const std::string& by);

// Loads what a resume, rollback or abandon needs and names every file that differs today (law 4); then the next life of
// the run.
int go_on(Session& session, DirectoryRunStore& store, const std::string& run_id, std::vector<PersonDecided> decisions);

}  // namespace lifeboat
