// One life of a run: from taking its locks to its report. A first run and a resume differ only in how long the journal
// is already.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/verb.h"
#include "engine/run.h"
#include "runs/directory_run_store.h"

namespace lifeboat {

struct LifeWishes {
    // What a person says to the run, asked when it can no longer change under them. May throw.
    std::function<std::vector<PersonDecided>(const RunState&)> decide = [](const RunState&) {
        return std::vector<PersonDecided>();
    };
    std::optional<Timestamp> incident_start = std::nullopt;  // only for a run that has not begun
};

// Runs `plan`, the one that the run was made with, until the run has ended or is paused, shows how it came out, and
// returns the exit code of its verdict. Throws Error{locked} when the run or a target is held by another; a run that
// had not begun is gone then.
int live(Session& session, DirectoryRunStore& store, const std::string& run_id, const Plan& plan,
         const LifeWishes& wishes);

// The verdict's exit code; when paused by an interrupt, that of the signal.
int exit_code_of(const Plan& plan, const RunState& state, Timestamp now, int signal);

}  // namespace lifeboat
