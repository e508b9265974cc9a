// The end of a run's life in a dozen lines: the verdict, the figures, what needs hands, and what can be said next.
#pragma once

#include <string>

#include "report/report.h"
#include "report/words.h"

namespace lifeboat {

std::string summary_text(const Report& report, TextStyle style = {});

}  // namespace lifeboat
