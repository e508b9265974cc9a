#include <algorithm>
#include <map>

#include "base/sha256.h"
#include "base/text.h"
#include "report/report.h"
#include "report/words.h"

namespace lifeboat {

namespace {

std::optional<std::string> text_in(const Json& outputs, const char* key) {
    if (!outputs.is_object()) return std::nullopt;
    const auto found = outputs.find(key);
    if (found == outputs.end() || !found->is_string()) return std::nullopt;
    return found->get<std::string>();
}

// Whether `value` names the resource at any depth.
bool names_resource(const Json& value, const std::string& resource) {
    if (text_in(value, "of") == resource) return true;
    if (!value.is_structured()) return false;
    return std::any_of(value.begin(), value.end(), [&](const Json& part) { return names_resource(part, resource); });
}

const Deed& deed_of(const Step& step, int deed) {
    return deed == 1 && step.fallback ? *step.fallback : step.deed;
}

void say_how_steps_stand(const Plan& plan, const RunState& state, std::vector<ReportedStep>& steps) {
    for (std::size_t i = 0; i < steps.size(); ++i) {
        const StepState& past = state.steps.at(i);
        const Deed& deed = deed_of(step_at(plan, i), past.current);
        ReportedStep& step = steps[i];
        step.action = deed.action;
        step.effect = deed.effect;
        step.proves = deed.proves;
        step.label = std::string(label(past));
        step.end = past.end;
        step.started = past.started;
        step.ended = past.ended;
        if (past.end == StepEnd::done) step.outputs = past.outputs;
        step.error = past.error;
    }
}

std::vector<ReportedPhase> phases_of(const std::vector<ReportedStep>& steps) {
    std::vector<ReportedPhase> phases;
    for (const ReportedStep& step : steps) {
        if (!step.phase || step.attempts.empty()) continue;
        auto found =
            std::find_if(phases.begin(), phases.end(), [&](const auto& each) { return each.phase == *step.phase; });
        const Timestamp from = step.started.value_or(step.attempts.front().started);
        if (found == phases.end()) {
            phases.push_back({.phase = *step.phase, .from = from, .to = step.ended, .steps = 1});
            continue;
        }
        found->from = std::min(found->from, from);
        found->to = found->to && step.ended ? std::optional(std::max(*found->to, *step.ended)) : std::nullopt;
        ++found->steps;
    }
    std::stable_sort(phases.begin(), phases.end(), [](const auto& a, const auto& b) { return a.from < b.from; });
    return phases;
}

std::vector<ReportedRefusal> refusals_in(const Json& outputs) {
    std::vector<ReportedRefusal> refusals;
    const auto found = outputs.find("refused");
    if (found == outputs.end() || !found->is_array()) return refusals;
    for (const Json& each : *found) {
        refusals.push_back(
            {.id = text_in(each, "id").value_or(to_text(each)), .why = text_in(each, "why").value_or("")});
    }
    return refusals;
}

// Backups are known by what choosing steps leave: the `id` taken, and why others were `refused`.
std::vector<ReportedBackup> backups_of(const std::vector<ReportedStep>& steps) {
    std::vector<ReportedBackup> backups;
    for (const ReportedStep& step : steps) {
        const bool chooses = step.action == "backup.fetch" || step.action == "backup.select";
        if (!chooses || step.end != StepEnd::done || !step.outputs.is_object()) continue;
        const auto id = text_in(step.outputs, "id");
        if (!id) continue;
        const auto when = text_in(step.outputs, "consistent_at");
        // what a fetch brought is what was restored; a selection before it only looked
        for (ReportedBackup& earlier : backups) {
            if (earlier.id == *id || step.action == "backup.fetch") earlier.used = earlier.used && earlier.id != *id;
        }
        backups.push_back({.step = step.id,
                           .id = *id,
                           .store = text_in(step.outputs, "store").value_or(""),
                           .consistent_at = when ? parse_timestamp(*when) : std::nullopt,
                           .refused = refusals_in(step.outputs)});
    }
    return backups;
}

bool came_through(Verdict verdict) {
    return verdict == Verdict::recovered || verdict == Verdict::recovered_late || verdict == Verdict::unverified;
}

std::vector<std::string> unverified_in(const Plan& plan, const Report& report) {
    std::vector<std::string> open;
    if (!came_through(report.verdict)) return open;
    const auto proves_data = [](const ReportedStep& step) { return step.proves == Proves::data && !step.always; };
    const auto proven = [&](const ReportedStep& step) { return proves_data(step) && step.end == StepEnd::done; };
    if (std::none_of(report.steps.begin(), report.steps.end(), proven)) {
        open.emplace_back("no step that proves data ended well: nothing is known of what was restored");
    }
    for (const ReportedStep& step : report.steps) {
        if (!proves_data(step) || step.end == StepEnd::done) continue;
        open.push_back("step '" + step.id + "', which proves data, ended as '" + step.label + "'");
    }
    for (const std::string& target : plan.draft.targets) {
        const bool restored = std::any_of(report.steps.begin(), report.steps.end(), [&](const ReportedStep& step) {
            return step.phase == Phase::restore && step.end == StepEnd::done && step.effect != Effect::read &&
                   names_resource(step.arguments, target);
        });
        const bool checked = std::any_of(report.steps.begin(), report.steps.end(), [&](const ReportedStep& step) {
            return proven(step) && names_resource(step.arguments, target);
        });
        if (restored && !checked)
            open.push_back("the content of '" + target + "' was restored, and no step that proves data looked at it");
    }
    return open;
}

std::vector<ReportedKept> kept_in(const Report& report) {
    std::vector<ReportedKept> kept;
    for (const ReportedStep& step : report.steps) {
        // what was put back is not kept any more; what could not be put back may be the only copy
        const bool stands = step.label == "done" || step.label == "undo_failed";
        if (step.end != StepEnd::done || !stands || !step.outputs.is_object()) continue;
        const auto found = step.outputs.find("kept");
        if (found == step.outputs.end() || found->is_null()) continue;
        if (found->is_array()) {
            for (const Json& each : *found)
                kept.push_back({.step = step.id, .what = value_text(each)});
        } else {
            kept.push_back({.step = step.id, .what = value_text(*found)});
        }
    }
    return kept;
}

std::string subject_of(const Finding& finding) {
    return (finding.step.empty() ? "" : "step '" + finding.step + "': ") + finding.subject + ": " + finding.message;
}

std::vector<std::string> warnings_of(const Plan& plan, const Report& report) {
    std::vector<std::string> warnings;
    for (const Finding& finding : plan.findings) {
        if (finding.kind == FindingKind::warning) warnings.push_back("before the run: " + subject_of(finding));
        if (finding.kind == FindingKind::unknown)
            warnings.push_back("not known before the run: " + subject_of(finding));
    }
    for (const ReportedStep& step : report.steps) {
        const std::string name = step.always ? "step '" + step.id + "' (always)" : "step '" + step.id + "'";
        const std::string why = step.error ? ": " + step.error->full_message() : "";
        if (step.end == StepEnd::tolerated) {
            warnings.push_back(name + " failed and was tolerated" + why);
        } else if (step.always && step.end && step.end != StepEnd::done && step.end != StepEnd::skipped_condition) {
            warnings.push_back(name + " ended as '" + step.label + "'" + why);
        }
        if (!step.outputs.is_object()) continue;
        const auto said = step.outputs.find("warnings");
        if (said == step.outputs.end() || !said->is_array()) continue;
        for (const Json& each : *said)
            warnings.push_back(name + ": " + value_text(each));
    }
    for (const std::string& what : report.orphans_ended)
        warnings.push_back("left by a runner that died, and ended: " + what);
    return warnings;
}

const ReportedStep* first_failure(const Report& report) {
    for (const ReportedStep& step : report.steps) {
        if (!step.always && (step.end == StepEnd::failed || step.end == StepEnd::timed_out)) return &step;
    }
    return nullptr;
}

std::string cause_of(const Report& report, std::optional<std::size_t> rollback_cause) {
    if (came_through(report.verdict)) return "";
    if (report.paused && !report.pauses.empty()) return report.pauses.back().message;
    const ReportedStep* failed = rollback_cause ? &report.steps.at(*rollback_cause) : first_failure(report);
    if (failed != nullptr) {
        const std::optional<Error>& error =
            failed->error || failed->attempts.empty() ? failed->error : failed->attempts.back().error;
        return "step '" + failed->id + "' failed" + (error ? ": " + error->full_message() : "");
    }
    return report.rollback_reason.value_or("");
}

std::optional<bool> within(const std::optional<Duration>& objective, const std::optional<Duration>& reached) {
    if (!objective || !reached) return std::nullopt;
    return *reached <= *objective;
}

}  // namespace

// One pass over the journal for what the state does not keep: every attempt, settling and undo with its times.
class ReportFold::Walk {
  public:
    Walk(const Plan& plan, Report& report) : plan_(plan), report_(report) {}

