#include "engine/decide.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "engine/judge.h"
#include "engine/scope.h"

namespace lifeboat {

namespace {

// The three things a run can be busy with.
enum class Mode {
    forward,       // towards recovery
    winding_down,  // a failure that undoes nothing, or an abandoned run: let go of what runs, then say the verdict
    rolling_back,
    concluding,  // the verdict is final, the `always` steps follow
};

Mode mode_of(const RunState& state) {
    if (state.verdict) return Mode::concluding;
    if (state.rollback) return Mode::rolling_back;
    if (state.abandoned || state.failed) return Mode::winding_down;
    return Mode::forward;
}

bool is_transient(const Retry& retry, const Error& error) {
    if (retry.retry_on.empty()) return info(error.code).transient;
    return std::find(retry.retry_on.begin(), retry.retry_on.end(), error.code) != retry.retry_on.end();
}

// A number in [0, 1) from the parts of `key`: FNV-1a, 64 bits.
double spread(std::string_view key) {
    std::uint64_t hash = 1469598103934665603u;
    for (char c : key)
        hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
    return static_cast<double>(hash >> 11) / 9007199254740992.0;
}

// The last attempt ended with an error that is raised only before anything has been done.
bool nothing_done(const Deed& deed, const DeedState& state) {
    if (!state.error || state.last != AttemptOutcome::failed) return false;
    return state.error->code == ErrorCode::moved ||
           std::find(deed.harmless.begin(), deed.harmless.end(), state.error->code) != deed.harmless.end();
}

StepEnd end_of_failure(const DeedState& deed) {
    switch (deed.last) {
        case AttemptOutcome::timed_out:
        case AttemptOutcome::stalled:
            return StepEnd::timed_out;
        case AttemptOutcome::cancelled:
        case AttemptOutcome::killed:
            return StepEnd::cancelled;
        case AttemptOutcome::failed:
        case AttemptOutcome::done:
            return StepEnd::failed;
    }
    return StepEnd::failed;
}

// One pass over what is open. Collects what can be done; `blocked_*` are the steps that wait for a person.
class Decider {
  public:
    Decider(const Plan& plan, const RunState& state, const Live& live, Timestamp now)
        : plan_(plan), state_(state), live_(live), now_(now), mode_(mode_of(state)) {}

    std::vector<Decision> decide() {
        if (state_.ended || state_.paused) return {Stop{}};
        if (mode_ == Mode::concluding) {
            conclude();
        } else if (mode_ == Mode::forward && asked_to_roll_back()) {
            record(RollbackStarted{.cause = std::nullopt, .reason = "asked for by " + state_.rollback_asked->by});
        } else if (mode_ == Mode::forward && state_.rollback_asked) {
            pause(PauseReason::past_line, {},
                  "a rollback past the line of no return loses what was written since: it has to be accepted");
        } else {
            survey_open_steps();
            finish_mode();
        }
        if (!out_.empty()) return order();
        return {WaitUntil{until_}};
    }

  private:
    const Plan& plan_;
    const RunState& state_;
    const Live& live_;
    Timestamp now_;
    Mode mode_;
    std::vector<Decision> out_;
    std::optional<Timestamp> until_;
    std::vector<std::size_t> ready_;  // may start something new, in the order of the plan
    std::vector<std::size_t> unresolved_, moved_, held_;
    bool unsettled_ = false;         // some deed is still being settled
    bool rolling_back_now_ = false;  // two steps may fail at once, the rollback starts once

    void record(EventBody event) { out_.emplace_back(Record{std::move(event)}); }

    // What follows from the rules comes first, alone: it may change what should be started.
    std::vector<Decision> order() {
        const auto is_record = [](const Decision& d) { return std::holds_alternative<Record>(d); };
        if (std::any_of(out_.begin(), out_.end(), is_record))
            std::erase_if(out_, [&](const Decision& d) { return !is_record(d); });
        return std::move(out_);
    }

    bool asked_to_roll_back() const {
        return state_.rollback_asked && (!state_.line_crossed || state_.rollback_asked->accept_loss);
    }

    void survey_open_steps() {
        for (std::size_t i : state_.open)
            look_at(i);
        if (mode_ != Mode::forward) cancel_all();
        if (mode_ == Mode::forward && live_.interrupted) {
            cancel_all();
            ready_.clear();
        }
        if (mode_ != Mode::forward || waits_for_person()) ready_.clear();
        if (live_.interrupted || waits_for_person()) until_.reset();
        start_ready();
    }

