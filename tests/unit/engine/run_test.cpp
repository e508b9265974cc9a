#include "engine/run.h"

#include <atomic>
#include <utility>

#include "unit/engine/builders.h"

namespace lifeboat {

using testing::plan_of;
using testing::Stage;
using testing::step;
using Story = std::vector<std::string>;

TEST_CASE("R13 a run of two steps writes the intent before the act and the outcome before the next") {
    const Plan plan = plan_of({step("look", Effect::read), step("swap", Effect::change, {0})});
    Stage stage;
    stage.cast["look"];
    stage.cast["swap"].on_prepare = [&](Context&) { return Json{{"old", 1}}; };
    stage.cast["swap"].on_run = [&](const Intent& intent, Context&) {
        CHECK(intent == Json{{"old", 1}});
        CHECK(stage.story(plan).back() == "attempt_started swap");
        return Json::object();
    };
    const RunState state = stage.play(plan);
    CHECK(state.verdict->verdict == Verdict::unverified);
    CHECK(stage.story(plan) == Story{"run_started", "deed_prepared look", "attempt_started look",
                                     "attempt_ended look done", "step_ended look done", "deed_prepared swap",
                                     "attempt_started swap", "attempt_ended swap done", "step_ended swap done",
                                     "verdict_reached unverified", "run_ended unverified"});
}

namespace {

// Does everything in the engine's own thread; whether a look is over when the engine only asks in passing is chosen.
class Inline final : public Crew {
  public:
    explicit Inline(bool quick) : quick_(quick) {}
    void launch(Work work) override {
        Finished finished{.key = work.key, .verb = work.verb};
        finished.value = work.verb == Verb::prepare ? work.action->prepare(work.context)
                                                    : work.action->run(work.intent, work.context);
        finished_.emplace_back(std::move(finished));
    }
    void cancel(WorkKey) override {}
    void acknowledge(WorkKey) override {}
    std::vector<Happening> wait(std::optional<Timestamp> until) override {
        if (until && !quick_) return {};
        return std::exchange(finished_, {});
    }

