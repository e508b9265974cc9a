// What must hold of every run, whatever happened to it: laws 1, 2, 3 and 5, and the closed set of ends (R7).
#include <algorithm>
#include <set>

#include "engine/judge.h"
#include "simulation/sim.h"

namespace lifeboat::sim {

namespace {

// Where one deed is, as read from the journal by a reader that shares no code with the engine's fold.
enum class At { before, prepared, attempting, doubtful, unknown, free_again, done };

class DeedReader {
  public:
    void prepared() {
        if (at_ != At::before && at_ != At::free_again && at_ != At::prepared)
            throw Violation{"law 1: a deed is looked at again while something of it is open"};
        at_ = At::prepared;
    }
    void started() {
        if (at_ != At::prepared && at_ != At::free_again)
            throw Violation{"law 3: an attempt starts before the last one is settled"};
        if (at_ == At::free_again && !looked_) throw Violation{"law 1: an attempt without an intent"};
        at_ = At::attempting;
    }
    void looked() { looked_ = true; }
    void ended(bool done) {
        if (at_ != At::attempting) throw Violation{"an attempt ends that was not under way"};
        at_ = done ? At::done : At::doubtful;
    }
    // Whether an attempt ended by it.
    bool killed() {
        const bool under_way = at_ == At::attempting;
        if (under_way || at_ == At::unknown) at_ = At::doubtful;
        return under_way;
    }
    void settled(ProbeResult::Answer answer) {
        if (at_ != At::doubtful) throw Violation{"law 3: something is settled that was not in doubt"};
        at_ = answer == ProbeResult::Answer::done       ? At::done
              : answer == ProbeResult::Answer::not_done ? At::free_again
                                                        : At::unknown;
    }
    void answered(bool done) { at_ = done ? At::done : At::free_again; }
    void look_failed() {
        if (at_ != At::before && at_ != At::free_again && at_ != At::prepared)
            throw Violation{"a look fails while something of the deed is open"};
        at_ = At::free_again;
    }
    bool open() const { return at_ == At::attempting || at_ == At::doubtful || at_ == At::unknown; }

