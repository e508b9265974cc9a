// One schedule: the fake journal, the fake crew, the fake person.
#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "engine/judge.h"
#include "simulation/sim.h"

namespace lifeboat::sim {

namespace {

class FakeAction final : public Action {
  public:
    const ActionSpec& spec() const override { return spec_; }
    Intent prepare(Context&) const override { return Json::object(); }
    Outputs run(const Intent&, Context&) const override { return Json::object(); }

  private:
    ActionSpec spec_{.name = "fake"};
};

class FakeActions final : public Actions {
  public:
    const Action* find(std::string_view) const override { return &action_; }
    TargetIdentity identify(const std::string& resource) const override {
        return {.resource = resource, .declared = resource};
    }
    RemoteLocks lock_remotely(const std::string&, const std::vector<std::string>&) const override { return {}; }
    std::vector<std::string> end_orphans(const std::string&, const std::vector<std::string>&) const override {
        return {};
    }

  private:
    FakeAction action_;
};

class Blind final : public Observer {
    void saw(const Event&) override {}
};

// Keeps what is durable; a kill may fall before the write, between write and sync (some prefix survives), and after the
// sync. A full disk is met when writing and when syncing.
class FakeJournal final : public Journal {
  public:
    FakeJournal(const Schedule& schedule, Dice& dice) : schedule_(schedule), dice_(dice) {}

    void append(std::span<const Event> events) override {
        if (dice_.chance(schedule_.kills)) throw Killed{};
        if (dice_.chance(schedule_.failures / 20)) throw Error(ErrorCode::disk_full, "no space left for the journal");
        written_.insert(written_.end(), events.begin(), events.end());
        maybe_die();
    }

    void sync() override {
        maybe_die();
        if (dice_.chance(schedule_.failures / 20)) throw Error(ErrorCode::disk_full, "no space left for the journal");
        for (const Event& event : written_) {
            const bool forget =
                schedule_.sabotage == Sabotage::journal_forgets && std::holds_alternative<AttemptStarted>(event.body);
            if (!forget) keep(event);
        }
        written_.clear();
        if (dice_.chance(schedule_.kills)) throw Killed{};
    }

    std::string head() const override { return {}; }

    // What was not synced is lost from some record on.
    [[noreturn]] void die() {
        const std::size_t surviving = dice_.below(written_.size() + 1);
        for (std::size_t i = 0; i < surviving; ++i)
            keep(written_[i]);
        throw Killed{};
    }

    void forget_unsynced() { written_.clear(); }

    std::vector<Event> durable;

  private:
    const Schedule& schedule_;
    Dice& dice_;
    std::vector<Event> written_;
    bool trace_ = std::getenv("LIFEBOAT_SIM_TRACE") != nullptr;

    void maybe_die() {
        if (dice_.chance(schedule_.kills)) die();
    }

    void keep(const Event& event) {
        durable.push_back(event);
        if (trace_) std::cerr << event.seq << ' ' << to_text(to_json(event.body)) << '\n';
    }
};

// Work under way, done a little at a time in an order that the dice choose.
class FakeCrew final : public Crew {
  public:
    FakeCrew(const Schedule& schedule, const Plan& plan, Dice& dice, VirtualClock& clock, World& world,
             FakeJournal& journal)
        : schedule_(schedule), plan_(plan), dice_(dice), clock_(clock), world_(world), journal_(journal) {}

    void launch(Work work) override {
        if (work.verb == Verb::run) check_launch(work.key);
        if (jobs_.size() >= 64) throw Violation{"work is launched without end"};
        const WorkKey key = work.key;
        const int attempts = starts_of(key);
        if (!jobs_.emplace(key, Job{.verb = work.verb, .steps_left = dice_.between(1, 3), .attempt = attempts}).second)
            throw Violation{"two verbs of one deed at once"};
        if (schedule_.sabotage == Sabotage::acts_before_journal && work.verb == Verb::prepare &&
            deed(key).effect == Effect::change)
            touch(key, Standing::partial);
    }

    void cancel(WorkKey key) override {
        if (const auto found = jobs_.find(key); found != jobs_.end()) found->second.cancelled = true;
    }

    void acknowledge(WorkKey key) override {
        if (const auto found = jobs_.find(key); found != jobs_.end()) found->second.waiting = false;
    }

