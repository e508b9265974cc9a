#include <algorithm>

#include "base/text.h"
#include "cli/places.h"
#include "cli/run_files.h"
#include "cli/verb.h"

namespace fs = std::filesystem;

namespace lifeboat {

namespace {

int logs(const Call& call, Session& session) {
    const DirectoryRunStore store = run_store(session);
    const std::string run_id = any_run(store, call.one("run"));
    const Plan plan = store.plan(run_id);
    const auto wanted = call.one("step");
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < step_count(plan); ++i)
        ids.push_back(step_at(plan, i).id);
    if (wanted && std::find(ids.begin(), ids.end(), *wanted) == ids.end()) {
        throw Error{ErrorCode::usage, "the run has no step '" + printable(*wanted) + "'" + did_you_mean(*wanted, ids),
                    "`lifeboat status " + run_id + "` lists the steps."};
    }
    Json records = Json::array();
    std::string text;
    for (const std::string& id : ids) {
        if (wanted && id != *wanted) continue;
        const fs::path file = store.log_file(run_id, id);
        std::error_code ignored;
        if (!fs::exists(file, ignored)) continue;
        const std::string log = read_text_file(file);
        records.push_back(Json{{"step", id}, {"file", file.string()}, {"log", log}});
        if (!wanted)
            text +=
                (text.empty() ? "" : "\n") + painted(Tone::strong, "== " + id, session.terminal.output_style()) + "\n";
        text += log;
    }
    if (session.json) {
        session.terminal.output(to_pretty_text(Json{{"run", run_id}, {"logs", std::move(records)}}) + "\n");
    } else if (text.empty()) {
        session.terminal.talk("no step of run " + run_id + " has said anything\n");
    } else {
        session.terminal.output(text);
    }
    return 0;
}

}  // namespace

Subcommand logs_verb() {
    return {
        .spec =
            {.name = "logs",
             .summary = "show what the steps of a run and their programs said",
             .doc =
                 "Prints the logs of a run's steps, or of one step: what programs wrote, redacted and bounded in size.",
             .positionals = {{.name = "run",
                              .doc = "A run's id or its beginning; else the only unfinished, or the last, run.",
                              .required = false},
                             {.name = "step", .doc = "One step's id.", .required = false}},
             .examples = {"lifeboat logs", "lifeboat logs 2026-02-01T02-00-00-database-corruption-4f1c restore"}},
        .act = logs,
    };
}

}  // namespace lifeboat
