#include <cstdlib>
#include <set>

#include "simulation/sim.h"

namespace lifeboat::sim {

namespace {

long from_environment(const char* name, long otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtol(text, nullptr, 10);
}

// Every seed has its own mood: calm, failing, killing, doubtful, interrupted, or all of it.
Schedule schedule_of(std::uint64_t seed) {
    Dice dice(seed * 7919 + 17);
    Schedule schedule{.seed = seed};
    if (dice.chance(0.7)) schedule.kills = dice.chance(0.5) ? 0.01 : 0.05;
    if (dice.chance(0.8)) schedule.failures = dice.chance(0.5) ? 0.05 : 0.25;
    if (dice.chance(0.4)) schedule.doubts = 0.3;
    if (dice.chance(0.3)) schedule.interrupts = 0.02;
    return schedule;
}

std::string broken_law(const Schedule& schedule) {
    try {
        run_schedule(schedule);
        return {};
    } catch (const Violation& violation) {
        return violation.what;
    }
}

}  // namespace

TEST_CASE("R7 the laws hold in every schedule: one end for each step, exit 0 only for a recovery") {
    if (std::getenv("LIFEBOAT_SIM_SEED") != nullptr) {
        const auto seed = static_cast<std::uint64_t>(from_environment("LIFEBOAT_SIM_SEED", 0));
        INFO("seed " << seed);
        CHECK(broken_law(schedule_of(seed)) == "");
        return;
    }
    const long count = from_environment("LIFEBOAT_SIM_SCHEDULES", 100'000);
    std::map<Verdict, long> verdicts;
    long killed = 0, paused = 0;
    std::size_t events = 0;
    for (long seed = 1; seed <= count; ++seed) {
        try {
            const Result result = run_schedule(schedule_of(static_cast<std::uint64_t>(seed)));
            ++verdicts[result.state.verdict->verdict];
            killed += result.killed ? 1 : 0;
            paused += result.paused ? 1 : 0;
            events += result.events;
        } catch (const Violation& violation) {
            FAIL("LIFEBOAT_SIM_SEED=" << seed << ": " << violation.what);
        }
    }
    // A simulation that never gets anywhere proves nothing: every kind of end is reached, and often.
    for (Verdict verdict : {Verdict::recovered, Verdict::unverified, Verdict::rolled_back, Verdict::rollback_incomplete,
                            Verdict::failed, Verdict::aborted})
        CHECK(verdicts[verdict] > count / 1000);
    CHECK(killed > count / 4);
    CHECK(paused > count / 10);
    WARN(count << " schedules, " << events << " events, " << killed << " with kills, " << paused << " with pauses");
}

TEST_CASE("the judge notices a broken world") {
    const auto noticed = [](Sabotage sabotage) {
        std::set<std::string> found;
        for (std::uint64_t seed = 1; seed <= 400; ++seed) {
            Schedule schedule = schedule_of(seed);
            schedule.sabotage = sabotage;
            if (std::string law = broken_law(schedule); !law.empty()) found.insert(law.substr(0, law.find(':')));
        }
        return found;
    };
    CHECK(noticed(Sabotage::none).empty());
    CHECK(noticed(Sabotage::undo_does_nothing).contains("law 5"));
    CHECK(noticed(Sabotage::probe_lies).contains("an unrepeatable deed is done twice"));
    CHECK(noticed(Sabotage::journal_forgets).contains("law 1"));
    CHECK(noticed(Sabotage::acts_before_journal).contains("law 1"));
}

}  // namespace lifeboat::sim
