// Hours that a step waits for before anything moves, which no history and no author's estimate knows of.
#include <catch2/catch.hpp>

#include "engine/survey.h"
#include "unit/engine/builders.h"

namespace lifeboat {

namespace {

class Waiting final : public Action {
  public:
    const ActionSpec& spec() const override { return spec_; }
    Survey survey(Context&) const override {
        Survey seen;
        seen.waits = std::chrono::hours(12);
        return seen;
    }
    Intent prepare(Context&) const override { return Json::object(); }
    Outputs run(const Intent&, Context&) const override { return Json::object(); }

  private:
    ActionSpec spec_{.name = "fetch"};
};

class Single final : public Actions {
  public:
    const Action* find(std::string_view) const override { return &action_; }
    TargetIdentity identify(const std::string&) const override { return {}; }
    RemoteLocks lock_remotely(const std::string&, const std::vector<std::string>&) const override { return {}; }
    std::vector<std::string> end_orphans(const std::string&, const std::vector<std::string>&) const override {
        return {};
    }

  private:
    Waiting action_;
};

Plan survey_of(const DraftedStep& fetch, const History& history, std::optional<Duration> rto = {}) {
    Draft draft = testing::plan_of({fetch}).draft;
    draft.objectives.rto = rto;
    return survey(std::move(draft), Single(), SystemClock(), history, [](const std::string&) { return Workspace(); });
}

}  // namespace

TEST_CASE("hours that a step waits are in its estimate and in the predicted recovery time, whatever history says") {
    DraftedStep fetch = testing::step("fetch", Effect::stage);
    const Plan unknown = survey_of(fetch, {});
    CHECK(unknown.predicted_rto_p50 == std::chrono::hours(12));
    CHECK(unknown.surveys[0].estimate_source == "waiting");

    fetch.estimate = std::chrono::minutes(10);
    const Plan author = survey_of(fetch, {});
    CHECK(author.predicted_rto_p90 == std::chrono::hours(12) + std::chrono::minutes(10));
    CHECK(author.surveys[0].estimate_source == "author and waiting");

    const Plan past = survey_of(fetch, [](const std::string&) {
        return StepHistory{
            .runs = 3, .p50 = std::chrono::minutes(20), .p90 = std::chrono::minutes(40), .bytes_p50 = {}};
    });
    CHECK(past.predicted_rto_p50 == std::chrono::hours(12) + std::chrono::minutes(20));
    CHECK(past.predicted_rto_p90 == std::chrono::hours(12) + std::chrono::minutes(40));
    CHECK(past.surveys[0].estimate_source == "history of 3 runs and waiting");
}

TEST_CASE("a step whose timeout would cut its wait off is warned of, and so is the objective") {
    DraftedStep fetch = testing::step("fetch", Effect::stage);
    fetch.timeout = std::chrono::minutes(20);
    const Plan plan = survey_of(fetch, {}, std::chrono::hours(1));
    REQUIRE(plan.findings.size() == 2);
    CHECK(plan.findings[0].kind == FindingKind::warning);
    CHECK(plan.findings[0].subject == "timeout of step 'fetch'");
    CHECK(plan.findings[0].message == "an attempt may take 20m, about 12h are to be expected");
    CHECK(plan.findings[1].message == "predicted 12h, the objective is 1h");
    fetch.timeout = std::chrono::hours(13);
    CHECK(survey_of(fetch, {}).findings.empty());
}

}  // namespace lifeboat
