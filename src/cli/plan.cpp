#include "base/text.h"
#include "cli/drafting.h"
#include "cli/exit_code.h"
#include "cli/places.h"
#include "cli/verb.h"

namespace lifeboat {

namespace {

int plan(const Call& call, Session& session) {
    const Planned planned = plan_for(call, session);
    if (session.json) {
        session.terminal.output(to_pretty_text(to_json(planned.plan)) + "\n");
        // the blockers stand among its findings, and an error would be a second document
        if (is_blocked(planned)) return exit_code(ErrorCode::refused);
    } else {
        show_plan(session, planned);
    }
    refuse_blockers(planned);
    if (const auto file = call.one("--output")) {
        write_text_file(*file, to_pretty_text(to_json(planned.plan)) + "\n");
        session.terminal.talk("plan written to '" + printable(*file) + "'; carry it out with `lifeboat run " +
                              printable(*file) + "`\n");
    }
    return 0;
}

}  // namespace

Subcommand plan_verb() {
    return {
        .spec = {.name = "plan",
                 .summary = "show what a run would do, to what, how long it takes and what is lost",
                 .doc = "Looks at everything that the runbook would touch, without changing it: each step with its "
                        "effect, its arguments, the "
                        "backups that could be used, what preflight found, the predicted recovery time and data loss, "
                        "and the line of no "
                        "return. Exits 9 when preflight found a blocker.",
                 .positionals = {{.name = "runbook", .doc = "A runbook's name or path."}},
                 .options = {set_option(),
                             bind_option(),
                             {.name = "--output",
                              .value = "file",
                              .doc = "Also write the plan to this file, to be approved and run.",
                              .letter = 'o'}},
                 .examples = {"lifeboat plan database-corruption",
                              "lifeboat plan database-corruption --set before=2026-02-01T00:00:00Z -o plan.json"}},
        .act = plan,
    };
}

}  // namespace lifeboat