    bool waits_for_person() const { return !unresolved_.empty() || !moved_.empty() || !held_.empty(); }

    void cancel_all() {
        for (const auto& [key, verb] : live_.work) {
            const bool can_stop = verb == Verb::prepare || verb == Verb::run;  // settling and undoing go to their end
            if (can_stop && !live_.cancelled.contains(key)) out_.emplace_back(Cancel{key});
        }
    }

    void look_at(std::size_t i) {
        const StepState& step = state_.steps[i];
        const WorkKey key{i, step.current};
        if (live_.work.contains({i, 0}) || live_.work.contains({i, 1})) return;
        const DeedState& deed = step.deed();
        switch (deed.stage) {
            case DeedStage::untouched:
                ready_.push_back(i);
                return;
            case DeedStage::prepared:
                ready_.push_back(i);
                return;
            case DeedStage::attempting:
                return;  // the journal is ahead of `live` only while it is being launched
            case DeedStage::in_doubt:
                settle(key, deed);
                return;
            case DeedStage::unresolved:
                if (!state_.abandoned) unresolved_.push_back(i);
                return;
            case DeedStage::done:
                record(StepEnded{.step = i, .end = StepEnd::done, .outputs = deed.outputs, .error = std::nullopt});
                return;
            case DeedStage::not_done:
                after_failure(key, deed);
                return;
        }
    }

    // Law 3: what did not end `done` is settled before anything else happens to it.
    void settle(WorkKey key, const DeedState& state) {
        if ((state_.abandoned && mode_ != Mode::concluding) || (mode_ == Mode::forward && live_.interrupted))
            return;  // the next life will
        const DraftedStep& step = step_at(plan_, key.step);
        const Deed& deed = deed_at(step, key.deed);
        unsettled_ = true;
        const auto by_rule = [&](std::string why) {
            record(Settled{.step = key.step,
                           .deed = key.deed,
                           .answer = ProbeResult::Answer::not_done,
                           .by = Settled::By::rule,
                           .evidence = std::move(why)});
        };
        if (nothing_done(deed, state))
            return by_rule("'" + std::string(info(state.error->code).name) + "' means that nothing was done");
        switch (deed.effect) {
            case Effect::read:
                return by_rule("it only reads");
            case Effect::stage:
                if (deed.resumable && mode_ == Mode::forward && goes_on_with_same_deed(step, state))
                    return by_rule("what it made is kept, the next attempt goes on from it");
                return settle_by_undo(key, state);
            case Effect::change:
            case Effect::destroy:
                if (!deed.has_probe && deed.repeatable) return by_rule("it may be done again");
                out_.emplace_back(Launch{.key = key, .verb = Verb::probe, .settling = true});
                return;
        }
    }

    void settle_by_undo(WorkKey key, const DeedState& state) {
        switch (state.undo) {
            case UndoStage::none:
            case UndoStage::started:
                out_.emplace_back(Launch{.key = key, .verb = Verb::undo, .settling = true});
                return;
            case UndoStage::undone:
                record(Settled{.step = key.step,
                               .deed = key.deed,
                               .answer = ProbeResult::Answer::not_done,
                               .by = Settled::By::undo,
                               .evidence = state.undone_what.empty() ? "nothing of it was left" : state.undone_what});
                return;
            case UndoStage::failed:
                record(Settled{.step = key.step,
                               .deed = key.deed,
                               .answer = ProbeResult::Answer::cannot_tell,
                               .by = Settled::By::undo,
                               .evidence = state.undo_error ? state.undo_error->full_message() : "its undo failed"});
                return;
        }
    }

    bool goes_on_with_same_deed(const DraftedStep& step, const DeedState& state) const {
        return retry_at(step, state, run_id()).has_value();
    }

    const std::string& run_id() const { return state_.started->run_id; }

    // Settled as not done: again, otherwise, or what `on_failure` says.
    void after_failure(WorkKey key, const DeedState& state) {
        const DraftedStep& step = step_at(plan_, key.step);
        if (mode_ == Mode::rolling_back || mode_ == Mode::winding_down) {
            record(StepEnded{.step = key.step, .end = end_of_failure(state), .outputs = nullptr, .error = state.error});
            return;
        }
        if (state.error && state.error->code == ErrorCode::moved) {
            moved_.push_back(key.step);
            return;
        }
        if (const auto due = retry_at(step, state, run_id())) {
            if (*due <= now_) {
                ready_.push_back(key.step);
            } else {
                until_ = std::min(until_.value_or(*due), *due);
            }
            return;
        }
        if (key.deed == 0 && step.fallback) {
            ready_.push_back(key.step);
            return;
        }
        fail(key, step, state);
    }

