#include "engine/state.h"

namespace lifeboat {

namespace {

[[noreturn]] void misfit(const Event& event, const std::string& why) {
    throw Error(ErrorCode::journal_damaged,
                "record " + std::to_string(event.seq) + " ('" + std::string(type_of(event)) + "') does not fit: " + why,
                "Look at the run with 'lifeboat logs'; do not edit journals.");
}

// Folds one event after the other; each `on` is the meaning of one event.
class Fold {
  public:
    Fold(RunState& state, const Plan& plan, const Event& event)
        : state_(state), plan_(plan), event_(event), at_(event.at) {}

    void operator()(const RunStarted& e) {
        if (state_.started) misfit(event_, "the run has started before");
        state_.started = e;
        state_.started_at = at_;
        state_.runner = e.runner;
        state_.lives = 1;
    }

    void operator()(const RunResumed& e) {
        state_.runner = e.runner;
        ++state_.lives;
        state_.rollback_asked.reset();
        if (state_.paused) {
            forgive(*state_.paused);
            if (!state_.pauses.empty()) state_.pauses.back().to = at_;
            state_.paused.reset();
        }
        for (std::size_t i : std::set<std::size_t>(state_.open)) {
            for (DeedState& deed : state_.steps[i].deeds) {
                if (deed.stage == DeedStage::attempting) end_attempt(deed, AttemptOutcome::killed, DeedStage::in_doubt);
                if (deed.stage != DeedStage::unresolved) continue;
                deed.stage =
                    DeedStage::in_doubt;  // the world may have become readable: it is looked at, or undone, again
                if (deed.undo == UndoStage::failed) deed.undo = UndoStage::started;
            }
        }
    }

    void operator()(const PersonDecided& e) {
        state_.decisions.push_back(e);
        switch (e.what) {
            case PersonDecided::What::rollback:
                state_.rollback_asked = e;
                return;
            case PersonDecided::What::abandon:
                state_.abandoned = true;
                return;
            case PersonDecided::What::answer_done:
            case PersonDecided::What::answer_not_done:
            case PersonDecided::What::answer_retry:
                break;
        }
        if (!e.step) misfit(event_, "an answer names a step");
        DeedState& deed = step(*e.step).deed();
        if (deed.stage != DeedStage::in_doubt && deed.stage != DeedStage::unresolved &&
            deed.stage != DeedStage::not_done)
            misfit(event_, "that step has nothing to answer");
        if (e.what == PersonDecided::What::answer_done) {
            deed.stage = DeedStage::done;
            deed.outputs = Json::object();
            deed.evidence = "said by " + e.by;
            return;
        }
        deed.stage = DeedStage::not_done;
        deed.evidence = "said by " + e.by;
        if (e.what == PersonDecided::What::answer_retry) grant_again(deed);
    }

    void operator()(const StepSkipped& e) { end_step(e.step, e.why, nullptr, std::nullopt); }

    void operator()(const DeedPrepared& e) {
        DeedState& deed = begin(e.step, e.deed);
        deed.stage = DeedStage::prepared;
        deed.arguments = e.arguments;
        deed.intent = e.intent;
    }

    void operator()(const PrepareFailed& e) {
        DeedState& deed = begin(e.step, e.deed);
        deed.stage = DeedStage::not_done;
        deed.last = AttemptOutcome::failed;
        deed.error = e.error;
        deed.attempt_ended = at_;
        ++deed.failures;
    }

    void operator()(const AttemptStarted& e) {
        DeedState& deed = begin(e.step, e.deed);
        if (deed.stage != DeedStage::prepared && deed.stage != DeedStage::not_done)
            misfit(event_, "the deed was not prepared");
        deed.stage = DeedStage::attempting;
        deed.undo = UndoStage::none;
        deed.attempt_started = at_;
        ++deed.starts;
        if (step_at(plan_, e.step).crosses && !state_.line_crossed) {
            state_.line_crossed = true;
            state_.line_crossed_at = at_;
        }
    }

    void operator()(const Noted& e) { under_way(e.step, e.deed).notes[e.key] = e.value; }
    void operator()(const ChildStarted& e) { under_way(e.step, e.deed).children.push_back(e.child); }
    void operator()(const OrphansEnded&) {
        for (StepState& each : state_.steps)
            for (DeedState& deed : each.deeds)
                deed.children.clear();
    }

