#include <algorithm>

#include "actions/family.h"
#include "base/text.h"
#include "cli/reference.h"
#include "cli/verb.h"

namespace lifeboat {

namespace {

int one_action(const std::string& name, const Specs& specs, Session& session) {
    const ActionSpec* action = specs.action(name);
    if (action == nullptr) {
        std::vector<std::string> names;
        for (const ActionSpec& one : specs.actions)
            names.push_back(one.name);
        throw Error{ErrorCode::usage, "there is no action '" + printable(name) + "'" + did_you_mean(name, names),
                    "`lifeboat actions` lists them."};
    }
    session.terminal.output(session.json ? to_pretty_text(to_json(*action)) + "\n" : action_page(*action));
    return 0;
}

int list(const Specs& specs, Session& session) {
    if (session.json) {
        Json actions = Json::array();
        for (const ActionSpec& action : specs.actions)
            actions.push_back(to_json(action));
        Json resources = Json::array();
        for (const ResourceSpec& resource : specs.resources)
            resources.push_back(to_json(resource));
        session.terminal.output(to_pretty_text(Json{{"actions", actions}, {"resources", resources}}) + "\n");
        return 0;
    }
    std::size_t width = 0;
    for (const ActionSpec& action : specs.actions)
        width = std::max(width, action.name.size());
    std::string text;
    for (const ActionSpec& action : specs.actions) {
        text += std::string(sign(action.effect)) + " " + action.name +
                std::string(width - action.name.size() + 2, ' ') + action.summary + "\n";
    }
    text += "\n? reads   + writes only what the run made   ~ changes, can be undone   ! destroys\n";
    session.terminal.output(text);
    return 0;
}

}  // namespace

Subcommand actions_verb() {
    return {
        .spec = {.name = "actions",
                 .summary = "list the actions that steps can use, or explain one",
                 .doc = "Lists every action with its effect, or shows one action's page: parameters, outputs, effect, "
                        "what undoes it, the "
                        "errors it raises, and an example.",
                 .positionals = {{.name = "name", .doc = "An action, such as `postgres.restore`.", .required = false}},
                 .examples = {"lifeboat actions", "lifeboat actions backup.fetch"}},
        .act =
            [](const Call& call, Session& session) {
                const Specs specs = all_specs();
                const auto name = call.one("name");
                return name ? one_action(*name, specs, session) : list(specs, session);
            },
    };
}

}  // namespace lifeboat
