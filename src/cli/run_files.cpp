#include "cli/run_files.h"

#include <algorithm>

#include "actions/family.h"
#include "base/text.h"
#include "cli/loading.h"
#include "cli/places.h"
#include "report/markdown.h"
#include "report/report_json.h"
#include "report/summary.h"

namespace lifeboat {

namespace {

// The run whose id is `named`, or begins so.
std::string named_run(const std::vector<StoredRun>& runs, const std::string& named) {
    std::vector<std::string> matching;
    std::vector<std::string> all;
    for (const StoredRun& run : runs) {
        if (run.run_id == named) return named;
        if (run.run_id.starts_with(named)) matching.push_back(run.run_id);
        all.push_back(run.run_id);
    }
    if (matching.size() == 1) return matching.front();
    if (matching.size() > 1)
        throw Error{ErrorCode::usage, "'" + printable(named) + "' is the beginning of several runs",
                    "They are: " + join(matching, ", ") + "."};
    throw Error{ErrorCode::usage, "there is no run '" + printable(named) + "'" + did_you_mean(named, all),
                "`lifeboat history` lists them."};
}

std::vector<std::string> unfinished(const std::vector<StoredRun>& runs) {
    std::vector<std::string> ids;
    for (const StoredRun& run : runs) {
        if (!run.ended) ids.push_back(run.run_id);
    }
    return ids;
}

}  // namespace

DirectoryRunStore run_store(Session& session) {
    Loading loading(all_specs());
    const Site site = loading.site(session);
    loading.settle(session);
    return DirectoryRunStore(state_folder(site), session.clock);
}

std::string unfinished_run(const DirectoryRunStore& store, const std::optional<std::string>& named) {
    const std::vector<StoredRun> runs = store.list();
    if (named) return named_run(runs, *named);
    const std::vector<std::string> ids = unfinished(runs);
    if (ids.size() == 1) return ids.front();
    if (ids.empty())
        throw Error{ErrorCode::usage, "there is no unfinished run in '" + store.state().string() + "'",
                    "`lifeboat history` lists the runs."};
    throw Error{ErrorCode::usage, "several runs are unfinished", "Name one of: " + join(ids, ", ") + "."};
}

std::string any_run(const DirectoryRunStore& store, const std::optional<std::string>& named) {
    const std::vector<StoredRun> runs = store.list();
    if (named) return named_run(runs, *named);
    if (runs.empty())
        throw Error{ErrorCode::usage, "there are no runs in '" + store.state().string() + "'",
                    "`lifeboat run` makes one."};
    const std::vector<std::string> ids = unfinished(runs);
    return ids.size() == 1 ? ids.front() : runs.front().run_id;
}

RunFold::RunFold(const Plan& made_with) : plan(made_with), state(initial_state(made_with)), report(made_with) {}

void RunFold::take(const Event& event) {
    apply(state, plan, event);
    report.take(event);
}

Report report_of(const DirectoryRunStore& store, const std::string& run_id) {
    const Plan plan = store.plan(run_id);
    RunFold fold(plan);
    EventsSeen seen = store.each_event(run_id, [&fold](const Event& event) { fold.take(event); });
    return fold.report.finish(fold.state, std::move(seen.head));
}

void write_reports(const DirectoryRunStore& store, const Report& report) {
    const auto folder = store.folder(report.run_id);
    write_text_file(folder / "report.md", to_markdown(report));
    write_text_file(folder / "report.json", [&report](const TextSink& out) { write_json(report, out); });
}

void show_end(Session& session, const Report& report) {
    if (session.json) {
        write_json(report, [&session](std::string_view text) { session.terminal.output(text); });
    } else {
        session.terminal.output("\n" + summary_text(report, session.terminal.output_style()));
    }
}

}  // namespace lifeboat
