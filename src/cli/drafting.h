// From words to a plan: what `plan`, `run` and `check` have in common. Everything is loaded, all mistakes are reported
// at once, then the world is looked at.
#pragma once

#include <filesystem>

#include "cli/hands.h"
#include "cli/verb.h"
#include "engine/plan.h"

namespace lifeboat {

struct Planned {
    Plan plan;
    std::filesystem::path state;  // the folder of runs
    bool from_file = false;       // somebody approved it before
};

// Of the `runbook` positional with --set and --bind; a plan file is looked at again. Throws FilesRefused, or
// Error{stale_plan} naming what moved.
Planned plan_for(const Call& call, Session& session);

// Looks at the world for one draft.
Plan look(Session& session, const Hands& hands, Draft draft, const std::filesystem::path& state);

void show_plan(Session& session, const Planned& planned);
bool is_blocked(const Planned& planned);
// Throws Error{refused} when preflight found a blocker.
void refuse_blockers(const Planned& planned);

OptionSpec set_option();
OptionSpec bind_option();

}  // namespace lifeboat