    std::vector<Happening> wait(std::optional<Timestamp> until) override {
        if (++waits_ > 3000) throw Violation{"the run does not end"};
        for (;;) {
            if (dice_.chance(schedule_.kills)) {
                leave_orphans();
                journal_.die();
            }
            if (dice_.chance(schedule_.interrupts)) return {Interrupted{}};
            if (jobs_.empty()) {
                if (!until) throw Violation{"the engine waits for nothing"};
                clock_.advance(elapsed(clock_.now(), *until));
                return {};
            }
            clock_.advance(std::chrono::milliseconds(dice_.between(1, 500)));
            auto job = std::next(jobs_.begin(), static_cast<std::ptrdiff_t>(dice_.below(jobs_.size())));
            if (auto happening = advance(job->first, job->second)) {
                if (std::holds_alternative<Finished>(*happening)) jobs_.erase(job);
                return {std::move(*happening)};
            }
            if (until && clock_.now() >= *until) return {};
        }
    }

  private:
    struct Job {
        Verb verb = Verb::prepare;
        int steps_left = 1;
        int attempt = 0;
        bool cancelled = false;
        bool waiting = false;
        bool noted = false;
    };

    const Schedule& schedule_;
    const Plan& plan_;
    Dice& dice_;
    VirtualClock& clock_;
    World& world_;
    FakeJournal& journal_;
    std::map<WorkKey, Job> jobs_;
    int waits_ = 0;

    const Deed& deed(WorkKey key) const { return deed_at(step_at(plan_, key.step), key.deed); }

    int starts_of(WorkKey key) const {
        return static_cast<int>(
            std::count_if(journal_.durable.begin(), journal_.durable.end(), [&](const Event& event) {
                const auto* each = std::get_if<AttemptStarted>(&event.body);
                return each != nullptr && each->step == key.step && each->deed == key.deed;
            }));
    }

    // Law 1, and the order of the graph: everything that a launch relies on is durable.
    void check_launch(WorkKey key) {
        const RunState known = replay(plan_, journal_.durable);
        const StepState& step = known.steps.at(key.step);
        if (step.deeds[static_cast<std::size_t>(key.deed)].stage != DeedStage::attempting)
            throw Violation{"law 1: an act whose start is not durable"};
        if (step.end) throw Violation{"law 2: a step that has ended is done again"};
        const DraftedStep& planned = step_at(plan_, key.step);
        if (is_always(plan_, key.step)) {
            if (!known.verdict) throw Violation{"an always step before the verdict"};
            return;
        }
        for (std::size_t need : planned.needs)
            if (!ended_well(known.steps[need])) throw Violation{"a step starts before what it needs has ended well"};
        if (planned.crosses)
            for (std::size_t i = 0; i < plan_.draft.steps.size(); ++i)
                if (plan_.draft.steps[i].before_line && !ended_well(known.steps[i]))
                    throw Violation{"law 5: the line is crossed too early"};
        if (known.rollback) throw Violation{"law 5: something new starts during a rollback"};
        const auto running = std::count_if(jobs_.begin(), jobs_.end(), [](const auto& job) {
            return job.second.verb == Verb::run || job.second.verb == Verb::prepare;
        });
        if (running >= plan_.draft.max_parallel) throw Violation{"more work at once than max_parallel"};
    }

    void touch(WorkKey key, Standing to) {
        if (deed(key).effect == Effect::read) return;
        const RunState known = replay(plan_, journal_.durable);
        const DeedState& state = known.steps.at(key.step).deeds[static_cast<std::size_t>(key.deed)];
        if (state.intent.is_null() || state.starts == 0)
            throw Violation{"law 1: the world is touched before the intent is durable"};
        Standing& standing = world_.deeds[key];
        if (to == Standing::complete && standing != Standing::complete) ++world_.completed[key];
        const bool may_repeat =
            deed(key).repeatable ||
            deed(key).resumable;  // the latter goes on from what is there, also when that is all of it
        if (to == Standing::complete && standing == Standing::complete && !may_repeat)
            throw Violation{"an unrepeatable deed is done twice"};
        standing = to;
        if (deed(key).reopens && to == Standing::complete) world_.door_open = true;
    }

