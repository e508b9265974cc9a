#include "actions/family.h"
#include "base/text.h"
#include "cli/drafting.h"
#include "cli/life.h"
#include "cli/places.h"
#include "cli/run_files.h"
#include "cli/verb.h"

namespace lifeboat {

namespace {

std::optional<Timestamp> incident_start(const Call& call, Timestamp now) {
    const auto text = call.one("--incident-start");
    if (!text) return std::nullopt;
    const auto when = parse_timestamp(*text);
    if (!when) {
        throw Error{ErrorCode::usage, "'" + printable(*text) + "' is no time",
                    "Write it like `2026-02-01T02:00:00Z`, with the zone."};
    }
    if (*when > now)
        throw Error{ErrorCode::usage, "the incident would start in the future, at " + to_text(*when),
                    "Check the zone."};
    return when;
}

bool changes_something(const Plan& plan) {
    for (const DraftedStep& step : plan.draft.steps) {
        for (const Deed* deed : {&step.deed, step.fallback ? &*step.fallback : nullptr}) {
            if (deed != nullptr && (deed->effect == Effect::change || deed->effect == Effect::destroy)) return true;
        }
    }
    return false;
}

// Asks when the plan changes something; without a terminal somebody must have said so before.
bool allowed(const Call& call, Session& session, const Planned& planned) {
    if (!changes_something(planned.plan) || call.has("--yes") || planned.from_file) return true;
    if (!session.terminal.can_ask() || session.json) {
        throw Error{ErrorCode::usage, "the plan changes things and there is no terminal to ask on",
                    "Say `--yes`, or approve a plan: `lifeboat plan -o plan.json`, then `lifeboat run plan.json`."};
    }
    return session.terminal.confirm("Go on?");
}

int run(const Call& call, Session& session) {
    const Timestamp now = session.clock.now();
    const auto began = incident_start(call, now);
    auto planned = std::make_unique<Planned>(plan_for(call, session));
    if (!session.json) show_plan(session, *planned);
    refuse_blockers(*planned);
    if (!allowed(call, session, *planned)) {
        session.terminal.talk("nothing was done\n");
        return 1;
    }
    DirectoryRunStore store(planned->state, session.clock);
    const std::string run_id = store.create(planned->plan, now, planned->from_file ? PlanUse::once : PlanUse::any);
    planned.reset();  // the run has its own
    if (!session.json) session.terminal.talk("run " + run_id + "\n");
    return live(session, store, run_id, {.incident_start = began});
}

}  // namespace

Subcommand run_verb() {
    return {
        .spec = {.name = "run",
                 .summary = "plan a runbook, ask, and carry it out",
                 .doc = "Plans the runbook, shows the plan, asks when it changes something, and carries it out. A "
                        "failed step is put back "
                        "together with everything before it, unless the runbook says otherwise. The run survives a "
                        "lost terminal; Ctrl-C "
                        "pauses it; after a crash `lifeboat resume` goes on.\n"
                        "Given a plan file it looks again and refuses (11) when something that was approved has moved, "
                        "or when the plan was used already.",
                 .positionals = {{.name = "runbook",
                                  .doc = "A runbook's name or path, or a plan file made by `lifeboat plan -o`."}},
                 .options = {{.name = "--yes", .value = "", .doc = "Do not ask."},
                             set_option(),
                             bind_option(),
                             {.name = "--incident-start",
                              .value = "time",
                              .doc =
                                  "When the incident began, with its zone: RTO and RPO count from there. Else: now."}},
                 .examples = {"lifeboat run database-corruption",
                              "lifeboat run database-corruption --incident-start 2026-02-01T02:50:00Z",
                              "lifeboat run plan.json"}},
        .act = run,
    };
}

}  // namespace lifeboat
