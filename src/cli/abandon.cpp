#include "cli/decisions.h"
#include "cli/places.h"
#include "cli/run_files.h"
#include "cli/verb.h"

namespace lifeboat {

namespace {

int abandon(const Call& call, Session& session) {
    DirectoryRunStore store = run_store(session);
    const std::string run_id = unfinished_run(store, call.one("run"));
    return go_on(session, store, run_id, [](const Plan&, const RunState&) {
        return std::vector<PersonDecided>{
            {.what = PersonDecided::What::abandon, .step = std::nullopt, .accept_loss = false, .by = user_name()}};
    });
}

}  // namespace

Subcommand abandon_verb() {
    return {
        .spec = {.name = "abandon",
                 .summary = "end an unfinished run and leave everything as it is",
                 .doc = "Ends the run without doing or undoing anything more; its claims on the targets fall. What it "
                        "has done stays, and "
                        "the report says what that is.",
                 .positionals = {{.name = "run",
                                  .doc = "A run's id or its beginning; else the only unfinished run.",
                                  .required = false}},
                 .examples = {"lifeboat abandon"}},
        .act = abandon,
    };
}

}  // namespace lifeboat
