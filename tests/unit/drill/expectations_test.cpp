#include "drill/expectations.h"

#include <catch2/catch.hpp>

namespace lifeboat {

namespace {

const Json scope{{"run", {{"verdict", "recovered"}, {"rto", 12.5}, {"rpo", nullptr}}},
                 {"objectives", {{"rto", 1800}, {"rpo", nullptr}}},
                 {"observe", {{"now", {{"outputs", {{"digest", "b"}}}, {"outcome", "done"}}}}},
                 {"setup", {{"truth", {{"outputs", {{"digest", "a"}}}, {"outcome", "done"}}}}}};

ExpectationOutcome judge(const std::string& that) {
    return judge_expectations({{.that = that, .span = {}}}, scope).front();
}

}  // namespace

TEST_CASE("an expectation that holds says nothing more") {
    const ExpectationOutcome outcome = judge("run.verdict == 'recovered' and run.rto <= objectives.rto");
    CHECK(outcome.holds);
    CHECK(outcome.why.empty());
}

TEST_CASE("an expectation that does not hold says what its names were") {
    const ExpectationOutcome outcome = judge("observe.now.outputs.digest == setup.truth.outputs.digest");
    CHECK_FALSE(outcome.holds);
    CHECK(outcome.why == "observe.now.outputs.digest is \"b\"; setup.truth.outputs.digest is \"a\"");
}

TEST_CASE("an expectation that cannot be evaluated does not hold") {
    const ExpectationOutcome unknown = judge("observe.later.outputs.digest == 'a'");
    CHECK_FALSE(unknown.holds);
    CHECK(unknown.why.find("observe.later.outputs.digest is unknown") != std::string::npos);

    const ExpectationOutcome missing_figure = judge("run.rpo <= objectives.rto");
    CHECK_FALSE(missing_figure.holds);
    CHECK(missing_figure.why.find("run.rpo is null") != std::string::npos);

    const ExpectationOutcome no_truth = judge("run.rto");
    CHECK_FALSE(no_truth.holds);
    CHECK(no_truth.why == "it is 12.5, neither true nor false; run.rto is 12.5");
}

}  // namespace lifeboat
