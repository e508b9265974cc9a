#include "cli/life.h"

#include "base/text.h"
#include "cli/hands.h"
#include "cli/interrupts.h"
#include "cli/live_view.h"
#include "cli/notices.h"
#include "cli/run_files.h"
#include "engine/judge.h"
#include "engine/threads.h"
#include "runs/holder.h"
#include "runs/step_log.h"
#include "world/postgres_programs.h"
#include "world/process.h"

namespace lifeboat {

namespace {

// What the journal of a dead runner names and is still alive: children first, then sessions inside the databases. The
// passwords that its children were given go as well.
std::vector<std::string> end_orphans(const DirectoryRunStore& store, const RunRecord& record, const RunState& state,
                                     const Actions& actions) {
    std::vector<std::string> ended;
    for (std::size_t i = 0; i < state.steps.size(); ++i) {
        for (const DeedState& deed : state.steps[i].deeds) {
            for (const ChildGroup& child : deed.children) {
                if (end_group({.pid = child.group, .start_ticks = child.start_ticks, .boot_id = child.boot_id},
                              std::chrono::seconds(5)))
                    ended.push_back("process group " + std::to_string(child.group) + " of step '" +
                                    step_at(record.plan, i).id + "'");
            }
        }
    }
    for (std::string& session : actions.end_orphans(record.run_id, record.plan.draft.targets))
        ended.push_back(std::move(session));
    std::error_code none;
    for (const auto& workspace : std::filesystem::directory_iterator(store.folder(record.run_id) / "steps", none))
        remove_password_leftovers(workspace.path());
    return ended;
}

// A log for each step, opened when it first says something.
class StepLogs {
  public:
    StepLogs(const DirectoryRunStore& store, std::string run_id, const Redactor& redactor)
        : store_(store), run_id_(std::move(run_id)), redactor_(redactor) {}

    void write(const std::string& step, std::string_view line) {
        std::shared_ptr<StepLog> log;
        {
            const std::lock_guard lock(mutex_);
            // a log that is closed here goes on behind what it holds, so only descriptors are saved
            if (logs_.size() >= most_open && !logs_.contains(step)) logs_.clear();
            auto& slot = logs_[step];
            if (!slot) slot = std::make_shared<StepLog>(store_.log_file(run_id_, step), redactor_);
            log = slot;
        }
        log->write(line);
    }

  private:
    static constexpr std::size_t most_open = 256;

    const DirectoryRunStore& store_;
    const std::string run_id_;
    const Redactor& redactor_;
    std::mutex mutex_;
    std::map<std::string, std::shared_ptr<StepLog>> logs_;
};

// The targets of a run, locked on this host and, where they can keep a lock, on their own.
struct HeldTargets {
    std::unique_ptr<Held> here;
    RemoteLocks there;
};

// A run that could not even begin leaves nothing behind.
HeldTargets hold_targets(DirectoryRunStore& store, const RunRecord& record, const Runner& runner,
                         const Actions& actions, std::unique_ptr<Journal>& journal) {
    try {
        HeldTargets held{.here = store.lock_targets(record.run_id, record.plan.targets, runner), .there = {}};
        held.there = actions.lock_remotely(record.run_id, record.plan.draft.targets);
        return held;
    } catch (const Error&) {
        if (record.events.empty()) {
            journal.reset();
            store.discard(record.run_id);
        }
        throw;
    }
}

}  // namespace

int exit_code_of(const Plan& plan, const RunState& state, Timestamp now, int signal) {
    const Verdict verdict = state.verdict && state.ended ? state.verdict->verdict : judge(plan, state, now).verdict;
    if (!state.ended && signal != 0 && state.paused && state.paused->reason == PauseReason::interrupt)
        return 128 + signal;
    return exit_code(verdict);
}

int live(Session& session, DirectoryRunStore& store, const std::string& run_id, const LifeWishes& wishes) {
    std::unique_ptr<Journal> file = store.open_journal(run_id);
    const RunRecord record = store.read(run_id);
    const RunState before = replay(record.plan, record.events);
    if (before.ended) {
        throw Error{ErrorCode::usage,
                    "run '" + run_id + "' has ended: " + std::string(to_text(before.verdict->verdict)),
                    "`lifeboat report " + run_id + "` shows it; a new run begins with `lifeboat run`."};
    }
    const Runner runner = this_runner();
    Hands hands(session, record.plan.draft, store.state());
    HeldTargets held = hold_targets(store, record, runner, hands.actions(), file);
    FaultyJournal faulty(*file, hands.faults());
    Journal& journal = hands.faults().any() ? static_cast<Journal&>(faulty) : *file;
    LiveView view(session.terminal, record.plan, session.clock, session.json);
    for (const std::string& reason : held.there.not_locked)
        view.say("only this host's lock guards " + reason);
    StepLogs logs(store, run_id, session.redactor);
    ThreadCrew crew(session.clock, [&logs](const std::string& step, std::string_view line) { logs.write(step, line); });
    const Interrupts interrupts([&](int, int count) {
        view.say(count == 1 ? "interrupted: letting the running steps stop, then the run pauses"
                            : "already stopping; what is being put back is put back to the end");
        crew.interrupt();
    });

    Opening opening{.run_id = run_id,
                    .runner = runner,
                    .incident_start = wishes.incident_start.value_or(session.clock.now()),
                    .incident_declared = wishes.incident_start.has_value(),
                    .decisions = wishes.decisions,
                    .orphans_ended = {}};
    if (!record.events.empty()) opening.orphans_ended = end_orphans(store, record, before, hands.actions());
    const RunState state =
        execute(record.plan, record.events, opening,
                {.journal = journal,
                 .crew = crew,
                 .clock = session.clock,
                 .actions = hands.actions(),
                 .redactor = session.redactor,
                 .observer = view,
                 .workspace = [&store, &run_id](const std::string& step) { return store.workspace(run_id, step); }});
    if (state.ended) store.release_claims(run_id);
    held = {};
    file.reset();

    show_end(session, write_reports(store, run_id));
    send_notices(session, hands, record.plan, state, run_id);
    return exit_code_of(record.plan, state, session.clock.now(), interrupts.first());
}

}  // namespace lifeboat