    // A killed runner's children go on for a while, until the next life ends them.
    void leave_orphans() {
        for (auto& [key, job] : jobs_) {
            if (job.verb != Verb::run || job.waiting) continue;
            for (int left = dice_.between(0, 3); left > 0 && job.steps_left > 0; --left)
                progress(key, job);
        }
    }

    void progress(WorkKey key, Job& job) {
        --job.steps_left;
        touch(key, job.steps_left == 0 ? Standing::complete : Standing::partial);
    }

    std::optional<Happening> advance(WorkKey key, Job& job) {
        if (job.waiting) return std::nullopt;
        switch (job.verb) {
            case Verb::prepare:
                return look(key, job);
            case Verb::run:
                return act(key, job);
            case Verb::probe:
                return probe(key);
            case Verb::undo:
                return undo(key);
        }
        return std::nullopt;
    }

    Finished failed(WorkKey key, Verb verb, ErrorCode code, AttemptOutcome outcome = AttemptOutcome::failed) {
        return {.key = key, .verb = verb, .outcome = outcome, .error = Error(code, "made to fail")};
    }

    Finished look(WorkKey key, Job& job) {
        if (job.cancelled) return failed(key, Verb::prepare, ErrorCode::cancelled, AttemptOutcome::cancelled);
        if (dice_.chance(schedule_.failures / 2))
            return failed(key, Verb::prepare, dice_.chance(0.5) ? ErrorCode::unreachable : ErrorCode::denied);
        return {.key = key, .verb = Verb::prepare, .value = Json{{"seed", schedule_.seed}}};
    }

    std::optional<Happening> act(WorkKey key, Job& job) {
        if (job.cancelled && dice_.chance(0.7))
            return failed(key, Verb::run, ErrorCode::cancelled, AttemptOutcome::cancelled);
        if (!job.noted && dice_.chance(0.2)) {
            job.noted = job.waiting = true;
            return NoteAsked{key, "place", job.attempt};
        }
        const bool untouched = !world_.deeds.contains(key) || world_.deeds[key] == Standing::absent;
        if (untouched && dice_.chance(schedule_.failures / 3))
            return failed(key, Verb::run, dice_.chance(0.3) ? ErrorCode::moved : ErrorCode::refused);
        if (dice_.chance(schedule_.failures))
            return failed(key, Verb::run, dice_.chance(0.6) ? ErrorCode::connection_lost : ErrorCode::sql_failed);
        if (dice_.chance(schedule_.failures / 3))
            return failed(key, Verb::run, ErrorCode::timed_out, AttemptOutcome::timed_out);
        progress(key, job);
        if (job.steps_left > 0) return std::nullopt;
        if (dice_.chance(schedule_.failures / 2))
            return failed(key, Verb::run, ErrorCode::connection_lost);  // it was done, and the answer was lost
        return Finished{.key = key, .verb = Verb::run, .value = Json{{"done_by", "run"}}};
    }

    Finished probe(WorkKey key) {
        if (!deed(key).has_probe || dice_.chance(schedule_.doubts))
            return {.key = key,
                    .verb = Verb::probe,
                    .probe = {.answer = ProbeResult::Answer::cannot_tell, .evidence = "no answer"}};
        if (dice_.chance(schedule_.failures / 3)) return failed(key, Verb::probe, ErrorCode::unreachable);
        bool stands = world_.deeds.contains(key) && world_.deeds[key] == Standing::complete;
        if (schedule_.sabotage == Sabotage::probe_lies) stands = false;
        return {.key = key,
                .verb = Verb::probe,
                .probe = {.answer = stands ? ProbeResult::Answer::done : ProbeResult::Answer::not_done,
                          .outputs = Json{{"done_by", "probe"}},
                          .evidence = "seen"}};
    }