    void take(const Event& event) {
        at_ = event.at;
        record_ = event.seq;
        std::visit(*this, event.body);
    }

    void operator()(const RunStarted& e) { report_.lives.push_back({.from = at_, .runner = e.runner}); }
    void operator()(const RunResumed& e) {
        report_.lives.push_back({.from = at_, .runner = e.runner});
        if (!report_.pauses.empty() && !report_.pauses.back().to) report_.pauses.back().to = at_;
        // what the dead runner had under way ended with it, nobody knows when
        for (ReportedStep& step : report_.steps) {
            for (ReportedAttempt& attempt : step.attempts) {
                if (!attempt.outcome) attempt.outcome = AttemptOutcome::killed;
            }
        }
    }
    void operator()(const PersonDecided& e) {
        report_.decisions.push_back({.at = at_,
                                     .what = e.what,
                                     .step = e.step ? id_of(*e.step) : "",
                                     .accept_loss = e.accept_loss,
                                     .by = e.by});
    }
    void operator()(const StepSkipped&) {}
    void operator()(const DeedPrepared& e) { step(e.step).arguments = e.arguments; }
    void operator()(const PrepareFailed& e) { step(e.step).look_failures.push_back(e.error); }
    void operator()(const AttemptStarted& e) {
        step(e.step).attempts.push_back({.number = e.attempt, .fallback = e.deed == 1, .started = at_});
    }
    void operator()(const Noted&) {}
    void operator()(const ChildStarted&) {}
    void operator()(const OrphansEnded& e) {
        report_.orphans_ended.insert(report_.orphans_ended.end(), e.what.begin(), e.what.end());
    }
    void operator()(const AttemptEnded& e) {
        auto& attempts = step(e.step).attempts;
        if (attempts.empty()) return;
        attempts.back().ended = at_;
        attempts.back().outcome = e.outcome;
        attempts.back().error = e.error;
    }
    void operator()(const Settled& e) {
        step(e.step).settlings.push_back(
            {.fallback = e.deed == 1, .at = at_, .answer = e.answer, .by = e.by, .evidence = e.evidence});
    }
    void operator()(const StepEnded&) {}
    void operator()(const RollbackStarted& e) {
        report_.rollback_reason = e.reason;
        rollback_cause_ = e.cause;
    }
    void operator()(const UndoStarted& e) {
        step(e.step).undos.push_back(
            {.record = record_, .fallback = e.deed == 1, .settling = e.settling, .started = at_});
    }
    void operator()(const UndoEnded& e) {
        auto& undos = step(e.step).undos;
        if (undos.empty()) return;
        undos.back().ended = at_;
        undos.back().what = e.what;
        undos.back().error = e.error;
    }
    void operator()(const Paused& e) {
        ReportedPause pause{.reason = e.reason, .from = at_, .message = e.message, .choices = e.choices};
        for (const std::size_t index : e.steps)
            pause.steps.push_back(id_of(index));
        report_.pauses.push_back(std::move(pause));
    }
    void operator()(const VerdictReached&) {}
    void operator()(const RunEnded&) { report_.ended_at = at_; }
    void operator()(const Committed& e) {
        report_.committed.insert(report_.committed.end(), e.removed.begin(), e.removed.end());
    }