    void operator()(const AttemptEnded& e) {
        DeedState& deed = under_way(e.step, e.deed);
        if (deed.stage != DeedStage::attempting) misfit(event_, "no attempt was under way");
        deed.error = e.error;
        const bool counts = e.outcome == AttemptOutcome::failed || e.outcome == AttemptOutcome::timed_out ||
                            e.outcome == AttemptOutcome::stalled;
        if (counts) ++deed.failures;
        if (e.outcome == AttemptOutcome::done) deed.outputs = e.outputs;
        end_attempt(deed, e.outcome, e.outcome == AttemptOutcome::done ? DeedStage::done : DeedStage::in_doubt);
    }

    void operator()(const Settled& e) {
        DeedState& deed = under_way(e.step, e.deed);
        if (deed.stage != DeedStage::in_doubt) misfit(event_, "the deed was not in doubt");
        deed.evidence = e.evidence;
        switch (e.answer) {
            case ProbeResult::Answer::done:
                deed.stage = DeedStage::done;
                deed.outputs = e.outputs;
                break;
            case ProbeResult::Answer::not_done:
                deed.stage = DeedStage::not_done;
                break;
            case ProbeResult::Answer::cannot_tell:
                deed.stage = DeedStage::unresolved;
                break;
        }
    }

    void operator()(const StepEnded& e) { end_step(e.step, e.end, e.outputs, e.error); }

    void operator()(const RollbackStarted& e) {
        state_.rollback = e;
        state_.rollback_asked.reset();
        state_.failed = true;
    }

    void operator()(const UndoStarted& e) { under_way(e.step, e.deed).undo = UndoStage::started; }

    void operator()(const UndoEnded& e) {
        DeedState& deed = under_way(e.step, e.deed);
        deed.undo = e.error ? UndoStage::failed : UndoStage::undone;
        deed.undo_error = e.error;
        deed.undone_what = e.what;
        deed.children.clear();
    }

    void operator()(const Paused& e) {
        state_.paused = e;
        state_.pauses.push_back({.from = at_, .to = std::nullopt});
    }

    void operator()(const VerdictReached& e) {
        state_.verdict = e;
        state_.verdict_at = at_;
        // What was never reached stays undone for want of something it needed.
        for (std::size_t i = 0; i < plan_.draft.steps.size(); ++i) {
            StepState& each = state_.steps[i];
            if (!each.end) each.end = each.started ? StepEnd::cancelled : StepEnd::skipped_dependency;
        }
        state_.open.clear();
        for (std::size_t i = plan_.draft.steps.size(); i < state_.steps.size(); ++i)
            state_.open.insert(i);
    }

    void operator()(const RunEnded&) {
        state_.ended = true;
        state_.paused.reset();
    }
    void operator()(const Committed&) { state_.committed = true; }

  private:
    RunState& state_;
    const Plan& plan_;
    const Event& event_;
    Timestamp at_;

    StepState& step(std::size_t index) {
        if (index >= state_.steps.size()) misfit(event_, "the plan has no step " + std::to_string(index));
        return state_.steps[index];
    }

    DeedState& under_way(std::size_t index, int deed) {
        auto& deeds = step(index).deeds;
        if (deed < 0 || static_cast<std::size_t>(deed) >= deeds.size())
            misfit(event_, "step " + std::to_string(index) + " has no deed " + std::to_string(deed));
        return deeds[static_cast<std::size_t>(deed)];
    }

    DeedState& begin(std::size_t index, int deed) {
        DeedState& found = under_way(index, deed);
        StepState& each = step(index);
        if (each.end) misfit(event_, "the step has ended");
        each.current = deed;
        if (!each.started) each.started = at_;
        return found;
    }

    void end_attempt(DeedState& deed, AttemptOutcome outcome, DeedStage stage) {
        deed.last = outcome;
        deed.stage = stage;
        deed.attempt_ended = at_;
        deed.finished = ++state_.finished;
        if (outcome != AttemptOutcome::killed)
            deed.children.clear();  // a killed runner's children are still to be ended
    }

