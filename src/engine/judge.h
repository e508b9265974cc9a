// What a run has come to: the verdict, and the recovery time and data loss that were really reached. Pure.
#pragma once

#include "engine/state.h"

namespace lifeboat {

// The verdict as of `now`, following design §6. For a run that has not ended: paused or in_doubt.
VerdictReached judge(const Plan& plan, const RunState& state, Timestamp now);

// 0 … 11 of design §6 for a run that ended, paused or is in doubt with this verdict.
int exit_code(Verdict verdict);

}  // namespace lifeboat
