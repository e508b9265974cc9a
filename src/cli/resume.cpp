#include "cli/decisions.h"
#include "cli/places.h"
#include "cli/run_files.h"
#include "cli/verb.h"

namespace lifeboat {

namespace {

int resume(const Call& call, Session& session) {
    DirectoryRunStore store = run_store(session);
    const std::string run_id = unfinished_run(store, call.one("run"));
    return go_on(session, store, run_id, [&call](const Plan& plan, const RunState&) {
        return answers(call.all("--answer"), plan, user_name());
    });
}

}  // namespace

Subcommand resume_verb() {
    return {
        .spec = {.name = "resume",
                 .summary = "go on with a run after an interrupt, a crash or a pause",
                 .doc = "Ends what a dead runner left behind, finds out what the step it died in had done, and goes on "
                        "from there with the "
                        "plan, runbook and scripts kept in the run. Nothing that was done is done again. A run in "
                        "doubt waits for an answer.",
                 .positionals = {{.name = "run",
                                  .doc = "A run's id or its beginning; else the only unfinished run.",
                                  .required = false}},
                 .options =
                     {{.name = "--answer",
                       .value = "step=done|not_done|retry",
                       .doc =
                           "What a person found out about a step in doubt, or that a failed one shall be tried again.",
                       .repeatable = true}},
                 .examples = {"lifeboat resume", "lifeboat resume --answer swap=done"}},
        .act = resume,
    };
}

}  // namespace lifeboat
