#include "base/version.h"

#include "cli/verb.h"

namespace lifeboat {

Subcommand version_verb() {
    return {
        .spec = {.name = "version", .summary = "print the version", .doc = "Prints the version of this program."},
        .act =
            [](const Call&, Session& session) {
                if (session.json) {
                    session.terminal.output(to_pretty_text(Json{{"version", version()}}) + "\n");
                } else {
                    session.terminal.output("lifeboat " + std::string(version()) + "\n");
                }
                return 0;
            },
    };
}

}  // namespace lifeboat
