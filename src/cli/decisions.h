// What a person says to a paused run, from words to events.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/life.h"
#include "engine/event.h"
#include "engine/plan.h"

namespace lifeboat {

// `step=done|not_done|retry` for each. Throws Error{usage} for an unknown step or answer, with a did-you-mean.
std::vector<PersonDecided> answers(const std::vector<std::string>& words, const Plan& plan, const std::string& by);

using Decide = std::function<std::vector<PersonDecided>(const Plan&, const RunState&)>;
// The next life of a run that has begun. Names every file that differs today (law 4), and asks `decide` when nobody
// else can change the run any more.
int go_on(Session& session, DirectoryRunStore& store, const std::string& run_id, const Decide& decide);

}  // namespace lifeboat
