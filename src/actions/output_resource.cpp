#include "actions/output_resource.h"

#include "base/error.h"

namespace lifeboat {

Command output_command(const ActionWorld& world, const ResolvedResource& resource) {
    if (world.resources.drill())
        throw Error{ErrorCode::refused, "'" + resource.name +
                                            "' is the output of a program: a drill cannot prove that it stays in its "
                                            "sandbox"};
    const Json& argv = resource.fields.at("command");
    if (!secrets_in(argv).empty())
        throw Error{ErrorCode::refused, "a secret stands in 'command' of '" + resource.name + "'",
                    "Give it to the program in its environment."};
    Command command{.argv = argv.get<std::vector<std::string>>(), .environment = clean_environment()};
    const auto folder = resource.fields.find("folder");
    if (folder != resource.fields.end() && folder->is_string()) command.folder = folder->get<std::string>();
    const auto environment = resource.fields.find("environment");
    if (environment == resource.fields.end() || !environment->is_object()) return command;
    for (const auto& [name, value] : environment->items())
        command.environment[name] = is_secret(value)    ? resolve_secret(value, world.secrets).reveal()
                                    : value.is_string() ? value.get<std::string>()
                                                        : to_text(value);
    return command;
}

std::vector<ResourceSpec> output_resources() {
    return {{.type = "output",
             .kinds = {},
             .summary = "What a program writes to its standard output, to be backed up",
             .fields = {{.name = "command",
                         .type = ValueType::list,
                         .doc = "The program and its arguments; no shell reads them.",
                         .required = true,
                         .element = ValueType::text},
                        {.name = "environment",
                         .type = ValueType::map,
                         .doc = "Variables that it sees beside PATH, HOME, LANG, TZ and TMPDIR.",
                         .may_be_secret = true},
                        {.name = "folder", .type = ValueType::path, .doc = "The folder it works in; without it: /."}},
             .example = "directory: {type: output, command: [slapcat, -n, \"1\"]}\n"}};
}

}  // namespace lifeboat
