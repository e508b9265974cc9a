// Draft → Plan: looks at the world without changing it. Does each action's preflight, runs cheap reads whose arguments
// are known, and calls `prepare` for deeds whose arguments are known and that stand behind nothing but reads, for the
// reader.
#pragma once

#include <functional>

#include "engine/action.h"
#include "engine/plan.h"

namespace lifeboat {

// Measured durations of past runs of this runbook, for estimates.
struct StepHistory {
    std::size_t runs = 0;
    Duration p50{};
    Duration p90{};
    std::optional<Bytes> bytes_p50;  // moved in those runs, to scale by
};
using History = std::function<std::optional<StepHistory>(const std::string& step_id)>;

Plan survey(Draft draft, const Actions& actions, const Clock& clock, const History& history,
            const std::function<Workspace(const std::string& step_id)>& workspace);

// Whether `fresh`, made now, still is what `approved` promised; each line says what moved ("candidate '…' is gone").
// Empty: no drift.
std::vector<std::string> drift(const Plan& approved, const Plan& fresh);

}  // namespace lifeboat
