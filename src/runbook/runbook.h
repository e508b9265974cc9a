// What an author wrote, checked: every reference resolved, every default filled in, every mistake reported. A plain
// value.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/diagnostic.h"
#include "base/json.h"
#include "base/time.h"
#include "runbook/spec.h"

namespace lifeboat {

enum class Phase { assess, isolate, fetch, restore, verify, reopen };
enum class Gravity { minor, major, critical };
enum class OnFailure { rollback, tolerate, pause, abort };  // `tolerate` is written `continue`

// One thing that a step does. `run:` and `lua:` steps are deeds too: of the actions "run" and "lua", with what the
// author declared about them, and their `undo:` and `probe:` inside the arguments.
struct Deed {
    std::string action;
    Json arguments = Json::object();  // checked and with defaults; texts may still hold ${{ }}
    Effect effect = Effect::read;
    bool reopens = false;
    Proves proves = Proves::nothing;
    bool repeatable = false;
    bool resumable = false;
    bool has_probe = false;
    bool has_undo = false;
    std::vector<ErrorCode> harmless;    // errors raised only before anything was done: they need no settling
    std::string consistent_output;      // the output with that role (spec.h), or empty
    std::string writes_stopped_output;  // likewise
};

struct Retry {
    int max_attempts = 1;
    Duration initial_interval = std::chrono::seconds(1);
    double backoff_coefficient = 2;
    Duration max_interval = std::chrono::minutes(1);
    double jitter = 0.2;              // ± share of the interval
    std::vector<ErrorCode> retry_on;  // empty: every transient error
};

struct Step {
    std::string id;
    std::optional<Phase> phase;
    std::string doc;
    std::vector<std::size_t> needs;  // indices into the same list of steps, all before this one in `order`
    std::string condition;           // a bare expression, or empty
    Deed deed;
    std::optional<Deed> fallback;  // done instead, when every attempt of `deed` has failed
    std::optional<Deed> rollback;  // replaces the action's own undo
    Retry retry;
    std::optional<Duration> timeout;    // of one attempt
    std::optional<Duration> heartbeat;  // no progress for that long fails the attempt
    OnFailure on_failure = OnFailure::rollback;
    std::optional<Duration> estimate;
    bool reopens_elsewhere = false;  // the author wrote `reopens: false`: the door is opened elsewhere
    bool safe_in_drill = false;      // the author wrote `drill: safe`
    SourceSpan span;                 // of its id in the runbook's file
};

struct Objectives {
    std::optional<Duration> rto;
    std::optional<Duration> rpo;
};

struct Contact {
    std::string role;
    std::string reach;
};

struct Input {
    std::string name;
    ValueType type = ValueType::text;
    std::optional<Json> default_value;  // for a timestamp: "now" is frozen when the plan is made
    std::string doc;
    SourceSpan span;
};

struct Requirement {
    std::string name;  // how the steps call it
    std::string kind;  // a resource type or kind, or "backup"
    SourceSpan span;
};

struct Runbook {
    std::string name;
    std::string summary;
    Gravity severity = Gravity::major;
    Objectives objectives;
    std::vector<Contact> contacts;
    std::vector<Requirement> requires_;
    std::vector<Input> inputs;
    int max_parallel = 4;
    std::vector<Step> steps;                     // as written; `needs` makes the graph, which has no cycle
    std::vector<Step> always;                    // repeatable actions only; done when the verdict is final
    std::map<std::string, std::string> scripts;  // `lua:` files as they were: path below scripts/ → text
    std::string file;                            // for messages
    std::string source;                          // the YAML as it was, kept in the run
};

std::string_view to_text(Phase phase);
std::string_view to_text(OnFailure on_failure);  // "rollback", "continue", …
std::string_view to_text(Gravity severity);

}  // namespace lifeboat
