// The engine's judge: the real `execute`, `decide` and `replay` over a fake world with a virtual clock, all driven by
// one seed. A schedule kills the runner at any boundary, fails any call, reorders completions and drops what was
// written but not synced; the laws of the engine are checked while it runs and after it. A failing seed replays alone:
// LIFEBOAT_SIM_SEED=<seed>.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "engine/crew.h"
#include "engine/journal.h"
#include "engine/run.h"

namespace lifeboat::sim {

// A law that does not hold in this schedule.
struct Violation {
    std::string what;
};

// The runner was killed here.
struct Killed {};

class Dice {
  public:
    explicit Dice(std::uint64_t seed) : engine_(seed) {}
    bool chance(double p) { return std::uniform_real_distribution<>(0, 1)(engine_) < p; }
    int between(int low, int high) { return std::uniform_int_distribution<>(low, high)(engine_); }
    std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(engine_); }

  private:
    std::mt19937_64 engine_;
};

class VirtualClock final : public Clock {
  public:
    Timestamp now() const override { return Timestamp(std::chrono::hours(24 * 365 * 56)) + passed_; }
    SteadyTime steady() const override { return SteadyTime(passed_); }
    void advance(Duration by) { passed_ += by; }

  private:
    Duration passed_{};
};

// How far the effect of one deed stands in the fake world.
enum class Standing { absent, partial, complete };

// Ways to break the world or the policy on purpose, to prove that the judge would notice.
enum class Sabotage { none, undo_does_nothing, probe_lies, journal_forgets, acts_before_journal };

struct World {
    std::map<WorkKey, Standing> deeds;
    std::map<WorkKey, int> completed;  // times the effect became complete from something else
    bool door_open = false;
};

struct Schedule {
    std::uint64_t seed = 0;
    double kills = 0;     // chance at each boundary
    double failures = 0;  // chance of each call
    double doubts = 0;    // chance that a probe cannot tell
    double interrupts = 0;
    Sabotage sabotage = Sabotage::none;
};

struct Result {
    RunState state;
    int lives = 0;
    std::size_t events = 0;
    bool killed = false;
    bool paused = false;
};

// A plan made by the dice: 1 to 9 steps in a random graph with random effects, retries, fallbacks and policies.
Plan random_plan(Dice& dice);

// Runs one schedule to its end. Throws Violation.
Result run_schedule(const Schedule& schedule);

// Checks what must hold of a finished run. Throws Violation.
void check_journal(const Plan& plan, const std::vector<Event>& journal);
void check_end(const Plan& plan, const RunState& state, const World& world);

}  // namespace lifeboat::sim