    std::optional<std::size_t> rollback_cause() const { return rollback_cause_; }

  private:
    ReportedStep& step(std::size_t index) { return report_.steps.at(index); }
    std::string id_of(std::size_t index) const { return step_at(plan_, index).id; }

    const Plan& plan_;
    Report& report_;
    Timestamp at_{};
    std::uint64_t record_ = 0;
    std::optional<std::size_t> rollback_cause_;
};

ReportFold::ReportFold(const Plan& plan) : plan_(plan) {
    const Draft& draft = plan.draft;
    report_ = {.runbook = draft.runbook,
               .summary = draft.summary,
               .severity = draft.severity,
               .contacts = draft.contacts,
               .inputs = draft.inputs,
               .targets = plan.targets,
               .drill = draft.drill.has_value(),
               .plan_digest = plan.digest,
               .runbook_sha256 = sha256_hex(draft.runbook_source)};
    for (std::size_t i = 0; i < step_count(plan); ++i) {
        const DraftedStep& drafted = step_at(plan, i);
        report_.steps.push_back({.id = drafted.id,
                                 .phase = drafted.phase,
                                 .doc = drafted.doc,
                                 .crosses = drafted.crosses,
                                 .always = is_always(plan, i)});
    }
    walk_ = std::make_unique<Walk>(plan_, report_);
}

ReportFold::~ReportFold() = default;

void ReportFold::take(const Event& event) {
    ++report_.records;
    walk_->take(event);
}

Report ReportFold::finish(const RunState& state, std::string journal_head) {
    const Draft& draft = plan_.draft;
    report_.journal_head = std::move(journal_head);
    report_.ended = state.ended;
    report_.paused = state.paused.has_value();
    report_.started_at = state.started_at;
    report_.last_at = state.last_at;
    report_.line_crossed_at = state.line_crossed_at;
    if (state.started) {
        report_.run_id = state.started->run_id;
        report_.incident_start = state.started->incident_start;
        report_.incident_declared = state.started->incident_declared;
    }
    say_how_steps_stand(plan_, state, report_.steps);
    const VerdictReached judged = state.verdict ? *state.verdict : judge(plan_, state, state.last_at);
    report_.verdict = judged.verdict;
    report_.exit = exit_code(judged.verdict);
    report_.waited = judged.waited;
    report_.data_loss = judged.data_loss;
    // a loss above the recovery point: the target took writes after the incident began, and they are gone as well
    const auto lost = judged.rpo && judged.data_loss ? std::max(judged.rpo, judged.data_loss) : judged.rpo;
    report_.recovery_time = {.objective = draft.objectives.rto};
    report_.recovery_point = {.objective = draft.objectives.rpo, .reached = judged.rpo};
    // what was not recovered took no time to recover, and missed or met nothing
    if (came_through(judged.verdict)) {
        report_.recovery_time.reached = judged.rto;
        report_.recovery_time.met = within(draft.objectives.rto, judged.rto);
        report_.recovery_point.met = within(draft.objectives.rpo, lost);
    }

    report_.phases = phases_of(report_.steps);
    report_.backups = backups_of(report_.steps);
    report_.unverified = unverified_in(plan_, report_);
    report_.kept = kept_in(report_);
    report_.warnings = warnings_of(plan_, report_);
    report_.cause = cause_of(report_, walk_->rollback_cause());
    return std::move(report_);
}

Report fold_report(const Plan& plan, std::span<const Event> events, const RunState& state, std::string journal_head) {
    ReportFold fold(plan);
    for (const Event& event : events)
        fold.take(event);
    return fold.finish(state, std::move(journal_head));
}

std::string headline(const Report& report) {
    return report.ended || report.paused ? loud(report.verdict) : "NOT ENDED";
}

std::string_view claim(const Report& report) {
    if (report.ended || report.paused) return meaning(report.verdict);
    return "Nothing final can be said: the run is under way, or its runner died.";
}

std::vector<const ReportedStep*> left_undone(const Report& report) {
    std::vector<const ReportedStep*> left;
    for (const ReportedStep& step : report.steps) {
        if (step.label == "undo_failed") left.push_back(&step);
    }
    return left;
}

std::string_view to_text(Settled::By by) {
    switch (by) {
        case Settled::By::rule:
            return "rule";
        case Settled::By::undo:
            return "undo";
        case Settled::By::probe:
            return "probe";
        case Settled::By::person:
            return "person";
    }
    return "rule";
}

std::string_view to_text(PersonDecided::What what) {
    switch (what) {
        case PersonDecided::What::answer_done:
            return "answer_done";
        case PersonDecided::What::answer_not_done:
            return "answer_not_done";
        case PersonDecided::What::answer_retry:
            return "answer_retry";
        case PersonDecided::What::rollback:
            return "rollback";
        case PersonDecided::What::abandon:
            return "abandon";
    }
    return "abandon";
}

}  // namespace lifeboat
