// One case of a drill, judged and timed.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/time.h"
#include "report/junit.h"

namespace lifeboat {

// What `judge` returns are the reasons why the case failed; what it throws makes the case an error.
DrillCase timed_case(const Clock& clock, std::string name, std::string classname,
                     const std::function<std::vector<std::string>()>& judge);

}  // namespace lifeboat
