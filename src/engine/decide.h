// All policy: given the plan and what has happened, what to do next. Pure; the engine's loop only carries it out.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "engine/state.h"

namespace lifeboat {

enum class Verb { prepare, run, probe, undo };

struct WorkKey {
    std::size_t step = 0;
    int deed = 0;
    auto operator<=>(const WorkKey&) const = default;
};

// What is going on in this process besides the journal: work under way and what a person asked of the process itself.
struct Live {
    std::map<WorkKey, Verb> work;
    std::set<WorkKey> cancelled;  // already asked to stop
    bool interrupted = false;     // Ctrl-C or SIGTERM
};

// Start a verb of a deed (for `run`: the journal gets AttemptStarted first; `undo`: UndoStarted).
struct Launch {
    WorkKey key;
    Verb verb = Verb::prepare;
    bool settling = false;  // an undo that settles a stage, not part of a rollback
};
struct Cancel {
    WorkKey key;
};
struct Record {
    EventBody event;
};  // follows from the rules alone
struct WaitUntil {
    std::optional<Timestamp> until;
};               // nothing to do before something happens, or that time
struct Stop {};  // the run has ended or is paused

using Decision = std::variant<Launch, Cancel, Record, WaitUntil, Stop>;

// What to do now, never empty: either Records alone, or everything that can be started, stopped or waited for.
std::vector<Decision> decide(const Plan& plan, const RunState& state, const Live& live, Timestamp now);

// The deed of a step that `which` (0 its own, 1 its fallback) stands for.
const Deed& deed_at(const DraftedStep& step, int which);

// Whether the last attempt's failure may be tried again, and when (a time in the past: at once). nullopt: no more
// attempts. The jitter is made from the run, step and attempt, so that the same journal always gives the same answer.
std::optional<Timestamp> retry_at(const DraftedStep& step, const DeedState& deed, std::string_view run_id);

}  // namespace lifeboat
