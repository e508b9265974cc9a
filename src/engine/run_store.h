// Where runs are kept: journals, plans, logs, reports, locks and claims. A directory (room `runs`), later also
// PostgreSQL.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/held.h"
#include "engine/journal.h"
#include "engine/state.h"

namespace lifeboat {

struct StoredRun {
    std::string run_id;
    std::string runbook;
    Timestamp started_at{};
    bool ended = false;
    std::optional<Verdict> verdict;  // of the last event that says
};

// What reading a journal tells beside its events.
struct EventsSeen {
    std::string head;  // SHA-256 of the last record: with it the hash chain vouches for the whole journal
    std::optional<std::string> torn_tail;  // why the last record was left out, when it was
};

// A run that nobody else can change now.
struct TakenOver {
    std::unique_ptr<Journal> journal;
    EventsSeen seen;
};

// A run as it stands.
struct RunRecord : EventsSeen {
    std::string run_id;
    Plan plan;
    std::vector<Event> events;
};

// A plan that somebody approved is good for one run.
enum class PlanUse { any, once };

class RunStore {
  public:
    virtual ~RunStore() = default;
    // A new run with its plan, runbook and scripts; id like "2026-02-01T02-00-00-database-corruption-4f1c". Throws
    // already_exists, and stale_plan, naming the run, when `use` is once and the plan has one.
    virtual std::string create(const Plan& plan, Timestamp now, PlanUse use = PlanUse::any) = 0;
    virtual Plan plan(const std::string& run_id) const = 0;
    // Gives `take` one event of the run after the other, from the first.
    virtual EventsSeen each_event(const std::string& run_id, const std::function<void(Event)>& take) const = 0;
    // Everything at once, for runs that are looked at as a whole.
    RunRecord read(const std::string& run_id) const;
    // Takes the run itself (one runner at a time; Error{locked}), gives `take` the events of its journal, cuts a torn
    // tail, and appends from there.
    virtual TakenOver take_over(const std::string& run_id, const std::function<void(Event)>& take) = 0;
    // The same for one who does not ask what happened before.
    std::unique_ptr<Journal> open_journal(const std::string& run_id);
    virtual std::vector<StoredRun> list() const = 0;                            // newest first
    virtual std::filesystem::path folder(const std::string& run_id) const = 0;  // for workspaces, logs and reports

    // Locks every identity of every target for this process and claims it for the run. Throws Error{locked} naming run,
    // host, user and since when another process holds one, or another unfinished run claims one.
    virtual std::unique_ptr<Held> lock_targets(const std::string& run_id, const std::vector<TargetIdentity>& targets,
                                               const Runner& runner) = 0;
    // The run has ended: its claims fall.
    virtual void release_claims(const std::string& run_id) = 0;
};

}  // namespace lifeboat