    Finished undo(WorkKey key) {
        const RunState known = replay(plan_, journal_.durable);
        if (known.steps.at(key.step).deeds[static_cast<std::size_t>(key.deed)].undo != UndoStage::started)
            throw Violation{"law 1: an undo whose start is not durable"};
        if (dice_.chance(schedule_.failures / 4)) return failed(key, Verb::undo, ErrorCode::unreachable);
        if (schedule_.sabotage != Sabotage::undo_does_nothing) world_.deeds[key] = Standing::absent;
        return {.key = key, .verb = Verb::undo, .value = "put back"};
    }
};

// What a person would say to a paused run: something that the pause offers, by the dice.
std::vector<PersonDecided> answer(const Paused& paused, const RunState& state, World& world, const Plan& plan,
                                  Dice& dice, int lives) {
    if (lives > 60) return {{.what = PersonDecided::What::abandon, .by = "sim"}};
    std::vector<PersonDecided> out;
    if (paused.reason == PauseReason::in_doubt && dice.chance(0.3)) return {};  // looks again first
    if (paused.reason == PauseReason::in_doubt) {
        for (std::size_t step : paused.steps) {
            const WorkKey key{step, state.steps[step].current};
            const auto found = world.deeds.find(key);
            const bool stands = found != world.deeds.end() && found->second == Standing::complete;
            if (deed_at(step_at(plan, step), key.deed).effect == Effect::stage) {
                world.deeds[key] = Standing::absent;  // cleaned up by hand, because its undo could not
                out.push_back({.what = PersonDecided::What::answer_not_done, .step = step, .by = "sim"});
            } else {
                out.push_back({.what = stands ? PersonDecided::What::answer_done : PersonDecided::What::answer_not_done,
                               .step = step,
                               .by = "sim"});
            }
        }
        return out;
    }
    if (paused.reason == PauseReason::interrupt || dice.chance(0.5)) return {};
    if (dice.chance(0.2)) return {{.what = PersonDecided::What::abandon, .by = "sim"}};
    return {{.what = PersonDecided::What::rollback, .accept_loss = state.line_crossed, .by = "sim"}};
}

// Everything that matters of a state, so that two can be compared (law 2).
Json print_of(const RunState& state) {
    Json out{{"seq", state.seq},
             {"lives", state.lives},
             {"open", state.open},
             {"before", state.before_line_open},
             {"line", state.line_crossed},
             {"failed", state.failed},
             {"ended", state.ended},
             {"paused", state.paused.has_value()},
             {"rollback", state.rollback.has_value()}};
    for (const StepState& step : state.steps) {
        Json each{{"label", label(step)}, {"current", step.current}, {"outputs", step.outputs}};
        for (const DeedState& deed : step.deeds)
            each["deeds"].push_back({static_cast<int>(deed.stage), deed.starts, deed.failures,
                                     static_cast<int>(deed.undo), deed.finished, deed.intent, deed.notes});
        out["steps"].push_back(std::move(each));
    }
    return out;
}

}  // namespace

Result run_schedule(const Schedule& schedule) {
    Dice dice(schedule.seed);
    const Plan plan = random_plan(dice);
    VirtualClock clock;
    World world;
    FakeJournal journal(schedule, dice);
    FakeActions actions;
    Redactor redactor;
    Blind blind;
    Result result;
    std::vector<PersonDecided> decisions;
    for (;;) {
        journal.forget_unsynced();
        if (++result.lives > 400) throw Violation{"the run never ends"};
        FakeCrew crew(schedule, plan, dice, clock, world, journal);
        const RunPorts ports{.journal = journal,
                             .crew = crew,
                             .clock = clock,
                             .actions = actions,
                             .redactor = redactor,
                             .observer = blind,
                             .workspace = [](const std::string&) { return std::filesystem::path(); }};
        Opening opening{.run_id = "sim-" + std::to_string(schedule.seed),
                        .runner = {.host = "h", .pid = result.lives},
                        .incident_start = clock.now(),
                        .decisions = decisions};
        try {
            result.state = execute(plan, replay(plan, journal.durable), opening, ports);
        } catch (const Killed&) {
            result.killed = true;
            decisions.clear();
            clock.advance(std::chrono::minutes(1));
            continue;
        } catch (const Error& error) {
            if (error.code != ErrorCode::disk_full) throw Violation{"the engine threw '" + error.full_message() + "'"};
            decisions.clear();
            continue;
        }
        const RunState replayed = replay(plan, journal.durable);
        if (print_of(replayed) != print_of(result.state))
            throw Violation{"law 2: the state is not the replay of the journal"};
        if (result.state.ended) break;
        if (!result.state.paused) throw Violation{"the engine stopped, but the run has neither ended nor paused"};
        result.paused = true;
        decisions = answer(*result.state.paused, result.state, world, plan, dice, result.lives);
    }
    result.events = journal.durable.size();
    check_journal(plan, journal.durable);
    check_end(plan, result.state, world);
    return result;
}

}  // namespace lifeboat::sim
