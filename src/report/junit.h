// Results for CI as JUnit XML: one document form that the strict public schema (Ant's) and the lenient one both accept.
// Text from outside is escaped and holds nothing that XML 1.0 forbids.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "report/report.h"

namespace lifeboat {

enum class CaseOutcome { passed, failed, error, skipped };

// One line of a result: an expectation, a step, a round of a sweep.
struct DrillCase {
    std::string name;
    std::string classname;  // groups cases: "database-corruption.expect"
    double seconds = 0;
    CaseOutcome outcome = CaseOutcome::passed;
    std::string message;  // one line; why it is not `passed`
    std::string output;   // many lines; the details
};

struct JunitSuite {
    std::string name;
    std::string package;
    std::string hostname;
    Timestamp started{};
    std::vector<std::pair<std::string, std::string>> properties;
};

std::string to_junit(const JunitSuite& suite, std::span<const DrillCase> cases);
// A run as one suite: a case for each step, and one for the verdict.
std::string to_junit(const Report& report);

}  // namespace lifeboat
