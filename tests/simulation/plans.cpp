#include "simulation/sim.h"

namespace lifeboat::sim {

namespace {

Effect random_effect(Dice& dice) {
    const int roll = dice.between(0, 99);
    if (roll < 30) return Effect::read;
    if (roll < 55) return Effect::stage;
    if (roll < 95) return Effect::change;
    return Effect::destroy;
}

Deed random_deed(Dice& dice) {
    Deed deed;
    deed.action = "fake";
    deed.effect = random_effect(dice);
    deed.reopens = deed.effect == Effect::change && dice.chance(0.15);
    deed.proves = deed.effect == Effect::read ? (dice.chance(0.6) ? Proves::data : Proves::liveness) : Proves::nothing;
    deed.repeatable = deed.effect == Effect::read || dice.chance(0.2);
    deed.resumable = deed.effect == Effect::stage && dice.chance(0.4);
    deed.has_probe = (deed.effect == Effect::change || deed.effect == Effect::destroy) && dice.chance(0.85);
    deed.has_undo = deed.effect == Effect::stage || (deed.effect == Effect::change && dice.chance(0.9));
    deed.harmless = {ErrorCode::refused};
    return deed;
}

DraftedStep random_step(Dice& dice, std::size_t index) {
    DraftedStep step;
    step.id = "s" + std::to_string(index);
    step.deed = random_deed(dice);
    if (dice.chance(0.15)) step.fallback = random_deed(dice);
    if (dice.chance(0.5)) step.retry.max_attempts = dice.between(2, 4);
    step.retry.initial_interval = std::chrono::seconds(dice.between(0, 3));
    const int policy = dice.between(0, 9);
    step.on_failure = policy < 6   ? OnFailure::rollback
                      : policy < 8 ? OnFailure::tolerate
                      : policy < 9 ? OnFailure::pause
                                   : OnFailure::abort;
    if (dice.chance(0.1)) step.condition = dice.chance(0.5) ? "1 == 1" : "1 == 2";
    for (std::size_t need = 0; need < index; ++need)
        if (dice.chance(1.5 / static_cast<double>(index))) step.needs.push_back(need);
    return step;
}

bool crossing(const Deed& deed) {
    return deed.reopens || deed.effect == Effect::destroy;
}

}  // namespace

Plan random_plan(Dice& dice) {
    Plan plan;
    plan.draft.runbook = "simulated";
    plan.draft.max_parallel = dice.between(1, 4);
    const auto count = static_cast<std::size_t>(dice.between(1, 9));
    std::vector<bool> behind;
    for (std::size_t i = 0; i < count; ++i) {
        DraftedStep step = random_step(dice, i);
        step.crosses = crossing(step.deed) || (step.fallback && crossing(*step.fallback));
        bool after = step.crosses;
        for (std::size_t need : step.needs)
            after = after || behind[need];
        behind.push_back(after);
        step.before_line = !after;
        plan.draft.steps.push_back(std::move(step));
        plan.surveys.emplace_back();
    }
    for (int i = dice.between(0, 2); i > 0; --i) {
        DraftedStep step;
        step.id = "a" + std::to_string(i);
        step.deed = {.action = "fake", .repeatable = true};
        plan.draft.always.push_back(std::move(step));
    }
    plan.digest = "simulated";
    return plan;
}

}  // namespace lifeboat::sim
