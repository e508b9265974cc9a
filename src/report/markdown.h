// The incident report in Markdown (CommonMark with tables), for the person at 3 am and the auditor later: the verdict
// and what needs hands first, evidence last. Text from outside is escaped and can neither format nor link.
#pragma once

#include <string>

#include "report/report.h"

namespace lifeboat {

std::string to_markdown(const Report& report);

}  // namespace lifeboat
