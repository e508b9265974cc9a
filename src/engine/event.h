// The one thing that leaves the engine. A run's journal is a sequence of these; everything shown about a run is folded
// from them. docs/reference/events.md is generated from `event_table`.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/time.h"
#include "engine/action.h"

namespace lifeboat {

// A process that runs, or ran, a run.
struct Runner {
    std::string host;
    std::string user;
    int pid = 0;
    std::uint64_t start_ticks = 0;
    std::string boot_id;
    std::string version;
};

enum class AttemptOutcome { done, failed, timed_out, stalled, cancelled, killed };
// Where a step ended. A closed set (R7).
enum class StepEnd { done, skipped_condition, skipped_dependency, tolerated, failed, timed_out, cancelled };
enum class PauseReason { interrupt, failed, in_doubt, moved, past_line };
enum class Verdict {
    recovered,
    recovered_late,
    unverified,
    rolled_back,
    rollback_incomplete,
    failed,
    aborted,
    paused,
    in_doubt
};

// In every event about a step: `step` is its index in the plan (steps first, then always), `deed` is 0 for the step's
// own and 1 for its fallback.
struct RunStarted {
    std::string run_id;
    std::string plan_digest;
    Runner runner;
    Timestamp incident_start{};
    bool incident_declared = false;
};
struct RunResumed {
    Runner runner;
};
struct PersonDecided {  // what a person said to a paused run, or to a running one
    enum class What { answer_done, answer_not_done, answer_retry, rollback, abandon };
    What what = What::answer_retry;
    std::optional<std::size_t> step;
    bool accept_loss = false;
    std::string by;
};
struct StepSkipped {
    std::size_t step = 0;
    StepEnd why = StepEnd::skipped_condition;
};
struct DeedPrepared {
    std::size_t step = 0;
    int deed = 0;
    Json arguments;
    Intent intent;
};
struct PrepareFailed {
    std::size_t step = 0;
    int deed = 0;
    Error error;
};
struct AttemptStarted {
    std::size_t step = 0;
    int deed = 0;
    int attempt = 1;
};
struct Noted {
    std::size_t step = 0;
    int deed = 0;
    std::string key;
    Json value;
};
struct ChildStarted {
    std::size_t step = 0;
    int deed = 0;
    ChildGroup child;
};
struct OrphansEnded {
    std::vector<std::string> what;
};
struct AttemptEnded {
    std::size_t step = 0;
    int deed = 0;
    int attempt = 1;
    AttemptOutcome outcome = AttemptOutcome::done;
    Outputs outputs = Json::object();
    std::optional<Error> error;
};
struct Settled {
    enum class By { rule, undo, probe, person };
    std::size_t step = 0;
    int deed = 0;
    ProbeResult::Answer answer = ProbeResult::Answer::cannot_tell;
    By by = By::rule;
    std::string evidence;
    Outputs outputs = Json::object();
};
struct StepEnded {
    std::size_t step = 0;
    StepEnd end = StepEnd::done;
    Outputs outputs = Json::object();
    std::optional<Error> error;
};
struct RollbackStarted {
    std::optional<std::size_t> cause;
    std::string reason;
};
struct UndoStarted {
    std::size_t step = 0;
    int deed = 0;
    bool settling = false;
};
struct UndoEnded {
    std::size_t step = 0;
    int deed = 0;
    bool settling = false;
    std::string what;
    std::optional<Error> error;
};
struct Paused {
    PauseReason reason = PauseReason::interrupt;
    std::vector<std::size_t> steps;
    std::string message;
    std::vector<std::string> choices;
};
struct VerdictReached {
    Verdict verdict = Verdict::failed;
    std::optional<Duration>
        rto;  // incident start → the end of the last untolerated step that proves something or reopens
    std::optional<Duration> rpo;        // incident start − consistent_at
    std::optional<Duration> data_loss;  // writes stopped − consistent_at
    Duration waited{};                  // of the RTO: for people
};
struct RunEnded {
    Verdict verdict = Verdict::failed;
};
struct Committed {
    std::vector<std::string> removed;
    std::string by;
};

using EventBody = std::variant<RunStarted, RunResumed, PersonDecided, StepSkipped, DeedPrepared, PrepareFailed,
                               AttemptStarted, Noted, ChildStarted, OrphansEnded, AttemptEnded, Settled, StepEnded,
                               RollbackStarted, UndoStarted, UndoEnded, Paused, VerdictReached, RunEnded, Committed>;

struct Event {
    std::uint64_t seq = 0;  // from 1, without gaps
    Timestamp at{};
    EventBody body;
};

struct EventType {
    std::string_view name;     // the `type` in the journal: "attempt_started"
    std::string_view meaning;  // one sentence
};
// In the order of EventBody's alternatives.
std::span<const EventType> event_table();
std::string_view type_of(const Event& event);

// {"type": …, fields…}: the envelope (v, seq, at, prev) is the journal's.
Json to_json(const EventBody& body);
// Throws Error{journal_damaged} for an unknown type or a missing field.
EventBody event_body_from_json(const Json& value);

std::string_view to_text(AttemptOutcome outcome);
std::string_view to_text(StepEnd end);
std::string_view to_text(PauseReason reason);
std::string_view to_text(Verdict verdict);
std::string_view to_text(ProbeResult::Answer answer);
std::optional<Verdict> verdict_named(std::string_view name);

Json to_json(const Runner& runner);
Json to_json(const ChildGroup& child);

}  // namespace lifeboat
