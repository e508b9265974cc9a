#include "base/text.h"
#include "cli/run_files.h"
#include "cli/verb.h"
#include "report/junit.h"
#include "report/markdown.h"
#include "report/report_json.h"

namespace lifeboat {

namespace {

int report(const Call& call, Session& session) {
    const std::vector<std::string> formats{"md", "json", "junit"};
    const std::string format = session.json ? "json" : call.one("--format").value_or("md");
    if (std::find(formats.begin(), formats.end(), format) == formats.end()) {
        throw Error{ErrorCode::usage, "unknown format '" + printable(format) + "'" + did_you_mean(format, formats),
                    "The formats are: " + join(formats, ", ") + "."};
    }
    const DirectoryRunStore store = run_store(session);
    const Report report = report_of(store, any_run(store, call.one("run")));
    if (format == "json") {
        write_json(report, [&session](std::string_view text) { session.terminal.output(text); });
    } else {
        session.terminal.output(format == "md" ? to_markdown(report) : to_junit(report));
    }
    return 0;
}

}  // namespace

Subcommand report_verb() {
    return {
        .spec = {.name = "report",
                 .summary = "show the incident report of a run",
                 .doc =
                     "Folds the run's journal into a report: the verdict, recovery time and data loss against the "
                     "objectives, the timeline, each "
                     "step's attempts, the backup that was used and why, what was put back, and what stays unverified.",
                 .positionals = {{.name = "run",
                                  .doc = "A run's id or its beginning; else the only unfinished, or the last, run.",
                                  .required = false}},
                 .options = {{.name = "--format",
                              .value = "md|json|junit",
                              .doc = "Markdown (default), JSON, or JUnit's XML for CI."}},
                 .examples = {"lifeboat report", "lifeboat report --format json"}},
        .act = report,
    };
}

}  // namespace lifeboat
