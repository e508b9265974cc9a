// Which run is meant, and what is written beside its journal for people.
#pragma once

#include <optional>
#include <string>

#include "cli/verb.h"
#include "report/report.h"
#include "runs/directory_run_store.h"

namespace lifeboat {

// The store of runs of this session's site. Throws FilesRefused for a broken site.
DirectoryRunStore run_store(Session& session);

// The run that was named (a unique beginning of its id is enough), else the only unfinished one. Throws Error{usage}
// that lists them.
std::string unfinished_run(const DirectoryRunStore& store, const std::optional<std::string>& named);
// The run that was named, else the only unfinished one, else the last one.
std::string any_run(const DirectoryRunStore& store, const std::optional<std::string>& named);

// Where a run stands and what will be reported of it, in one pass over its events. The plan outlives it.
struct RunFold {
    explicit RunFold(const Plan& made_with);
    void take(const Event& event);

    const Plan& plan;
    RunState state;
    ReportFold report;
};

// Folded from the run's journal alone.
Report report_of(const DirectoryRunStore& store, const std::string& run_id);
// Into the run's folder, as report.md and report.json.
void write_reports(const DirectoryRunStore& store, const Report& report);

// The end of a run's life, on stdout: the summary, or with --json the report.
void show_end(Session& session, const Report& report);

}  // namespace lifeboat
