#include <algorithm>

#include "base/text.h"
#include "cli/hands.h"
#include "cli/places.h"
#include "cli/run_files.h"
#include "cli/verb.h"

namespace fs = std::filesystem;

namespace lifeboat {

namespace {

// The old state stands beside the live one: a path that a resource itself names is never it.
void refuse_live(const fs::path& path, const Resources& resources) {
    for (const auto& [name, resource] : resources.all()) {
        const auto field = resource.fields.find("path");
        if (field == resource.fields.end() || !field->is_string()) continue;
        const fs::path live = fs::path(field->get<std::string>()).lexically_normal();
        const fs::path doomed = path.lexically_normal();
        const auto [end, rest] = std::mismatch(doomed.begin(), doomed.end(), live.begin(), live.end());
        if (end == doomed.end()) {
            throw Error{ErrorCode::refused,
                        "'" + doomed.string() + "' holds the live resource '" + name + "', it is not removed",
                        "The run's journal names it as kept: that should not be."};
        }
    }
}

// What stands in a step's output `kept`: `file:/path` or `database:<resource>/<name>`.
void remove(const ReportedKept& kept, const Hands& hands) {
    const std::string& text = kept.what;
    if (text.starts_with("file:/")) {
        const fs::path path = text.substr(5);
        refuse_live(path, hands.resources());
        std::error_code problem;
        fs::remove_all(path, problem);
        if (problem) throw_errno("remove '" + path.string() + "'", problem.value());
        return;
    }
    const std::size_t slash = text.find('/');
    if (text.starts_with("database:") && slash != std::string::npos) {
        hands.do_now("postgres.drop",
                     Json{{"database", Json{{"of", text.substr(9, slash - 9)}, {"database", text.substr(slash + 1)}}}},
                     "commit", std::nullopt, {}, [](const Progress&) {});
        return;
    }
    throw Error{
        ErrorCode::unsupported,
        "step '" + kept.step + "' kept '" + printable(text) + "', and this program does not know how to remove that",
        "Remove it by hand."};
}

// The last run that ended well and still keeps something, else the last one that ended well.
std::string last_that_keeps(const DirectoryRunStore& store) {
    std::string last;
    for (const StoredRun& run : store.list()) {
        const bool well = run.verdict == Verdict::recovered || run.verdict == Verdict::recovered_late ||
                          run.verdict == Verdict::unverified;
        if (!run.ended || !well) continue;
        if (last.empty()) last = run.run_id;
        const Report report = report_of(store, run.run_id);
        if (!report.kept.empty() && report.committed.empty()) return run.run_id;
    }
    if (!last.empty()) return last;
    throw Error{ErrorCode::usage, "there is no recovered run", "`lifeboat history` lists the runs."};
}

int commit(const Call& call, Session& session) {
    DirectoryRunStore store = run_store(session);
    const std::string run_id = call.has("run") ? any_run(store, call.one("run")) : last_that_keeps(store);
    const Plan plan = store.plan(run_id);
    RunFold fold(plan);
    const auto journal = store.take_over(run_id, [&fold](const Event& event) { fold.take(event); }).journal;
    const RunState& state = fold.state;
    if (!state.ended)
        throw Error{ErrorCode::usage, "run '" + run_id + "' has not ended",
                    "Its old state may still be needed; see `lifeboat status`."};
    if (state.verdict->verdict == Verdict::rollback_incomplete)
        throw Error{ErrorCode::usage,
                    "the rollback of run '" + run_id + "' is incomplete: what it replaced may be the only copy of it",
                    "Put it back by hand; `lifeboat report " + run_id + "` says what could not be put back and why."};
    if (state.committed) {
        session.terminal.talk("run " + run_id + " was committed before\n");
        if (session.json)
            session.terminal.output(to_pretty_text(Json{{"run", run_id}, {"removed", Json::array()}}) + "\n");
        return 0;
    }
    const std::vector<ReportedKept> kept = fold.report.finish(state).kept;
    if (!session.json) {
        for (const ReportedKept& one : kept)
            session.terminal.output("! " + printable(one.what) + "  (kept by step '" + one.step + "')\n");
    }
    if (!kept.empty() && !call.has("--yes")) {
        if (!session.terminal.can_ask() || session.json)
            throw Error{ErrorCode::usage, "the old state would be removed for good and there is no terminal to ask on",
                        "Say `--yes`."};
        if (!session.terminal.confirm("Remove the old state for good?")) {
            session.terminal.talk("nothing was done\n");
            return 1;
        }
    }
    const Hands hands(session, plan.draft, store.state());
    std::vector<std::string> removed;
    for (const ReportedKept& one : kept) {
        remove(one, hands);
        removed.push_back(one.what);
    }
    const std::vector<Event> events{
        {.seq = state.seq + 1, .at = session.clock.now(), .body = Committed{.removed = removed, .by = user_name()}}};
    journal->append(events);
    journal->sync();
    if (session.json) {
        session.terminal.output(to_pretty_text(Json{{"run", run_id}, {"removed", removed}}) + "\n");
    } else {
        session.terminal.talk(removed.empty() ? "nothing was kept; run " + run_id + " is committed\n"
                                              : counted(removed.size(), "old state") + " removed; run " + run_id +
                                                    " is committed\n");
    }
    return 0;
}

}  // namespace

Subcommand commit_verb() {
    return {
        .spec = {.name = "commit",
                 .summary = "remove the old state that a recovered run has kept",
                 .doc = "A run keeps what it replaced (the damaged database, the old files) under its own name. When "
                        "nobody needs it any more, "
                        "commit removes it for good and writes that into the journal.",
                 .positionals = {{.name = "run",
                                  .doc =
                                      "A run's id or its beginning; else the last recovered one that keeps something.",
                                  .required = false}},
                 .options = {{.name = "--yes", .value = "", .doc = "Do not ask."}},
                 .examples = {"lifeboat commit", "lifeboat commit 2026-02-01T02 --yes"}},
        .act = commit,
    };
}

}  // namespace lifeboat
