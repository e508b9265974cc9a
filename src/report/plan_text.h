// The plan as its reviewer reads it: what each step does to what, what is only known later, where the line of no return
// runs, what was found beforehand, what it will cost, and whom to call.
#pragma once

#include <string>

#include "engine/plan.h"
#include "report/words.h"

namespace lifeboat {

std::string plan_text(const Plan& plan, TextStyle style = {});

}  // namespace lifeboat
