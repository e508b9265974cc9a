#include "drill/timed_case.h"

#include "base/error.h"
#include "base/text.h"

namespace lifeboat {

DrillCase timed_case(const Clock& clock, std::string name, std::string classname,
                     const std::function<std::vector<std::string>()>& judge) {
    DrillCase result{.name = std::move(name), .classname = std::move(classname)};
    const SteadyTime from = clock.steady();
    try {
        const std::vector<std::string> found = judge();
        if (!found.empty()) {
            result.outcome = CaseOutcome::failed;
            result.message = found.front();
            result.output = join(found, "\n");
        }
    } catch (const Error& error) {
        result.outcome = CaseOutcome::error;
        result.message = error.full_message();
        result.output = error.hint;
    }
    result.seconds = std::chrono::duration<double>(clock.steady() - from).count();
    return result;
}

}  // namespace lifeboat
