#include "engine/judge.h"

#include "engine/decide.h"

namespace lifeboat {

namespace {

// The deed by which a step was done.
const Deed& done_deed(const Plan& plan, const RunState& state, std::size_t step) {
    return deed_at(step_at(plan, step), state.steps[step].current);
}

struct Measured {
    std::optional<Timestamp> last_proof;      // end of the last untolerated step that proves something or reopens
    std::optional<Timestamp> consistent_at;   // the oldest of what was restored
    std::optional<Timestamp> writes_stopped;  // the first time from which nothing could be written
    bool proves_data = false;
};

std::optional<Timestamp> output_time(const Json& outputs, const std::string& name) {
    if (name.empty() || !outputs.is_object()) return std::nullopt;
    const auto found = outputs.find(name);
    return found != outputs.end() && found->is_string() ? parse_timestamp(found->get<std::string>()) : std::nullopt;
}

Measured measure(const Plan& plan, const RunState& state) {
    Measured measured;
    for (std::size_t i = 0; i < plan.draft.steps.size(); ++i) {
        const StepState& step = state.steps[i];
        if (step.end != StepEnd::done) continue;
        const Deed& deed = done_deed(plan, state, i);
        measured.proves_data = measured.proves_data || deed.proves == Proves::data;
        if ((deed.proves != Proves::nothing || deed.reopens) && step.ended)
            measured.last_proof = std::max(measured.last_proof.value_or(*step.ended), *step.ended);
        if (const auto at = output_time(step.outputs, deed.consistent_output))
            measured.consistent_at = std::min(measured.consistent_at.value_or(*at), *at);
        if (const auto at = output_time(step.outputs, deed.writes_stopped_output))
            measured.writes_stopped = std::min(measured.writes_stopped.value_or(*at), *at);
    }
    return measured;
}

bool missed(const std::optional<Duration>& objective, const std::optional<Duration>& reached) {
    return objective && reached && *reached > *objective;
}

bool rollback_failed(const RunState& state) {
    for (const StepState& step : state.steps)
        for (const DeedState& deed : step.deeds)
            if (deed.undo == UndoStage::failed) return true;
    return false;
}

Verdict verdict_of(const Plan& plan, const RunState& state, const Measured& measured, const VerdictReached& figures) {
    if (state.paused) return state.paused->reason == PauseReason::in_doubt ? Verdict::in_doubt : Verdict::paused;
    if (state.abandoned) return Verdict::aborted;
    if (state.rollback) return rollback_failed(state) ? Verdict::rollback_incomplete : Verdict::rolled_back;
    if (state.failed) return Verdict::failed;
    for (std::size_t i = 0; i < plan.draft.steps.size(); ++i)
        if (!state.steps[i].end || !ended_well(state.steps[i])) return Verdict::paused;
    if (!measured.proves_data) return Verdict::unverified;
    // What was written to the target after the incident began is gone as well: then the loss is what counts.
    const bool wrote_on =
        measured.writes_stopped && state.started && *measured.writes_stopped > state.started->incident_start;
    const std::optional<Duration>& lost = wrote_on ? figures.data_loss : figures.rpo;
    const bool late = missed(plan.draft.objectives.rto, figures.rto) || missed(plan.draft.objectives.rpo, lost);
    return late ? Verdict::recovered_late : Verdict::recovered;
}

}  // namespace

VerdictReached judge(const Plan& plan, const RunState& state, Timestamp now) {
    const Measured measured = measure(plan, state);
    const Timestamp incident = state.started ? state.started->incident_start : state.started_at;
    VerdictReached out;
    if (measured.last_proof) out.rto = elapsed(incident, *measured.last_proof);
    if (measured.consistent_at) {
        out.rpo = elapsed(*measured.consistent_at, incident);
        if (measured.writes_stopped) out.data_loss = elapsed(*measured.consistent_at, *measured.writes_stopped);
    }
    for (const Interval& pause : state.pauses)
        out.waited += elapsed(pause.from, pause.to.value_or(now));
    out.verdict = verdict_of(plan, state, measured, out);
    if (state.rollback) out.rto = out.rpo = out.data_loss = std::nullopt;  // nothing was recovered
    return out;
}

int exit_code(Verdict verdict) {
    switch (verdict) {
        case Verdict::recovered:
            return 0;
        case Verdict::recovered_late:
        case Verdict::unverified:
            return 3;
        case Verdict::rolled_back:
            return 4;
        case Verdict::rollback_incomplete:
            return 5;
        case Verdict::failed:
        case Verdict::aborted:
            return 1;
        case Verdict::paused:
            return 6;
        case Verdict::in_doubt:
            return 7;
    }
    return 70;
}

}  // namespace lifeboat
