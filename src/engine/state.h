// What is known of a run: the fold of its events and nothing else. `apply` is the only writer; `state == replay(plan,
// journal)` at every moment (law 2).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/event.h"
#include "engine/plan.h"

namespace lifeboat {

// How far one deed has come.
enum class DeedStage {
    untouched,   // nothing is known to have been done
    prepared,    // its intent is journaled, or a retry is due: may be attempted
    attempting,  // an attempt has been started and has not ended
    in_doubt,    // an attempt ended, but not `done`: must be settled before anything else
    unresolved,  // settling could not tell: a person must say
    not_done,    // settled: nothing of it stands (or what stands may be built upon)
    done,
};

enum class UndoStage { none, started, undone, failed };

struct DeedState {
    DeedStage stage = DeedStage::untouched;
    Json arguments;
    Intent intent;
    Notes notes;
    std::vector<ChildGroup> children;
    int starts = 0;    // attempts ever started
    int failures = 0;  // attempts that count against max_attempts
    AttemptOutcome last = AttemptOutcome::done;
    std::optional<Error> error;  // of the last attempt that did not end done
    Outputs outputs;             // when done
    std::string evidence;        // of the last settling
    Timestamp attempt_started{};
    Timestamp attempt_ended{};
    UndoStage undo = UndoStage::none;
    std::string undone_what;
    std::optional<Error> undo_error;
    std::size_t finished = 0;  // rank in the order of completion, 0: never started
};

struct StepState {
    std::vector<DeedState> deeds;  // the step's own and, where it has one, its fallback
    int current = 0;               // which of them
    std::optional<StepEnd> end;
    Outputs outputs = nullptr;  // null unless done
    std::optional<Error> error;
    std::optional<Timestamp> started;
    std::optional<Timestamp> ended;
    std::size_t open_needs = 0;  // needs that have not ended yet

    const DeedState& deed() const { return deeds[static_cast<std::size_t>(current)]; }
    DeedState& deed() { return deeds[static_cast<std::size_t>(current)]; }
};

struct Interval {
    Timestamp from{};
    std::optional<Timestamp> to;
};

struct RunState {
    std::uint64_t seq = 0;  // of the last event applied
    std::optional<RunStarted> started;
    Timestamp started_at{};
    Timestamp last_at{};
    Runner runner;                 // the last one
    int lives = 0;                 // runners so far
    std::vector<StepState> steps;  // plan steps, then always steps
    std::vector<std::vector<std::size_t>>
        dependents;                    // of each plan step: who needs it (from the plan, kept for speed)
    std::set<std::size_t> open;        // steps whose needs have ended and which have not
    std::size_t before_line_open = 0;  // before_line steps that have not ended well
    bool line_crossed = false;
    std::optional<Timestamp> line_crossed_at;
    std::size_t finished = 0;  // completions so far
    std::optional<RollbackStarted> rollback;
    std::optional<Paused> paused;  // set while paused
    std::vector<Interval> pauses;
    std::vector<PersonDecided> decisions;
    std::optional<PersonDecided> rollback_asked;
    bool abandoned = false;
    bool failed = false;  // some untolerated failure
    std::optional<VerdictReached> verdict;
    Timestamp verdict_at{};
    bool ended = false;
    bool committed = false;
};

RunState initial_state(const Plan& plan);
// Folds one event in. Throws Error{journal_damaged} when it does not fit the plan or the state (an unknown step, an end
// without a start).
void apply(RunState& state, const Plan& plan, const Event& event);
RunState replay(const Plan& plan, std::span<const Event> events);

// Step `index` of the plan: draft.steps first, then draft.always.
const DraftedStep& step_at(const Plan& plan, std::size_t index);
std::size_t step_count(const Plan& plan);
bool is_always(const Plan& plan, std::size_t index);

// Ended in a way that satisfies those who need it.
bool ended_well(const StepState& step);

// One word for the reader: waiting, running, in_doubt, paused, done, …, rolled_back.
std::string_view label(const StepState& step);

}  // namespace lifeboat