    static void grant_again(DeedState& deed) {
        deed.failures = 0;
        if (deed.error && deed.error->code == ErrorCode::moved) {
            deed.intent = nullptr;  // the world moved: look again
            deed.stage = DeedStage::untouched;
            deed.error.reset();
        }
    }

    // To resume after a failure is to try again.
    void forgive(const Paused& paused) {
        if (paused.reason == PauseReason::interrupt || paused.reason == PauseReason::in_doubt) return;
        for (std::size_t i : paused.steps) {
            DeedState& deed = step(i).deed();
            if (deed.stage == DeedStage::not_done) grant_again(deed);
        }
    }

    void end_step(std::size_t index, StepEnd end, Json outputs, std::optional<Error> error) {
        StepState& each = step(index);
        if (each.end) misfit(event_, "the step has ended before");
        each.end = end;
        each.outputs = std::move(outputs);
        each.error = std::move(error);
        each.ended = at_;
        if (!each.started) each.started = at_;
        state_.open.erase(index);
        if (is_always(plan_, index)) return;
        if (end == StepEnd::failed || end == StepEnd::timed_out) state_.failed = true;
        if (step_at(plan_, index).before_line && ended_well(each)) --state_.before_line_open;
        for (std::size_t dependent : state_.dependents[index])
            if (--state_.steps[dependent].open_needs == 0) state_.open.insert(dependent);
    }
};

}  // namespace

RunState initial_state(const Plan& plan) {
    RunState state;
    const auto& steps = plan.draft.steps;
    state.steps.resize(step_count(plan));
    for (std::size_t i = 0; i < state.steps.size(); ++i)
        state.steps[i].deeds.resize(step_at(plan, i).fallback ? 2 : 1);
    state.dependents.resize(steps.size());
    for (std::size_t i = 0; i < steps.size(); ++i) {
        state.steps[i].open_needs = steps[i].needs.size();
        for (std::size_t need : steps[i].needs)
            state.dependents[need].push_back(i);
        if (steps[i].needs.empty()) state.open.insert(i);
        if (steps[i].before_line) ++state.before_line_open;
    }
    return state;
}

void apply(RunState& state, const Plan& plan, const Event& event) {
    if (event.seq != state.seq + 1) misfit(event, "record " + std::to_string(state.seq + 1) + " was expected");
    if (!state.started && !std::holds_alternative<RunStarted>(event.body)) misfit(event, "the run has not started");
    std::visit(Fold(state, plan, event), event.body);
    state.seq = event.seq;
    state.last_at = event.at;
}

RunState replay(const Plan& plan, std::span<const Event> events) {
    RunState state = initial_state(plan);
    for (const Event& event : events)
        apply(state, plan, event);
    return state;
}

const DraftedStep& step_at(const Plan& plan, std::size_t index) {
    const auto& steps = plan.draft.steps;
    return index < steps.size() ? steps[index] : plan.draft.always.at(index - steps.size());
}

std::size_t step_count(const Plan& plan) {
    return plan.draft.steps.size() + plan.draft.always.size();
}

bool is_always(const Plan& plan, std::size_t index) {
    return index >= plan.draft.steps.size();
}

bool ended_well(const StepState& step) {
    return step.end == StepEnd::done || step.end == StepEnd::skipped_condition || step.end == StepEnd::tolerated;
}

std::string_view label(const StepState& step) {
    for (const DeedState& deed : step.deeds) {
        if (deed.undo == UndoStage::failed) return "undo_failed";
        if (deed.undo == UndoStage::started) return "undoing";
    }
    const bool undone = std::any_of(step.deeds.begin(), step.deeds.end(),
                                    [](const DeedState& d) { return d.undo == UndoStage::undone; });
    if (step.end) return undone && *step.end != StepEnd::tolerated ? "rolled_back" : to_text(*step.end);
    switch (step.deed().stage) {
        case DeedStage::untouched:
            return "waiting";
        case DeedStage::prepared:
            return "prepared";
        case DeedStage::attempting:
            return "running";
        case DeedStage::in_doubt:
        case DeedStage::unresolved:
            return "in_doubt";
        case DeedStage::not_done:
            return "not_done";
        case DeedStage::done:
            return "done";
    }
    return "waiting";
}

}  // namespace lifeboat
