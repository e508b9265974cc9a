#include "engine/action.h"

namespace lifeboat {

Survey Action::survey(Context&) const {
    return {};
}

ProbeResult Action::probe(const Intent&, const Notes&, Context&) const {
    return {.answer = ProbeResult::Answer::cannot_tell, .evidence = "'" + spec().name + "' has nothing to look at"};
}

std::string Action::undo(const Intent&, const Notes&, Context&) const {
    return {};
}

std::string application_name(std::string_view run_id) {
    return "lifeboat " + std::string(run_id);
}

}  // namespace lifeboat
