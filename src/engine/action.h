// What the engine knows of an action: its spec and five verbs. Actions are stateless and their verbs may be called from
// several threads at once; everything about one deed is in its arguments, intent, notes and Context.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/size.h"
#include "base/time.h"
#include "engine/held.h"
#include "engine/workspace.h"
#include "runbook/spec.h"

namespace lifeboat {

// What will be done, what undoing it needs, the names it will create and what a probe must look for. Plain JSON,
// journaled before the deed's first attempt and given to every later verb unchanged.
using Intent = Json;
using Outputs = Json;  // an object; the names declared in the spec
// What only the act could know (an upload id, a pid), journaled during it: key → value, the last one wins.
using Notes = std::map<std::string, Json>;

struct Progress {
    std::string what;                   // "restoring table 'orders'"
    std::optional<std::uint64_t> done;  // bytes, unless `unit` says otherwise
    std::optional<std::uint64_t> total;
    std::string unit = "bytes";
};

// A child process group that the run started, so that a resume can end what a dead runner left.
struct ChildGroup {
    int group = 0;
    std::uint64_t start_ticks = 0;  // field 22 of /proc/<pid>/stat
    std::string boot_id;
};

// What one call of a verb is given. Lives as long as the call.
struct Context {
    std::string run_id;
    std::string step_id;
    std::string idempotency_key;  // the same for every attempt of this deed
    int attempt = 1;
    bool drill = false;
    Json arguments = Json::object();  // expanded; secrets are references
    Workspace workspace;              // this step's own folder below the run's
    std::stop_token stop;             // asked to stop: by a rollback, an interrupt, the deadline or a missed heartbeat
    SteadyTime deadline = SteadyTime::max();
    const Clock* clock = nullptr;

    std::function<void(const Progress&)> progress = [](const Progress&) {};           // also the heartbeat
    std::function<void(std::string key, Json value)> note = [](auto, auto) {};        // durable when it returns
    std::function<void(const ChildGroup&)> child_started = [](const ChildGroup&) {};  // durable when it returns
    std::function<void(std::string_view line)> log = [](std::string_view) {
    };  // to the step's log: bounded and redacted
    // In a survey: what the steps whose outputs the arguments name would move, at the most.
    std::optional<Bytes> expected_bytes;
    // For candidates (law 4): the ordered list that the plan froze for this step, or null when nothing was planned.
    Json planned = nullptr;
};

struct ProbeResult {
    enum class Answer { done, not_done, cannot_tell };
    Answer answer = Answer::cannot_tell;
    Outputs outputs = Json::object();  // with `done`
    std::string evidence;              // what was seen, for people: "database 'shop' has OID 16402, the staged one"
};

enum class FindingKind { ok, unknown, warning, blocker };

// Something found before the run (preflight): shown by `plan` and `check`; a blocker refuses the run.
struct Finding {
    FindingKind kind = FindingKind::ok;
    std::string step;     // or empty
    std::string subject;  // "free space on '/var/lib/postgresql'"
    std::string message;  // "12.0 GiB needed, 8.1 GiB free"
    std::string hint;
};

// One backup that could be restored, as frozen in a plan.
struct Candidate {
    std::string id;
    std::string manifest_sha256;
    std::string store;  // name of the resource
    std::optional<Timestamp> consistent_at;
    std::optional<Bytes> size;
    std::string verified;  // level: listed, complete, …
    std::string refused;   // why it does not satisfy the limits; empty for the eligible ones
};

struct Survey {
    std::vector<Finding> findings;
    std::vector<Candidate> candidates;  // eligible ones first, in the order they would be tried
    std::optional<Duration> estimate;
    std::optional<Bytes> bytes;     // that the step moves, to scale estimates
    std::optional<Duration> waits;  // before anything moves, which no estimate knows of: hours of a cold storage
};

class Action {
  public:
    virtual ~Action() = default;
    virtual const ActionSpec& spec() const = 0;

    // Looks before the run, changes nothing. Arguments that are not known yet are null.
    virtual Survey survey(Context& context) const;
    // Reads the world right before the first attempt.
    virtual Intent prepare(Context& context) const = 0;
    // Re-checks the intent first: throws Error{moved} when the world is not as prepared, having done nothing.
    virtual Outputs run(const Intent& intent, Context& context) const = 0;
    // Asked about a deed that did not end `done`. The default cannot tell.
    virtual ProbeResult probe(const Intent& intent, const Notes& notes, Context& context) const;
    // Looks first, is idempotent, can be called again after a kill. Returns what was put back, for people; empty when
    // there was nothing to do.
    virtual std::string undo(const Intent& intent, const Notes& notes, Context& context) const;
};

// What a target is, for locks and drift (design §6).
struct TargetIdentity {
    std::string resource;                 // its name in the site
    std::string declared;                 // "postgres db1:5432/shop": always known
    std::optional<std::string> measured;  // "postgres system 7301… primary, database shop": when it can be read
    Json facts = Json::object();          // shown on drift
    std::optional<Error> unreached;       // why nobody could look at it; not kept in plans
};

// Targets that are locked where they live, and why the others are not.
struct RemoteLocks {
    std::vector<std::unique_ptr<Held>> held;
    std::vector<std::string> not_locked;  // "'shop': cannot connect to …"
};

// The actions of this binary over the resources of one site.
class Actions {
  public:
    virtual ~Actions() = default;
    virtual const Action* find(std::string_view name) const = 0;
    // Never throws for an unreachable target: `measured` is then empty.
    virtual TargetIdentity identify(const std::string& resource) const = 0;
    // Guards targets against runs on other machines, where the target itself can keep a lock (PostgreSQL). Throws
    // Error{locked} naming the holder; what a dead runner of this run still holds is taken over.
    virtual RemoteLocks lock_remotely(const std::string& run_id, const std::vector<std::string>& targets) const = 0;
    // Ends what a dead runner of this run left inside the targets: database sessions, by application name. Returns what
    // was ended.
    virtual std::vector<std::string> end_orphans(const std::string& run_id,
                                                 const std::vector<std::string>& targets) const = 0;
};

// How database sessions of a run name themselves, so that orphans can be found: "lifeboat <run id>".
std::string application_name(std::string_view run_id);

}  // namespace lifeboat
