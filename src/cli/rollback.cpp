#include "cli/decisions.h"
#include "cli/places.h"
#include "cli/run_files.h"
#include "cli/verb.h"

namespace lifeboat {

namespace {

PersonDecided rollback_of(const std::string& run_id, const RunState& state, bool accepts_loss) {
    if (state.line_crossed && !accepts_loss) {
        const std::string since = state.line_crossed_at ? to_human(*state.line_crossed_at) : "then";
        Error error{ErrorCode::usage,
                    "run '" + run_id + "' is past the line of no return: since " + since +
                        " new data may have come in, and a rollback loses it",
                    "If that is accepted: `lifeboat rollback " + run_id + " --accept-loss`."};
        if (state.line_crossed_at) error.details = Json{{"writes_possible_since", to_text(*state.line_crossed_at)}};
        throw error;
    }
    return {
        .what = PersonDecided::What::rollback, .step = std::nullopt, .accept_loss = accepts_loss, .by = user_name()};
}

int rollback(const Call& call, Session& session) {
    DirectoryRunStore store = run_store(session);
    const std::string run_id = unfinished_run(store, call.one("run"));
    return go_on(session, store, run_id, [&](const Plan&, const RunState& state) {
        return std::vector{rollback_of(run_id, state, call.has("--accept-loss"))};
    });
}

}  // namespace

Subcommand rollback_verb() {
    return {
        .spec = {.name = "rollback",
                 .summary = "put everything back that an unfinished run has done",
                 .doc = "Undoes every step that was started, in reverse order of completion, and ends the run. After "
                        "the line of no return "
                        "(a service was started, a fence lifted) new data may have come in, which going back would "
                        "lose: that takes "
                        "--accept-loss.",
                 .positionals = {{.name = "run",
                                  .doc = "A run's id or its beginning; else the only unfinished run.",
                                  .required = false}},
                 .options = {{.name = "--accept-loss",
                              .value = "",
                              .doc = "Go back although data written since the line of no return is lost."}},
                 .examples = {"lifeboat rollback"}},
        .act = rollback,
    };
}

}  // namespace lifeboat
