// Those who do the work: each launched verb runs beside the engine's loop and comes back as a Happening. `ThreadCrew`
// gives each its own thread; the simulator's crew is a fake with a virtual clock.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "engine/action.h"
#include "engine/decide.h"

namespace lifeboat {

// One verb of one deed, ready to be done.
struct Work {
    WorkKey key;
    Verb verb = Verb::prepare;
    const Action* action = nullptr;
    bool instead_of_undo =
        false;  // undo: the step's own `rollback:` deed is looked at and done, instead of the action's undo
    Intent intent;
    Notes notes;
    Context context;                  // callbacks and stop token are the crew's to fill in
    std::optional<Duration> timeout;  // of this call
    std::optional<Duration> heartbeat;
};

struct Finished {
    WorkKey key;
    Verb verb = Verb::prepare;
    AttemptOutcome outcome = AttemptOutcome::done;
    Json value;                  // prepare: the intent; run: outputs; undo: text of what was put back
    ProbeResult probe;           // probe
    std::optional<Error> error;  // when not done
};
struct NoteAsked {
    WorkKey key;
    std::string note;
    Json value;
};  // the deed waits until `acknowledge`
struct ChildAsked {
    WorkKey key;
    ChildGroup child;
};  // likewise
struct ProgressMade {
    WorkKey key;
    Progress progress;
};
struct Interrupted {};
using Happening = std::variant<Finished, NoteAsked, ChildAsked, ProgressMade, Interrupted>;

class Crew {
  public:
    virtual ~Crew() = default;
    virtual void launch(Work work) = 0;
    // Asks the work to stop; it still comes back as Finished.
    virtual void cancel(WorkKey key) = 0;
    // The note or child of `key` is durable: its deed may go on.
    virtual void acknowledge(WorkKey key) = 0;
    // Everything that has happened, at least one thing unless `until` (wall clock) passes first.
    virtual std::vector<Happening> wait(std::optional<Timestamp> until) = 0;
};

}  // namespace lifeboat