    void fail(WorkKey key, const DraftedStep& step, const DeedState& state) {
        if (mode_ == Mode::concluding || step.on_failure == OnFailure::tolerate) {
            record(StepEnded{.step = key.step, .end = StepEnd::tolerated, .outputs = nullptr, .error = state.error});
            return;
        }
        switch (step.on_failure) {
            case OnFailure::tolerate:
                return;
            case OnFailure::pause:
                held_.push_back(key.step);
                return;
            case OnFailure::abort:
                record(StepEnded{
                    .step = key.step, .end = end_of_failure(state), .outputs = nullptr, .error = state.error});
                return;
            case OnFailure::rollback:
                if (state_.line_crossed) {
                    held_.push_back(key.step);
                } else if (!rolling_back_now_) {
                    rolling_back_now_ = true;
                    record(RollbackStarted{.cause = key.step, .reason = "step '" + step.id + "' failed"});
                }
                return;
        }
    }

    // Which deed a ready step goes on with, and whether it has to look first.
    void start(std::size_t i) {
        const StepState& step = state_.steps[i];
        const DraftedStep& planned = step_at(plan_, i);
        WorkKey key{i, step.current};
        const DeedState& deed = step.deed();
        if (deed.stage == DeedStage::not_done && !retry_at(planned, deed, run_id())) key.deed = 1;
        const DeedState& chosen = step.deeds[static_cast<std::size_t>(key.deed)];
        const bool looked = !chosen.intent.is_null();
        out_.emplace_back(Launch{.key = key, .verb = looked ? Verb::run : Verb::prepare, .settling = false});
    }

    void start_ready() {
        std::size_t busy = live_.work.size();
        const auto limit = static_cast<std::size_t>(std::max(1, plan_.draft.max_parallel));
        for (std::size_t i : ready_) {
            const DraftedStep& step = step_at(plan_, i);
            const bool fresh = !state_.steps[i].started;
            if (step.crosses && mode_ == Mode::forward && state_.before_line_open > 0) continue;
            if (fresh && !step.condition.empty() && !passes(i, step)) continue;
            if (busy >= limit) return;
            start(i);
            ++busy;
        }
    }

    // Evaluates `if:` when the step's turn has come; records what follows from a false or a broken one.
    bool passes(std::size_t i, const DraftedStep& step) {
        try {
            if (holds(plan_, state_, step.condition)) return true;
            record(StepSkipped{.step = i, .why = StepEnd::skipped_condition});
        } catch (const Error& error) {
            record(PrepareFailed{.step = i, .deed = 0, .error = error});
        }
        return false;
    }

    // What follows when nothing more can be started.
    void finish_mode() {
        if (!out_.empty() || !live_.work.empty() || unsettled_) return;
        if (live_.interrupted && mode_ == Mode::forward && !all_ended())
            return pause(PauseReason::interrupt, {}, "the run was interrupted");
        if (mode_ != Mode::winding_down || !state_.abandoned) {
            if (!unresolved_.empty())
                return pause(PauseReason::in_doubt, unresolved_,
                             "it cannot be told whether " + named(unresolved_) + " was done");
        }
        switch (mode_) {
            case Mode::forward:
                if (!moved_.empty())
                    return pause(PauseReason::moved, moved_,
                                 "the world moved under " + named(moved_) + "; nothing was done");
                if (!held_.empty())
                    return pause(state_.line_crossed ? PauseReason::past_line : PauseReason::failed, held_,
                                 named(held_) + " failed");
                if (until_) return;
                if (all_ended()) record(judge(plan_, state_, now_));
                return;
            case Mode::winding_down:
                record(judge(plan_, state_, now_));
                return;
            case Mode::rolling_back:
                undo_next();
                return;
            case Mode::concluding:
                return;
        }
    }

    bool all_ended() const { return state_.open.empty(); }

    std::string named(const std::vector<std::size_t>& steps) const {
        std::string out;
        for (std::size_t i : steps)
            out += (out.empty() ? "'" : ", '") + step_at(plan_, i).id + "'";
        return out;
    }

