#include "drill/drill.h"

#include "actions/family.h"
#include "base/text.h"
#include "cli/interrupts.h"
#include "cli/loading.h"
#include "cli/places.h"
#include "cli/verb.h"
#include "drill/leftovers.h"
#include "world/machine.h"

namespace lifeboat {

namespace {

int clean_up(Session& session) {
    const Leftovers found = remove_leftovers(sandbox_parent(), true);
    if (session.json) {
        session.terminal.output(to_pretty_text(Json{{"removed", found.removed}, {"left", found.left}}) + "\n");
    } else {
        for (const std::string& folder : found.removed)
            session.terminal.output("removed " + folder + "\n");
        for (const std::string& line : found.left)
            session.terminal.output("left: " + line + "\n");
        if (found.removed.empty() && found.left.empty()) session.terminal.output("there is nothing to remove\n");
    }
    return found.left.empty() ? 0 : exit_code(DrillVerdict::cleanup_incomplete);
}

SweepDepth depth(const Call& call) {
    if (call.has("--no-sweep") + call.has("--full") > 1)
        throw Error{ErrorCode::usage, "--no-sweep and --full exclude each other"};
    if (call.has("--no-sweep")) return SweepDepth::none;
    return call.has("--full") ? SweepDepth::full : SweepDepth::sample;
}

// Where no site was named and none is around there is nothing real to stay away from.
std::optional<Site> real_site(Loading& loading, const Session& session) {
    Site site = loading.site(session);
    if (!loading.site_file()) return std::nullopt;
    if (site.file.empty()) site.file = loading.site_file()->string();
    return site;
}

int drill(const Call& call, Session& session) {
    if (call.has("--cleanup")) return clean_up(session);
    const auto file = call.one("file");
    if (!file) throw Error{ErrorCode::usage, "no drill file was named", "`lifeboat drill drills/quickstart.yaml`"};
    Loading loading(all_specs());
    DrillOptions options;
    options.program = session.program;
    options.real_site = real_site(loading, session);
    options.depth = depth(call);
    options.keep = call.has("--keep");
    const std::optional<Drill> read = loading.drill(*file);
    if (loading.has_errors() || !read) loading.settle(session);
    const std::optional<Runbook> runbook = loading.runbook(read->runbook_path);
    loading.settle(session);

    std::stop_source stop;
    options.stop = stop.get_token();
    if (!session.json) options.say = [&session](const std::string& line) { session.terminal.talk(line + "\n"); };
    DrillResult result;
    int signal = 0;
    {
        const Interrupts interrupts([&](int, int) {
            session.terminal.talk("interrupted: the sandbox is removed, then the drill ends\n");
            stop.request_stop();
        });
        result = run_drill(*read, *runbook, loading.specs(), session.clock, options);
        signal = interrupts.first();
    }
    if (const auto junit = call.one("--junit")) write_text_file(*junit, to_junit(result, host_name()));
    session.terminal.output(session.json ? to_pretty_text(to_json(result)) + "\n" : to_summary(result));
    const int code = exit_code(result.verdict);
    return code == 1 && result.interrupted && signal != 0 ? 128 + signal : code;
}

}  // namespace

Subcommand drill_verb() {
    return {
        .spec = {.name = "drill",
                 .summary = "carry out a runbook against a sandbox that was damaged on purpose",
                 .doc = "Makes the drill's sandbox, proves that it is isolated, attacks it, carries out the runbook "
                        "with this very "
                        "program, judges the outcome, and removes everything. With `sweep:` it does so again and "
                        "again: killed at the "
                        "records of its journal, and with each step failing. Exits 0 as expected, 1 when an "
                        "expectation failed or "
                        "nothing ran, 8 when cleanup is incomplete, 9 when isolation is not proven.",
                 .positionals = {{.name = "file", .doc = "A drill file.", .required = false}},
                 .options = {{.name = "--junit", .value = "file", .doc = "Also write the result as JUnit's XML."},
                             {.name = "--full",
                              .value = "",
                              .doc =
                                  "Sweep at both sides of every record; else at one for each step and type of event."},
                             {.name = "--no-sweep", .value = "", .doc = "Leave the sweeps out."},
                             {.name = "--keep", .value = "", .doc = "Leave the sandbox and its servers for a look."},
                             {.name = "--cleanup",
                              .value = "",
                              .doc = "Remove sandboxes that killed drills left, and kept ones; nothing else."}},
                 .examples = {"lifeboat drill drills/quickstart.yaml",
                              "lifeboat drill drills/quickstart.yaml --junit result.xml", "lifeboat drill --cleanup"}},
        .act = drill,
    };
}

}  // namespace lifeboat
