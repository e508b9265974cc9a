#include "engine/event.h"

#include <set>

#include "unit/engine/builders.h"

namespace lifeboat {

namespace {

std::vector<EventBody> one_of_each() {
    const Runner runner{.host = "db1", .user = "ops", .pid = 7, .start_ticks = 99, .boot_id = "b", .version = "0.1.0"};
    const Error error(ErrorCode::unreachable, "connect to 'db1' failed", "Look at the network.");
    return {RunStarted{.run_id = "r",
                       .plan_digest = "d",
                       .runner = runner,
                       .incident_start = testing::at(1),
                       .incident_declared = true},
            RunResumed{runner},
            PersonDecided{.what = PersonDecided::What::answer_done, .step = 2, .accept_loss = true, .by = "ops"},
            StepSkipped{.step = 1, .why = StepEnd::skipped_condition},
            DeedPrepared{.step = 1, .deed = 0, .arguments = {{"a", 1}}, .intent = {{"b", 2}}},
            PrepareFailed{.step = 1, .deed = 1, .error = error},
            AttemptStarted{.step = 1, .deed = 0, .attempt = 3},
            Noted{.step = 1, .deed = 0, .key = "upload", .value = "u1"},
            ChildStarted{.step = 1, .deed = 0, .child = {.group = 5, .start_ticks = 6, .boot_id = "b"}},
            OrphansEnded{{"group 5"}},
            AttemptEnded{.step = 1,
                         .deed = 0,
                         .attempt = 3,
                         .outcome = AttemptOutcome::failed,
                         .outputs = Json::object(),
                         .error = error},
            Settled{.step = 1,
                    .deed = 0,
                    .answer = ProbeResult::Answer::done,
                    .by = Settled::By::probe,
                    .evidence = "seen",
                    .outputs = {{"x", 1}}},
            StepEnded{.step = 1, .end = StepEnd::done, .outputs = {{"x", 1}}, .error = std::nullopt},
            RollbackStarted{.cause = 1, .reason = "step 'x' failed"},
            UndoStarted{.step = 1, .deed = 0, .settling = true},
            UndoEnded{.step = 1, .deed = 0, .settling = false, .what = "dropped", .error = error},
            Paused{.reason = PauseReason::in_doubt, .steps = {1, 2}, .message = "m", .choices = {"resume"}},
            VerdictReached{.verdict = Verdict::recovered,
                           .rto = std::chrono::seconds(5),
                           .rpo = std::nullopt,
                           .data_loss = std::chrono::seconds(9),
                           .waited = {}},
            RunEnded{Verdict::recovered},
            Committed{.removed = {"database shop_old"}, .by = "ops"}};
}

}  // namespace

TEST_CASE("every kind of event comes back from its JSON as it was") {
    const auto events = one_of_each();
    REQUIRE(events.size() == event_table().size());
    std::set<std::size_t> kinds;
    for (const EventBody& body : events) {
        kinds.insert(body.index());
        const Json written = to_json(body);
        CHECK(to_json(event_body_from_json(written)) == written);
    }
    CHECK(kinds.size() == event_table().size());
}

TEST_CASE("a record of an unknown type, or without a field, is damage and not a guess") {
    const auto refused = [](const Json& value) {
        try {
            event_body_from_json(value);
            return std::string("accepted");
        } catch (const Error& error) {
            return std::string(info(error.code).name);
        }
    };
    CHECK(refused({{"type", "step_vanished"}}) == "journal_damaged");
    CHECK(refused({{"step", 1}}) == "journal_damaged");
    CHECK(refused({{"type", "attempt_started"}, {"step", 1}}) == "journal_damaged");
    CHECK(refused({{"type", "run_ended"}, {"verdict", "splendid"}}) == "journal_damaged");
}

TEST_CASE("R13 a fold refuses a journal that does not fit its plan") {
    const Plan plan = testing::plan_of({testing::step("one", Effect::read)});
    RunState state = initial_state(plan);
    CHECK_THROWS_AS(apply(state, plan, {.seq = 1, .at = testing::at(0), .body = AttemptStarted{}}), Error);
    apply(state, plan, {.seq = 1, .at = testing::at(0), .body = RunStarted{.run_id = "r"}});
    CHECK_THROWS_AS(apply(state, plan, {.seq = 3, .at = testing::at(0), .body = DeedPrepared{}}), Error);
    CHECK_THROWS_AS(apply(state, plan, {.seq = 2, .at = testing::at(0), .body = DeedPrepared{.step = 4}}), Error);
    CHECK_THROWS_AS(apply(state, plan, {.seq = 2, .at = testing::at(0), .body = AttemptEnded{}}), Error);
}

}  // namespace lifeboat
