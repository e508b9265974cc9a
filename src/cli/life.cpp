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
std::vector<std::string> end_orphans(const DirectoryRunStore& store, const std::string& run_id, const Plan& plan,
                                     const RunState& state, const Actions& actions) {
    std::vector<std::string> ended;
    for (std::size_t i = 0; i < state.steps.size(); ++i) {
        for (const DeedState& deed : state.steps[i].deeds) {
            for (const ChildGroup& child : deed.children) {
                if (end_group({.pid = child.group, .start_ticks = child.start_ticks, .boot_id = child.boot_id},
                              std::chrono::seconds(5)))
                    ended.push_back("process group " + std::to_string(child.group) + " of step '" +
                                    step_at(plan, i).id + "'");
            }
        }
    }
    for (std::string& session : actions.end_orphans(run_id, plan.draft.targets))
        ended.push_back(std::move(session));
    std::error_code none;
    for (const auto& workspace : std::filesystem::directory_iterator(store.folder(run_id) / "steps", none))
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
HeldTargets hold_targets(DirectoryRunStore& store, const std::string& run_id, const Plan& plan, bool begun,
                         const Runner& runner, const Actions& actions, std::unique_ptr<Journal>& journal) {
    try {
        HeldTargets held{.here = store.lock_targets(run_id, plan.targets, runner), .there = {}};
        held.there = actions.lock_remotely(run_id, plan.draft.targets);
        return held;
    } catch (const Error&) {
        if (!begun) {
            journal.reset();
            store.discard(run_id);
        }
        throw;
    }
}

// Folds the report while the events go by.
class Reporting final : public Observer {
  public:
    Reporting(ReportFold& fold, Observer& view) : fold_(fold), view_(view) {}
    void saw(const Event& event) override {
        fold_.take(event);
        view_.saw(event);
    }
    void progressed(std::size_t step, const Progress& progress) override { view_.progressed(step, progress); }

  private:
    ReportFold& fold_;
    Observer& view_;
};

}  // namespace

int exit_code_of(const Plan& plan, const RunState& state, Timestamp now, int signal) {
    const Verdict verdict = state.verdict && state.ended ? state.verdict->verdict : judge(plan, state, now).verdict;
    if (!state.ended && signal != 0 && state.paused && state.paused->reason == PauseReason::interrupt)
        return 128 + signal;
    return exit_code(verdict);
}

int live(Session& session, DirectoryRunStore& store, const std::string& run_id, const Plan& plan,
         const LifeWishes& wishes) {
    RunFold fold(plan);
    auto [file, seen] = store.take_over(run_id, [&fold](const Event& event) { fold.take(event); });
    RunState state = std::move(fold.state);
    if (seen.torn_tail) session.terminal.talk("note: " + printable(*seen.torn_tail) + ": it is cut\n");
    if (state.ended) {
        throw Error{ErrorCode::usage, "run '" + run_id + "' has ended: " + std::string(to_text(state.verdict->verdict)),
                    "`lifeboat report " + run_id + "` shows it; a new run begins with `lifeboat run`."};
    }
    const bool begun = state.seq > 0;
    const Runner runner = this_runner();
    Hands hands(session, plan.draft, store.state());
    Opening opening{.run_id = run_id,
                    .runner = runner,
                    .incident_start = wishes.incident_start.value_or(session.clock.now()),
                    .incident_declared = wishes.incident_start.has_value(),
                    .decisions = wishes.decide(state),
                    .orphans_ended = {}};
    HeldTargets held = hold_targets(store, run_id, plan, begun, runner, hands.actions(), file);
    if (begun) opening.orphans_ended = end_orphans(store, run_id, plan, state, hands.actions());

    int signal = 0;
    {
        FaultyJournal faulty(*file, hands.faults());
        Journal& journal = hands.faults().any() ? static_cast<Journal&>(faulty) : *file;
        LiveView view(session.terminal, plan, session.clock, session.json);
        for (const std::string& reason : held.there.not_locked)
            view.say("only this host's lock guards " + reason);
        StepLogs logs(store, run_id, session.redactor);
        Reporting reporting(fold.report, view);
        ThreadCrew crew(session.clock,
                        [&logs](const std::string& step, std::string_view line) { logs.write(step, line); });
        const Interrupts interrupts([&](int, int count) {
            view.say(count == 1 ? "interrupted: letting the running steps stop, then the run pauses"
                                : "already stopping; what is being put back is put back to the end");
            crew.interrupt();
        });
        state = execute(
            plan, std::move(state), opening,
            {.journal = journal,
             .crew = crew,
             .clock = session.clock,
             .actions = hands.actions(),
             .redactor = session.redactor,
             .observer = reporting,
             .workspace = [&store, &run_id](const std::string& step) { return store.workspace(run_id, step); }});
        signal = interrupts.first();
    }
    if (state.ended) store.release_claims(run_id);
    held = {};
    const Report report = fold.report.finish(state, file->head());
    file.reset();

    write_reports(store, report);
    show_end(session, report);
    send_notices(session, hands, plan, state, run_id);
    return exit_code_of(plan, state, session.clock.now(), signal);
}

}  // namespace lifeboat
