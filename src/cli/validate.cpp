#include "actions/family.h"
#include "base/text.h"
#include "cli/loading.h"
#include "cli/verb.h"

namespace lifeboat {

namespace {

int validate(const Call& call, Session& session) {
    Loading loading(all_specs());
    for (const std::string& file : call.all("files"))
        loading.any(file);
    loading.settle(session);
    if (session.json) {
        session.terminal.output(to_pretty_text(Json{{"valid", true}, {"files", call.all("files")}}) + "\n");
    } else {
        session.terminal.output(counted(call.all("files").size(), "file") + " valid\n");
    }
    return 0;
}

}  // namespace

Subcommand validate_verb() {
    return {
        .spec = {.name = "validate",
                 .summary = "check sites, runbooks and drills for mistakes",
                 .doc = "Reads the files strictly and reports every mistake of all of them at once, each with its "
                        "place. Touches nothing "
                        "else: no site is needed, and no server is asked. Exits 2 when there is a mistake.",
                 .positionals = {{.name = "files", .doc = "Site, runbook or drill files.", .repeatable = true}},
                 .examples = {"lifeboat validate lifeboat.yaml runbooks/*.yaml drills/*.yaml"}},
        .act = validate,
    };
}

}  // namespace lifeboat
