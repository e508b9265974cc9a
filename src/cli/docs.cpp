#include "actions/family.h"
#include "base/text.h"
#include "cli/places.h"
#include "cli/reference.h"
#include "cli/verb.h"
#include "runbook/load.h"

namespace fs = std::filesystem;

namespace lifeboat {

namespace {

int docs(const Call& call, Session& session) {
    const Specs specs = all_specs();
    const std::vector<std::pair<fs::path, std::string>> pages{
        {"docs/reference/actions.md", actions_reference(specs)},
        {"docs/reference/cli.md", cli_reference(all_verbs())},
        {"docs/reference/errors.md", errors_reference(specs)},
        {"docs/reference/events.md", events_reference()},
        {"schemas/site.json", to_pretty_text(schema_of(FileKind::site, specs)) + "\n"},
        {"schemas/runbook.json", to_pretty_text(schema_of(FileKind::runbook, specs)) + "\n"},
        {"schemas/drill.json", to_pretty_text(schema_of(FileKind::drill, specs)) + "\n"},
    };
    const auto folder = call.one("--write");
    Json written = Json::array();
    std::string names;
    for (const auto& [path, text] : pages) {
        names += path.string() + "\n";
        written.push_back(Json{{"file", path.string()}});
        if (!folder) continue;
        std::error_code problem;
        fs::create_directories((fs::path(*folder) / path).parent_path(), problem);
        if (problem)
            throw_errno("make the folder of '" + printable((fs::path(*folder) / path).string()) + "'", problem.value());
        write_text_file(fs::path(*folder) / path, text);
    }
    session.terminal.output(session.json ? to_pretty_text(Json{{"files", written}}) + "\n" : names);
    if (!folder && !session.json) session.terminal.talk("nothing was written: say where with `--write <dir>`\n");
    return 0;
}

}  // namespace

Subcommand docs_verb() {
    return {
        .spec = {.name = "docs",
                 .summary = "write the reference pages and the JSON Schemas",
                 .doc = "Generates docs/reference/{actions,cli,errors,events}.md and schemas/{site,runbook,drill}.json "
                        "from what this program "
                        "declares. Without --write it lists the files.",
                 .options = {{.name = "--write",
                              .value = "dir",
                              .doc = "The folder that docs/ and schemas/ are written into."}},
                 .examples = {"lifeboat docs --write ."}},
        .act = docs,
    };
}

}  // namespace lifeboat
