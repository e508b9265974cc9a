// What a run was, for people and for other programs: folded from its plan and its journal and nothing else. A plain
// value; the renderers (markdown.h, report_json.h, junit.h) are functions from it to text. All texts are as the journal
// has them: whoever renders escapes. Secrets never stand in a journal, so none can stand here.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/event.h"
#include "engine/judge.h"
#include "engine/plan.h"
#include "engine/state.h"

namespace lifeboat {

struct ReportedAttempt {
    int number = 1;
    bool fallback = false;
    Timestamp started{};
    std::optional<Timestamp> ended;
    std::optional<AttemptOutcome> outcome;  // none while it is under way
    std::optional<Error> error;
};

struct ReportedSettling {
    bool fallback = false;
    Timestamp at{};
    ProbeResult::Answer answer = ProbeResult::Answer::cannot_tell;
    Settled::By by = Settled::By::rule;
    std::string evidence;
};

struct ReportedUndo {
    std::uint64_t record = 0;  // of the journal: undos of one moment keep their order
    bool fallback = false;
    bool settling = false;  // of one attempt, so that the next one finds nothing; not part of a rollback
    Timestamp started{};
    std::optional<Timestamp> ended;
    std::string what;  // was put back; empty: there was nothing to do
    std::optional<Error> error;
};

struct ReportedStep {
    std::string id;
    std::optional<Phase> phase;
    std::string doc;
    std::string action;  // of the deed that counts: the fallback's when that one was done
    Effect effect = Effect::read;
    Proves proves = Proves::nothing;
    bool crosses = false;  // draws the line of no return
    bool always = false;
    std::string label;  // engine's one word: done, failed, rolled_back, waiting, …
    std::optional<StepEnd> end;
    std::optional<Timestamp> started;
    std::optional<Timestamp> ended;
    std::vector<Error> look_failures;  // of its preparation, before anything was done
    std::vector<ReportedAttempt> attempts;
    std::vector<ReportedSettling> settlings;
    std::vector<ReportedUndo> undos;
    Json arguments;  // as expanded; null when it never came to that
    Json outputs;    // null unless done
    std::optional<Error> error;
};

// From the first start to the last end of the steps of one phase; phases may overlap and come back.
struct ReportedPhase {
    Phase phase = Phase::assess;
    Timestamp from{};
    std::optional<Timestamp> to;  // none while one of its steps is under way
    std::size_t steps = 0;        // that were started
};

struct ReportedRefusal {
    std::string id;
    std::string why;
};

// The backup that a step took, and those it passed over.
struct ReportedBackup {
    std::string step;
    std::string id;
    std::string store;
    std::optional<Timestamp> consistent_at;
    std::vector<ReportedRefusal> refused;
    bool used = true;  // false: it was looked at only, a later step says what was restored
};

struct ReportedObjective {
    std::optional<Duration> objective;
    std::optional<Duration> reached;
    std::optional<bool> met;  // none when there is no objective or no figure
};

struct ReportedLife {
    Timestamp from{};
    Runner runner;
};

struct ReportedDecision {
    Timestamp at{};
    PersonDecided::What what = PersonDecided::What::answer_retry;
    std::string step;  // or empty
    bool accept_loss = false;
    std::string by;
};

struct ReportedPause {
    PauseReason reason = PauseReason::interrupt;
    Timestamp from{};
    std::optional<Timestamp> to;
    std::vector<std::string> steps;
    std::string message;
    std::vector<std::string> choices;
};

struct ReportedKept {
    std::string step;
    std::string what;
};

struct Report {
    std::string run_id;
    std::string runbook;
    std::string summary;
    Gravity severity = Gravity::major;
    std::vector<Contact> contacts;
    Json inputs = Json::object();
    std::vector<TargetIdentity> targets;
    bool drill = false;

    bool ended = false;
    bool paused = false;
    Verdict verdict = Verdict::paused;
    int exit = 6;
    std::string cause;  // why it is not recovered, in one line; empty when it is

    Timestamp incident_start{};
    bool incident_declared = false;
    Timestamp started_at{};
    std::optional<Timestamp> ended_at;
    Timestamp last_at{};
    std::vector<ReportedLife> lives;

    ReportedObjective recovery_time;
    ReportedObjective recovery_point;  // judged is the data loss where the target took writes after the incident began
    std::optional<Duration> data_loss;
    Duration waited{};
    std::optional<Timestamp> line_crossed_at;

    std::vector<ReportedPhase> phases;
    std::vector<ReportedStep> steps;  // those of `always` last
    std::vector<ReportedBackup> backups;
    std::optional<std::string> rollback_reason;
    std::vector<std::string> unverified;
    std::vector<ReportedDecision> decisions;
    std::vector<ReportedPause> pauses;
    std::vector<ReportedKept> kept;      // old state; `lifeboat commit` removes that of a run that ended well
    std::vector<std::string> committed;  // what it has removed
    std::vector<std::string> orphans_ended;
    std::vector<std::string> warnings;

    // Evidence
    std::string plan_digest;
    std::string runbook_sha256;
    std::uint64_t records = 0;
    std::string journal_head;  // SHA-256 of the last record, which vouches for all before it; empty: not given
};

// Folds the events of a run, given one after the other, into its report. `plan` outlives the fold.
class ReportFold {
  public:
    explicit ReportFold(const Plan& plan);
    ~ReportFold();
    void take(const Event& event);
    // `state` is the fold of the same events; `journal_head` comes from whoever has the journal.
    Report finish(const RunState& state, std::string journal_head = {});

  private:
    class Walk;
    const Plan& plan_;
    Report report_;
    std::unique_ptr<Walk> walk_;
};

Report fold_report(const Plan& plan, std::span<const Event> events, const RunState& state,
                   std::string journal_head = {});

// The verdict, loudly, and what it claims in one sentence; for a run that neither ended nor paused, that there is none.
std::string headline(const Report& report);
std::string_view claim(const Report& report);

// What failed while putting things back: the loudest lines of a report.
std::vector<const ReportedStep*> left_undone(const Report& report);

std::string_view to_text(Settled::By by);
std::string_view to_text(PersonDecided::What what);

}  // namespace lifeboat