  private:
    bool quick_;
    std::vector<Happening> finished_;
};

}  // namespace

TEST_CASE("a durable step costs two syncs, and one where its look is over before the sync of the step before it") {
    std::vector<DraftedStep> steps{step("note", Effect::read)};
    for (std::size_t i = 1; i < 20; ++i)
        steps.push_back(step("note", Effect::read, {i - 1}));
    const Plan plan = plan_of(steps);
    const auto syncs = [&plan](bool quick) {
        Stage stage;
        stage.cast["note"];
        Inline crew(quick);
        stage.play(plan, crew);
        return stage.journal.syncs;
    };
    CHECK(syncs(false) == 1 + 2 * 20);
    CHECK(syncs(true) == 1 + 20);
}

TEST_CASE("a failed step is settled, then everything started is undone backwards") {
    const Plan plan =
        plan_of({step("stage", Effect::stage), step("swap", Effect::change, {0}), step("check", Effect::read, {1})});
    Stage stage;
    std::vector<std::string> undone;
    for (const char* name : {"stage", "swap"}) {
        stage.cast[name].on_undo = [&undone, name](const Intent&) {
            undone.push_back(name);
            return "put back";
        };
    }
    stage.cast["check"].on_run = [](const Intent&, Context&) -> Outputs {
        throw Error(ErrorCode::check_failed, "no orders");
    };
    const RunState state = stage.play(plan);
    CHECK(state.verdict->verdict == Verdict::rolled_back);
    CHECK(undone == Story{"swap", "stage"});
    CHECK(label(state.steps[0]) == "rolled_back");
    CHECK(state.steps[2].error->message == "no orders");
}

TEST_CASE("a change that lost its answer is asked, not guessed") {
    const Plan plan = plan_of({step("swap", Effect::change)});
    Stage stage;
    int runs = 0;
    stage.cast["swap"].on_run = [&](const Intent&, Context&) -> Outputs {
        ++runs;
        throw Error(ErrorCode::connection_lost, "the answer was lost");
    };
    SECTION("done: the step ends with the probe's outputs") {
        stage.cast["swap"].on_probe = [](const Intent&) {
            return ProbeResult{.answer = ProbeResult::Answer::done, .outputs = {{"oid", 5}}, .evidence = "seen"};
        };
        const RunState state = stage.play(plan);
        CHECK(state.steps[0].end == StepEnd::done);
        CHECK(state.steps[0].outputs == Json{{"oid", 5}});
        CHECK(runs == 1);
    }
    SECTION("cannot tell: the run pauses, lists what can be said, and takes the answer") {
        RunState state = stage.play(plan);
        REQUIRE(state.paused);
        CHECK(state.paused->reason == PauseReason::in_doubt);
        CHECK(state.paused->choices ==
              Story{"resume --answer swap=done|not_done|retry", "resume", "rollback", "abandon"});
        state = stage.play(plan, {{.what = PersonDecided::What::answer_done, .step = 0, .by = "ops"}});
        CHECK(state.verdict->verdict == Verdict::unverified);
        CHECK(runs == 1);
    }
}

TEST_CASE("past the line of no return a failure pauses instead of rolling back, and going back has to be accepted") {
    auto open = step("open", Effect::change);
    open.crosses = open.deed.reopens = true;
    open.before_line = false;
    auto check = step("check", Effect::read, {0});
    check.before_line = false;
    const Plan plan = plan_of({open, check});
    Stage stage;
    stage.cast["open"];
    stage.cast["check"].on_run = [](const Intent&, Context&) -> Outputs { throw Error(ErrorCode::not_healthy, "503"); };
    RunState state = stage.play(plan);
    REQUIRE(state.paused);
    CHECK(state.paused->reason == PauseReason::past_line);
    CHECK(state.paused->choices == Story{"resume", "rollback --accept-loss", "abandon"});
    state = stage.play(plan, {{.what = PersonDecided::What::rollback, .by = "ops"}});
    REQUIRE(state.paused);
    CHECK(state.paused->reason == PauseReason::past_line);
    state = stage.play(plan, {{.what = PersonDecided::What::rollback, .accept_loss = true, .by = "ops"}});
    CHECK(state.verdict->verdict == Verdict::rolled_back);
}

TEST_CASE("R2 a run that was killed before its first record can be rolled back too, and does nothing") {
    const Plan plan = plan_of({step("swap", Effect::change)});
    Stage stage;
    stage.cast["swap"].on_prepare = [](Context&) -> Intent { throw Error(ErrorCode::denied, "nobody may look"); };
    const RunState state = stage.play(plan, {{.what = PersonDecided::What::rollback, .by = "ops"}});
    CHECK(state.verdict->verdict == Verdict::rolled_back);
    CHECK(state.steps[0].deeds[0].starts == 0);
    CHECK(stage.story(plan) == Story{"run_started", "person_decided", "rollback_started asked for by ops",
                                     "verdict_reached rolled_back", "run_ended rolled_back"});
}

TEST_CASE("R10 R21 a step that does not end in time is stopped, and a silent one too") {
    auto slow = step("slow", Effect::read);
    const auto wait_for_stop = [](const Intent&, Context& context) -> Outputs {
        std::mutex mutex;
        std::condition_variable_any stopped;
        std::unique_lock lock(mutex);
        stopped.wait(lock, context.stop, [] { return false; });
        throw Error(ErrorCode::cancelled, "asked to stop");
    };
    Stage stage;
    stage.cast["slow"].on_run = wait_for_stop;
    SECTION("timeout") {
        slow.timeout = std::chrono::milliseconds(30);
        CHECK(stage.play(plan_of({slow})).steps[0].end == StepEnd::timed_out);
    }
    SECTION("heartbeat") {
        slow.heartbeat = std::chrono::milliseconds(30);
        const RunState state = stage.play(plan_of({slow}));
        CHECK(state.steps[0].end == StepEnd::timed_out);
        CHECK(state.steps[0].error->code == ErrorCode::stalled);
    }
}

TEST_CASE("R22 only transient errors are retried, as often as said, and each attempt is recorded") {
    auto flaky = step("flaky", Effect::read);
    flaky.retry = {.max_attempts = 3, .initial_interval = std::chrono::milliseconds(1)};
    Stage stage;
    int runs = 0;
    ErrorCode code = ErrorCode::unreachable;
    stage.cast["flaky"].on_run = [&](const Intent&, Context&) -> Outputs {
        ++runs;
        throw Error(code, "no");
    };
    SECTION("transient") {
        stage.play(plan_of({flaky}));
        CHECK(runs == 3);
    }
    SECTION("denied") {
        code = ErrorCode::denied;
        stage.play(plan_of({flaky}));
        CHECK(runs == 1);
    }
}

TEST_CASE("a fallback's result becomes the step's") {
    auto fetch = step("fetch", Effect::read);
    fetch.fallback = Deed{.action = "other", .effect = Effect::read};
    Stage stage;
    stage.cast["fetch"].on_run = [](const Intent&, Context&) -> Outputs { throw Error(ErrorCode::denied, "no"); };
    stage.cast["other"].on_run = [](const Intent&, Context&) { return Json{{"path", "/b"}}; };
    const RunState state = stage.play(plan_of({fetch}));
    CHECK(state.steps[0].end == StepEnd::done);
    CHECK(state.steps[0].outputs == Json{{"path", "/b"}});
}

TEST_CASE("R4 a moved world pauses before anything is done, and a resume looks again") {
    const Plan plan = plan_of({step("swap", Effect::change)});
    Stage stage;
    int looks = 0;
    stage.cast["swap"].on_prepare = [&](Context&) { return Json{{"look", ++looks}}; };
    stage.cast["swap"].on_run = [&](const Intent& intent, Context&) -> Outputs {
        if (intent["look"] == 1) throw Error(ErrorCode::moved, "another OID");
        return Json::object();
    };
    RunState state = stage.play(plan);
    REQUIRE(state.paused);
    CHECK(state.paused->reason == PauseReason::moved);
    state = stage.play(plan);
    CHECK(state.steps[0].end == StepEnd::done);
    CHECK(looks == 2);
}

TEST_CASE("R11 a secret in a structured value fails the step, in a message it is blotted out") {
    Stage stage;
    stage.redactor.add("token", Secret("correct-horse-battery"));
    SECTION("output") {
        stage.cast["leak"].on_run = [](const Intent&, Context&) {
            return Json{{"url", "https://x/?t=correct-horse-battery"}};
        };
        const RunState state = stage.play(plan_of({step("leak", Effect::read)}));
        CHECK(state.steps[0].error->code == ErrorCode::secret_exposed);
    }
    SECTION("message") {
        stage.cast["leak"].on_run = [](const Intent&, Context&) -> Outputs {
            throw Error(ErrorCode::denied, "login with 'correct-horse-battery' was refused");
        };
        CHECK(stage.play(plan_of({step("leak", Effect::read)})).steps[0].error->message ==
              "login with '***token***' was refused");
    }
    for (const Event& event : stage.journal.all)
        CHECK(to_text(to_json(event.body)).find("battery") == std::string::npos);
}

TEST_CASE("always steps follow the verdict and cannot change it") {
    auto tell = step("tell", Effect::read);
    tell.deed.repeatable = true;
    const Plan plan = plan_of({step("look", Effect::read)}, {tell});
    Stage stage;
    stage.cast["look"].on_run = [](const Intent&, Context&) -> Outputs { throw Error(ErrorCode::denied, "no"); };
    stage.cast["tell"].on_run = [](const Intent&, Context&) -> Outputs {
        throw Error(ErrorCode::unreachable, "webhook");
    };
    const RunState state = stage.play(plan);
    CHECK(state.ended);
    CHECK(state.verdict->verdict == Verdict::rolled_back);
    CHECK(state.steps[1].end == StepEnd::tolerated);
}

TEST_CASE("what a deed notes is durable before it goes on") {
    const Plan plan = plan_of({step("upload", Effect::stage)});
    Stage stage;
    stage.cast["upload"].on_run = [&](const Intent&, Context& context) {
        context.note("upload_id", "u1");
        CHECK(stage.story(plan).back() == "noted upload");
        return Json::object();
    };
    const RunState state = stage.play(plan);
    CHECK(state.steps[0].deeds[0].notes.at("upload_id") == "u1");
}

}  // namespace lifeboat