    void pause(PauseReason reason, std::vector<std::size_t> steps, std::string message) {
        std::vector<std::string> choices;
        if (reason == PauseReason::in_doubt) {
            for (std::size_t i : steps)
                choices.push_back("resume --answer " + step_at(plan_, i).id + "=done|not_done|retry");
        }
        choices.push_back("resume");
        if (mode_ != Mode::rolling_back) choices.push_back(state_.line_crossed ? "rollback --accept-loss" : "rollback");
        choices.push_back("abandon");
        record(Paused{
            .reason = reason, .steps = std::move(steps), .message = std::move(message), .choices = std::move(choices)});
    }

    // Law 5: backwards in the order of completion, one at a time; a failed undo does not stop the others.
    void undo_next() {
        std::optional<WorkKey> next;
        std::size_t latest = 0;
        for (std::size_t i = 0; i < plan_.draft.steps.size(); ++i) {
            const auto deeds = static_cast<int>(state_.steps[i].deeds.size());
            for (int d = 0; d < deeds; ++d) {
                const DeedState& deed = state_.steps[i].deeds[static_cast<std::size_t>(d)];
                const bool open = deed.undo == UndoStage::none || deed.undo == UndoStage::started;
                if (deed.starts == 0 || !open || deed.finished < latest || !needs_undo(i, d, deed)) continue;
                latest = deed.finished;
                next = WorkKey{i, d};
            }
        }
        if (!next) return record(judge(plan_, state_, now_));
        const Deed& deed = deed_at(step_at(plan_, next->step), next->deed);
        if (deed.has_undo || step_at(plan_, next->step).rollback) {
            out_.emplace_back(Launch{.key = *next, .verb = Verb::undo, .settling = false});
            return;
        }
        record(UndoEnded{.step = next->step,
                         .deed = next->deed,
                         .settling = false,
                         .what = "",
                         .error = Error(ErrorCode::unsupported, "'" + deed.action + "' has no undo",
                                        "Put it back by hand, then look at the target.")});
    }

    bool needs_undo(std::size_t i, int d, const DeedState& deed) const {
        const Deed& planned = deed_at(step_at(plan_, i), d);
        if (planned.effect == Effect::read) return false;
        const bool undoable = planned.has_undo || step_at(plan_, i).rollback;
        // "May be done again" settles a retry, it does not say that nothing stands.
        const bool guessed = !planned.has_probe && planned.repeatable && !nothing_done(planned, deed);
        return undoable || deed.stage != DeedStage::not_done || guessed;
    }

    // The `always` steps, one after the other; they cannot change the verdict.
    void conclude() {
        if (!live_.work.empty()) return;
        if (state_.open.empty()) return record(RunEnded{.verdict = state_.verdict->verdict});
        look_at(*state_.open.begin());
        if (!unresolved_.empty()) {
            const std::size_t i = unresolved_.front();
            return record(StepEnded{
                .step = i, .end = StepEnd::tolerated, .outputs = nullptr, .error = state_.steps[i].deed().error});
        }
        if (!moved_.empty()) {
            const std::size_t i = moved_.front();
            return record(StepEnded{
                .step = i, .end = StepEnd::tolerated, .outputs = nullptr, .error = state_.steps[i].deed().error});
        }
        start_ready();
    }
};

}  // namespace

const Deed& deed_at(const DraftedStep& step, int which) {
    return which == 1 && step.fallback ? *step.fallback : step.deed;
}

std::optional<Timestamp> retry_at(const DraftedStep& step, const DeedState& deed, std::string_view run_id) {
    const Timestamp at_once = deed.attempt_ended;
    // Attempts ended by a kill or an interrupt do not count, and a person may have granted new ones.
    const bool counted = deed.last == AttemptOutcome::failed || deed.last == AttemptOutcome::timed_out ||
                         deed.last == AttemptOutcome::stalled;
    if (!counted || deed.failures == 0) return at_once;
    if (deed.failures >= step.retry.max_attempts || !deed.error || !is_transient(step.retry, *deed.error))
        return std::nullopt;
    const double factor = std::pow(step.retry.backoff_coefficient, deed.failures - 1);
    const auto longest = static_cast<double>(step.retry.max_interval.count());
    const double plain = std::min(longest, static_cast<double>(step.retry.initial_interval.count()) * factor);
    const double share = 2 * spread(std::string(run_id) + "/" + step.id + "/" + std::to_string(deed.failures)) - 1;
    return at_once + Duration(static_cast<Duration::rep>(plain * (1 + step.retry.jitter * share)));
}

std::vector<Decision> decide(const Plan& plan, const RunState& state, const Live& live, Timestamp now) {
    return Decider(plan, state, live, now).decide();
}

}  // namespace lifeboat