  private:
    At at_ = At::before;
    bool looked_ = false;
};

}  // namespace

void check_journal(const Plan& plan, const std::vector<Event>& journal) {
    std::map<WorkKey, DeedReader> deeds;
    std::map<std::size_t, int> ends, ended_well_at;
    std::vector<WorkKey> finish_order, undone;
    bool line = false, rollback = false, accepted = false, verdict = false, paused = false;
    std::uint64_t seq = 0;
    for (const Event& event : journal) {
        if (event.seq != ++seq) throw Violation{"the journal has a gap"};
        if (paused && !std::holds_alternative<RunResumed>(event.body))
            throw Violation{"a paused run goes on without a resume"};
        paused = false;
        if (const auto* prepared = std::get_if<DeedPrepared>(&event.body)) {
            deeds[{prepared->step, prepared->deed}].prepared();
            deeds[{prepared->step, prepared->deed}].looked();
            if (rollback && !verdict) throw Violation{"law 5: a deed is prepared during a rollback"};
        } else if (const auto* look = std::get_if<PrepareFailed>(&event.body)) {
            deeds[{look->step, look->deed}].look_failed();
        } else if (const auto* start = std::get_if<AttemptStarted>(&event.body)) {
            deeds[{start->step, start->deed}].started();
            if (rollback && !verdict) throw Violation{"law 5: an attempt starts during a rollback"};
            line = line || step_at(plan, start->step).crosses;
        } else if (const auto* end = std::get_if<AttemptEnded>(&event.body)) {
            deeds[{end->step, end->deed}].ended(end->outcome == AttemptOutcome::done);
            std::erase(finish_order, WorkKey{end->step, end->deed});
            finish_order.push_back({end->step, end->deed});
        } else if (std::holds_alternative<RunResumed>(event.body)) {
            for (auto& [key, reader] : deeds) {
                if (!reader.killed()) continue;
                std::erase(finish_order, key);
                finish_order.push_back(key);
            }
        } else if (const auto* settled = std::get_if<Settled>(&event.body)) {
            deeds[{settled->step, settled->deed}].settled(settled->answer);
        } else if (const auto* said = std::get_if<PersonDecided>(&event.body)) {
            accepted = accepted || said->accept_loss;
            if (said->step) {
                const int current = deeds.contains({*said->step, 1}) ? 1 : 0;
                deeds[{*said->step, current}].answered(said->what == PersonDecided::What::answer_done);
            }
        } else if (const auto* skipped = std::get_if<StepSkipped>(&event.body)) {
            if (++ends[skipped->step] > 1) throw Violation{"R7: a step has two ends"};
        } else if (const auto* step = std::get_if<StepEnded>(&event.body)) {
            if (++ends[step->step] > 1) throw Violation{"R7: a step has two ends"};
            for (int d = 0; d < 2; ++d)
                if (deeds.contains({step->step, d}) && deeds[{step->step, d}].open())
                    throw Violation{"law 3: a step ends while it is in doubt"};
        } else if (std::holds_alternative<RollbackStarted>(event.body)) {
            if (rollback) throw Violation{"two rollbacks"};
            if (line && !accepted)
                throw Violation{"law 5: a rollback past the line of no return that nobody asked for"};
            rollback = true;
        } else if (const auto* undo = std::get_if<UndoStarted>(&event.body)) {
            const bool open = deeds[{undo->step, undo->deed}].open();
            if (!undo->settling && !rollback) throw Violation{"an undo outside a rollback"};
            if (!undo->settling && open) throw Violation{"law 3: an undo of a deed in doubt"};
            if (!undo->settling &&
                std::find(undone.begin(), undone.end(), WorkKey{undo->step, undo->deed}) == undone.end())
                undone.push_back({undo->step, undo->deed});
        } else if (std::holds_alternative<Paused>(event.body)) {
            paused = true;
        } else if (std::holds_alternative<VerdictReached>(event.body)) {
            if (verdict) throw Violation{"two verdicts"};
            verdict = true;
        }
    }
    const auto rank = [&](WorkKey key) {
        return std::find(finish_order.begin(), finish_order.end(), key) - finish_order.begin();
    };
    for (std::size_t i = 1; i < undone.size(); ++i)
        if (rank(undone[i]) > rank(undone[i - 1])) throw Violation{"law 5: undone in another order than backwards"};
}

void check_end(const Plan& plan, const RunState& state, const World& world) {
    for (std::size_t i = 0; i < state.steps.size(); ++i)
        if (!state.steps[i].end) throw Violation{"R7: a step has no end"};
    if (!state.verdict) throw Violation{"a run ends without a verdict"};
    const Verdict verdict = state.verdict->verdict;
    bool untolerated = false;
    for (std::size_t i = 0; i < plan.draft.steps.size(); ++i)
        untolerated = untolerated || !ended_well(state.steps[i]);
    const bool came_through =
        verdict == Verdict::recovered || verdict == Verdict::recovered_late || verdict == Verdict::unverified;
    if (came_through && untolerated) throw Violation{"R7: a recovered verdict beside an untolerated failure"};
    if (!came_through && !untolerated && !state.rollback && !state.abandoned)
        throw Violation{"R7: a failure without a failed step"};
    if ((exit_code(verdict) == 0) != (verdict == Verdict::recovered)) throw Violation{"exit 0 without 'recovered'"};
    if (verdict == Verdict::paused || verdict == Verdict::in_doubt)
        throw Violation{"a run ends without a final verdict"};

    if (came_through) {
        for (std::size_t i = 0; i < plan.draft.steps.size(); ++i) {
            const StepState& step = state.steps[i];
            const WorkKey key{i, step.current};
            if (step.end != StepEnd::done || deed_at(plan.draft.steps[i], key.deed).effect == Effect::read) continue;
            const auto found = world.deeds.find(key);
            if (found == world.deeds.end() || found->second != Standing::complete)
                throw Violation{"a step is called done whose effect does not stand"};
        }
    }
    if (verdict == Verdict::rolled_back) {
        for (const auto& [key, standing] : world.deeds) {
            const Deed& deed = deed_at(step_at(plan, key.step), key.deed);
            const DeedState& known = state.steps[key.step].deeds[static_cast<std::size_t>(key.deed)];
            // Without an undo of its own, half a change that a probe called "not done" is all that may be left.
            const bool allowed = !deed.has_undo && known.stage == DeedStage::not_done && standing != Standing::complete;
            if (standing != Standing::absent && !allowed)
                throw Violation{"law 5: 'rolled_back', but step '" + step_at(plan, key.step).id + "' is left standing"};
        }
    }
}

}  // namespace lifeboat::sim
