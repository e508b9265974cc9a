#include "drill/sweep.h"

#include <set>

#include "base/text.h"
#include "drill/timed_case.h"

namespace lifeboat {

namespace {

// The step that an event is about, as its JSON names it.
std::string step_of(const Plan& plan, const Event& event) {
    const Json body = to_json(event.body);
    const auto found = body.find("step");
    if (found == body.end() || !found->is_number_unsigned()) return "";
    const auto index = found->get<std::size_t>();
    return index < step_count(plan) ? step_at(plan, index).id : "";
}

// Right before its record the act has been done and nobody knows; else right after the record nothing of what it
// promises has.
bool is_outcome(const Event& event) {
    return std::holds_alternative<AttemptEnded>(event.body) || std::holds_alternative<Settled>(event.body) ||
           std::holds_alternative<UndoEnded>(event.body);
}

KillRound kill_at(const Plan& plan, const Event& event, bool before) {
    const std::string step = step_of(plan, event);
    const std::string side = before ? "before" : "after";
    return {.fault = "kill:" + side + "-event=" + std::to_string(event.seq),
            .where = side + " record " + std::to_string(event.seq) + " (" + std::string(type_of(event)) +
                     (step.empty() ? "" : " of '" + step + "'") + ")"};
}

}  // namespace

std::vector<KillRound> rounds_of_kills(const Plan& plan, const std::vector<Event>& events, SweepDepth depth) {
    std::vector<KillRound> rounds;
    std::set<std::string> seen;
    for (const Event& event : events) {
        switch (depth) {
            case SweepDepth::none:
                break;
            case SweepDepth::sample:
                if (seen.insert(step_of(plan, event) + " " + std::string(type_of(event))).second)
                    rounds.push_back(kill_at(plan, event, is_outcome(event)));
                break;
            case SweepDepth::full:
                if (event.seq > 1) rounds.push_back(kill_at(plan, event, true));
                rounds.push_back(kill_at(plan, event, false));
                break;
        }
    }
    return rounds;
}

std::vector<FailRound> rounds_of_failures(const Plan& plan, const Report& undisturbed) {
    std::vector<FailRound> rounds;
    for (std::size_t i = 0; i < step_count(plan) && i < undisturbed.steps.size(); ++i) {
        if (undisturbed.steps[i].attempts.empty()) continue;
        const std::string& id = step_at(plan, i).id;
        rounds.push_back({.fault = "fail:step=" + id, .where = "step '" + id + "' fails instead of its deed"});
        rounds.push_back({.fault = "fail:step=" + id + ":after", .where = "step '" + id + "' fails after its deed"});
    }
    return rounds;
}

std::vector<std::string> done_twice(const Plan& plan, const std::vector<Event>& events) {
    std::map<std::pair<std::size_t, int>, int> done;
    for (const Event& event : events) {
        if (const auto* ended = std::get_if<AttemptEnded>(&event.body);
            ended != nullptr && ended->outcome == AttemptOutcome::done)
            ++done[{ended->step, ended->deed}];
        if (const auto* settled = std::get_if<Settled>(&event.body);
            settled != nullptr && settled->answer == ProbeResult::Answer::done)
            ++done[{settled->step, settled->deed}];
    }
    std::vector<std::string> twice;
    for (const auto& [key, count] : done) {
        const DraftedStep& step = step_at(plan, key.first);
        const Deed& deed = key.second == 1 && step.fallback ? *step.fallback : step.deed;
        if (count > 1 && !deed.repeatable)
            twice.push_back("step '" + step.id + "' was done " + std::to_string(count) + " times");
    }
    return twice;
}

void SweepRounds::begin() const {
    snapshot_.restore();
    if (!snapshot_.services_then().empty()) rehearsal_.start_services(snapshot_.services_then());
}

DrillCase SweepRounds::timed(const std::string& name, const std::string& classname,
                             const std::function<std::vector<std::string>()>& judge) const {
    DrillCase result = timed_case(clock_, name, classname, judge);
    if (rehearsal_.program().asked_to_stop()) {
        result.outcome = CaseOutcome::skipped;
        result.message = "interrupted";
    }
    return result;
}

DrillCase SweepRounds::kill(const KillRound& round, const std::string& classname) const {
    return timed("killed " + round.where, classname, [&] { return judge_kill(round); });
}

DrillCase SweepRounds::fail(const FailRound& round, const std::string& classname) const {
    return timed(round.where, classname, [&] { return judge_failure(round); });
}

std::vector<std::string> SweepRounds::judge_kill(const KillRound& round) const {
    begin();
    ObservedRun observed = rehearsal_.run(round.fault);
    if (observed.end.killed && observed.run_id.empty()) return {"the program was killed before its run existed"};
    if (observed.end.killed) observed = rehearsal_.program().resume(observed.run_id, {});
    std::vector<std::string> found = rehearsal_.disappointments(observed);
    if (observed.plan)
        for (std::string& each : done_twice(*observed.plan, observed.events))
            found.push_back(std::move(each));
    return found;
}

std::vector<std::string> SweepRounds::judge_failure(const FailRound& round) const {
    begin();
    const Json condition = condition_of(sandbox_);
    const Json substance = rehearsal_.substance_of(rehearsal_.observe(Json::object()));
    const ObservedRun observed = rehearsal_.run(round.fault);
    if (!observed.report) return {told(observed)};
    if (ended_well(observed))
        return rehearsal_.disappointments(observed);  // it was tolerated, or found to have been done
    if (observed.report->ended && observed.report->verdict == Verdict::rolled_back)
        return judge_rollback(observed, condition, substance);
    if (observed.report->paused) return judge_pause(observed);
    return {told(observed)};
}

std::vector<std::string> SweepRounds::judge_rollback(const ObservedRun& observed, const Json& condition,
                                                     const Json& substance) const {
    std::vector<std::string> found;
    if (observed.end.exit_code != 4)
        found.push_back("it was rolled back and the exit code is " + std::to_string(observed.end.exit_code) +
                        ", not 4");
    if (observed.report->line_crossed_at) found.push_back("it was rolled back from behind the line of no return");
    for (std::string& each : changes_between(condition, condition_of(sandbox_)))
        found.push_back("after the rollback " + std::move(each));
    const Json now = rehearsal_.substance_of(rehearsal_.observe(Json::object()));
    if (now != substance)
        found.push_back("after the rollback the observation is " + to_text(now) + " instead of " + to_text(substance));
    if (!found.empty()) found.push_back(told(observed));
    return found;
}

std::vector<std::string> SweepRounds::judge_pause(const ObservedRun& observed) const {
    std::vector<std::string> retries;
    for (const std::string& step : observed.report->pauses.back().steps)
        retries.push_back(step + "=retry");
    ObservedRun resumed = rehearsal_.program().resume(observed.run_id, {});
    if (resumed.report && resumed.report->paused) resumed = rehearsal_.program().resume(observed.run_id, retries);
    return rehearsal_.disappointments(resumed);
}

}  // namespace lifeboat
