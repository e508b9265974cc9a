// The site's `notify:`: tells people how a run came out. Best effort: a failure is a line on stderr and changes
// nothing.
#pragma once

#include <string>

#include "cli/hands.h"
#include "cli/verb.h"
#include "engine/state.h"

namespace lifeboat {

// "paused", "in_doubt", "failed" or "done": the words of the site's `on:`.
std::string notice_kind(const Plan& plan, const RunState& state, Timestamp now);

void send_notices(Session& session, Hands& hands, const Plan& plan, const RunState& state, const std::string& run_id);

}  // namespace lifeboat
