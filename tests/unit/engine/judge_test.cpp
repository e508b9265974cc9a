#include "engine/judge.h"

#include "unit/engine/builders.h"

namespace lifeboat {

using testing::at;
using testing::plan_of;
using testing::step;

namespace {

// A journal written by hand: each step done at a second, with outputs.
class Told {
  public:
    explicit Told(const Plan& plan, long incident = 0) : plan_(plan), state_(initial_state(plan)) {
        tell(0, RunStarted{.run_id = "r", .incident_start = at(incident)});
    }
    Told& done(std::size_t step, long second, Outputs outputs = Json::object()) {
        tell(second,
             StepEnded{.step = step, .end = StepEnd::done, .outputs = std::move(outputs), .error = std::nullopt});
        return *this;
    }
    Told& tell(long second, EventBody body) {
        apply(state_, plan_, {.seq = state_.seq + 1, .at = at(second), .body = std::move(body)});
        return *this;
    }
    VerdictReached verdict(long now = 1000) const { return judge(plan_, state_, at(now)); }

  private:
    const Plan& plan_;
    RunState state_;
};

Plan recovery() {
    auto fetch = step("fetch", Effect::stage);
    fetch.deed.consistent_output = "consistent_at";
    auto swap = step("swap", Effect::change, {0});
    swap.deed.writes_stopped_output = "writes_stopped_at";
    auto check = step("check", Effect::read, {1});
    check.deed.proves = Proves::data;
    return plan_of({fetch, swap, check});
}

}  // namespace

TEST_CASE(
    "recovery time runs from the incident to the last proof, data loss from the backup to the last possible write") {
    const Plan plan = recovery();
    const auto judged = Told(plan, -60)
                            .done(0, 10, {{"consistent_at", to_text(at(-3600))}})
                            .done(1, 20, {{"writes_stopped_at", to_text(at(15))}})
                            .done(2, 30)
                            .verdict();
    CHECK(judged.verdict == Verdict::recovered);
    CHECK(judged.rto == std::chrono::seconds(90));
    CHECK(judged.rpo == std::chrono::seconds(3540));
    CHECK(judged.data_loss == std::chrono::seconds(3615));
}

TEST_CASE("a missed objective of time or of data is recovered late") {
    Plan plan = recovery();
    const auto judged = [&] {
        return Told(plan)
            .done(0, 10, {{"consistent_at", to_text(at(-100))}})
            .done(1, 20, {{"writes_stopped_at", to_text(at(15))}})
            .done(2, 30)
            .verdict()
            .verdict;
    };
    plan.draft.objectives = {.rto = std::chrono::seconds(30), .rpo = std::chrono::seconds(115)};
    CHECK(judged() == Verdict::recovered);
    plan.draft.objectives.rto = std::chrono::seconds(29);
    CHECK(judged() == Verdict::recovered_late);
    plan.draft.objectives = {.rto = std::nullopt, .rpo = std::chrono::seconds(114)};
    CHECK(judged() == Verdict::recovered_late);
}

TEST_CASE("R9 a run in which nothing proved the data is unverified, however green its liveness checks") {
    Plan plan = recovery();
    plan.draft.steps[2].deed.proves = Proves::liveness;
    CHECK(Told(plan).done(0, 1).done(1, 2).done(2, 3).verdict().verdict == Verdict::unverified);
}

TEST_CASE("R20 no figure is negative when the wall clock went backwards, and a pause counts") {
    const Plan plan = recovery();
    auto told = Told(plan, 500);
    told.done(0, 10, {{"consistent_at", to_text(at(900))}}).done(1, 20, {{"writes_stopped_at", to_text(at(15))}});
    told.tell(30, Paused{.reason = PauseReason::interrupt}).tell(630, RunResumed{}).done(2, 400);
    const auto judged = told.verdict();
    CHECK(judged.rto == Duration::zero());
    CHECK(judged.rpo == Duration::zero());
    CHECK(judged.data_loss == Duration::zero());
    CHECK(judged.waited == std::chrono::minutes(10));
}

TEST_CASE("R7 each verdict has one exit code, and only recovered is zero") {
    std::map<Verdict, int> codes{{Verdict::recovered, 0},
                                 {Verdict::recovered_late, 3},
                                 {Verdict::unverified, 3},
                                 {Verdict::rolled_back, 4},
                                 {Verdict::rollback_incomplete, 5},
                                 {Verdict::failed, 1},
                                 {Verdict::aborted, 1},
                                 {Verdict::paused, 6},
                                 {Verdict::in_doubt, 7}};
    for (const auto& [verdict, code] : codes)
        CHECK(exit_code(verdict) == code);
}

}  // namespace lifeboat
