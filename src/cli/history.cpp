#include <algorithm>

#include "base/text.h"
#include "cli/run_files.h"
#include "cli/verb.h"

namespace lifeboat {

namespace {

Json seconds_or_null(const std::optional<Duration>& duration) {
    return duration ? Json(std::chrono::duration<double>(*duration).count()) : Json(nullptr);
}

std::string human_or_dash(const std::optional<Duration>& duration) {
    return duration ? to_human(*duration) : "-";
}

std::optional<VerdictReached> figures_of(const DirectoryRunStore& store, const StoredRun& run) {
    if (!run.ended) return std::nullopt;
    const RunRecord record = store.read(run.run_id);
    for (auto event = record.events.rbegin(); event != record.events.rend(); ++event) {
        if (const auto* reached = std::get_if<VerdictReached>(&event->body)) return *reached;
    }
    return std::nullopt;
}

int history(const Call& call, Session& session) {
    const DirectoryRunStore store = run_store(session);
    const auto runbook = call.one("runbook");
    Json records = Json::array();
    std::size_t width = 0;
    for (const StoredRun& run : store.list())
        width = std::max(width, run.run_id.size() + 2);
    std::string text = padded("run", width) + padded("outcome", 21) + padded("RTO", 11) + "data loss\n";
    for (const StoredRun& run : store.list()) {
        if (runbook && run.runbook != *runbook) continue;
        std::optional<VerdictReached> figures;
        std::string outcome = run.verdict ? std::string(to_text(*run.verdict)) : "unfinished";
        try {
            figures = figures_of(store, run);
        } catch (const Error& error) {
            outcome = "unreadable: " + error.message;
        }
        const auto loss = figures ? (figures->data_loss ? figures->data_loss : figures->rpo) : std::nullopt;
        text += padded(run.run_id, width) + padded(outcome, 21) +
                padded(human_or_dash(figures ? figures->rto : std::nullopt), 11) + human_or_dash(loss) + "\n";
        records.push_back(Json{{"run", run.run_id},
                               {"runbook", run.runbook},
                               {"started_at", to_text(run.started_at)},
                               {"ended", run.ended},
                               {"outcome", outcome},
                               {"rto_seconds", seconds_or_null(figures ? figures->rto : std::nullopt)},
                               {"rpo_seconds", seconds_or_null(figures ? figures->rpo : std::nullopt)},
                               {"data_loss_seconds", seconds_or_null(figures ? figures->data_loss : std::nullopt)}});
    }
    if (session.json) {
        session.terminal.output(to_pretty_text(Json{{"runs", std::move(records)}}) + "\n");
    } else if (records.empty()) {
        session.terminal.talk("no runs in '" + store.state().string() + "'\n");
    } else {
        session.terminal.output(text);
    }
    return 0;
}

}  // namespace

Subcommand history_verb() {
    return {
        .spec = {.name = "history",
                 .summary = "list the runs there were, newest first, with what they reached",
                 .doc = "Lists runs with their outcome, recovery time and data loss, newest first.",
                 .positionals = {{.name = "runbook", .doc = "Only the runs of this runbook.", .required = false}},
                 .examples = {"lifeboat history", "lifeboat history database-corruption --json"}},
        .act = history,
    };
}

}  // namespace lifeboat
