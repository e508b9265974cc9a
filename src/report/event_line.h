// One event as one line for the person who watches: "02:00:13Z  swap            done in 0.2s → kept: shop_before_4f1c".
#pragma once

#include <optional>
#include <string>

#include "engine/event.h"
#include "engine/plan.h"
#include "report/words.h"

namespace lifeboat {

// Nullopt for what only machines care about. `took` is how long the attempt or undo that this event ends took, where
// the caller knows.
std::optional<std::string> event_line(const Plan& plan, const Event& event, std::optional<Duration> took = std::nullopt,
                                      TextStyle style = {});

}  // namespace lifeboat
