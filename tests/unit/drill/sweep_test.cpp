#include "drill/sweep.h"

#include <catch2/catch.hpp>

namespace lifeboat {

namespace {

Plan two_steps() {
    Plan plan;
    for (const char* id : {"restore", "swap"}) {
        DraftedStep step;
        step.id = id;
        step.deed.action = "fake";
        step.deed.effect = Effect::change;
        plan.draft.steps.push_back(step);
    }
    return plan;
}

std::vector<Event> journal(std::vector<EventBody> bodies) {
    std::vector<Event> events;
    for (EventBody& body : bodies)
        events.push_back({.seq = events.size() + 1, .at = {}, .body = std::move(body)});
    return events;
}

const std::vector<Event> undisturbed = journal(
    {RunStarted{.run_id = "r"}, DeedPrepared{.step = 0}, AttemptStarted{.step = 0}, Noted{.step = 0, .key = "a"},
     Noted{.step = 0, .key = "b"}, AttemptEnded{.step = 0}, StepEnded{.step = 0}, RunEnded{}});

std::vector<std::string> faults(SweepDepth depth) {
    std::vector<std::string> all;
    for (const KillRound& round : rounds_of_kills(two_steps(), undisturbed, depth))
        all.push_back(round.fault);
    return all;
}

}  // namespace

TEST_CASE("a sample kills once for each step and type of event, where the act is done and its record is not") {
    CHECK(faults(SweepDepth::sample) == std::vector<std::string>{"kill:after-event=1", "kill:after-event=2",
                                                                 "kill:after-event=3", "kill:after-event=4",
                                                                 "kill:before-event=6", "kill:after-event=7",
                                                                 "kill:after-event=8"});
    CHECK(rounds_of_kills(two_steps(), undisturbed, SweepDepth::sample)[4].where ==
          "before record 6 (attempt_ended of 'restore')");
}

TEST_CASE("a full sweep kills at both sides of every record") {
    const std::vector<std::string> all = faults(SweepDepth::full);
    CHECK(all.size() == 2 * undisturbed.size() - 1);
    CHECK(all.front() == "kill:after-event=1");
    CHECK(all.back() == "kill:after-event=8");
    CHECK(faults(SweepDepth::none).empty());
}

TEST_CASE("every step that ran is failed before and after its deed") {
    Report report;
    report.steps = {{.id = "restore", .attempts = {{.number = 1}}}, {.id = "swap"}};
    std::vector<std::string> all;
    for (const FailRound& round : rounds_of_failures(two_steps(), report))
        all.push_back(round.fault);
    CHECK(all == std::vector<std::string>{"fail:step=restore", "fail:step=restore:after"});
}

TEST_CASE("R39 a deed that was done twice is seen, unless it may be repeated") {
    Plan plan = two_steps();
    const std::vector<Event> events =
        journal({AttemptEnded{.step = 1}, Settled{.step = 1, .answer = ProbeResult::Answer::done},
                 AttemptEnded{.step = 0, .outcome = AttemptOutcome::failed}, AttemptEnded{.step = 0}});
    CHECK(done_twice(plan, events) == std::vector<std::string>{"step 'swap' was done 2 times"});
    plan.draft.steps[1].deed.repeatable = true;
    CHECK(done_twice(plan, events).empty());
}

}  // namespace lifeboat
