#include <algorithm>

#include "base/text.h"
#include "cli/run_files.h"
#include "cli/verb.h"
#include "engine/judge.h"
#include "runs/holder.h"

namespace lifeboat {

namespace {

// "running", "paused", "dead" (unfinished and nobody runs it), or the verdict.
std::string standing(const RunState& state, bool has_runner) {
    if (state.ended) return std::string(to_text(state.verdict->verdict));
    if (has_runner) return "running";
    if (state.paused) return state.paused->reason == PauseReason::in_doubt ? "in_doubt" : "paused";
    return "dead";
}

std::vector<std::string> choices(const RunState& state, const std::string& standing) {
    if (state.paused) return state.paused->choices;
    if (standing == "dead") return {"resume", state.line_crossed ? "rollback --accept-loss" : "rollback", "abandon"};
    return {};
}

Duration time_of(const StepState& step, Timestamp now) {
    return step.started ? elapsed(*step.started, step.ended.value_or(now)) : Duration::zero();
}

Json to_json(const RunRecord& record, const RunState& state, const std::string& standing,
             const std::optional<Holder>& runner, Timestamp now) {
    Json steps = Json::array();
    for (std::size_t i = 0; i < state.steps.size(); ++i) {
        const StepState& step = state.steps[i];
        Json one{{"id", step_at(record.plan, i).id},
                 {"state", label(step)},
                 {"always", is_always(record.plan, i)},
                 {"attempts", step.deed().starts},
                 {"seconds", std::chrono::duration<double>(time_of(step, now)).count()}};
        if (step.error) one["error"] = lifeboat::to_json(*step.error);
        steps.push_back(std::move(one));
    }
    Json value{{"run", record.run_id},      {"runbook", record.plan.draft.runbook},
               {"state", standing},         {"events", state.seq},
               {"lives", state.lives},      {"line_crossed", state.line_crossed},
               {"steps", std::move(steps)}, {"choices", choices(state, standing)}};
    if (state.line_crossed_at) value["line_crossed_at"] = to_text(*state.line_crossed_at);
    if (state.started) value["started_at"] = to_text(state.started_at);
    if (state.paused)
        value["paused"] = Json{{"reason", to_text(state.paused->reason)}, {"message", state.paused->message}};
    if (runner) value["runner"] = lifeboat::to_json(runner->runner);
    if (state.verdict) value["verdict"] = to_text(state.verdict->verdict);
    return value;
}

Tone tone_of_label(std::string_view label) {
    if (label == "done" || label == "recovered") return Tone::good;
    if (label == "failed" || label == "timed_out" || label == "undo_failed" || label == "rollback_incomplete" ||
        label == "aborted")
        return Tone::bad;
    if (label == "waiting" || label.starts_with("skipped")) return Tone::faint;
    return label == "running" ? Tone::strong : Tone::doubtful;
}

std::string steps_table(const Terminal& terminal, const RunRecord& record, const RunState& state, Timestamp now) {
    std::size_t width = 0;
    for (std::size_t i = 0; i < state.steps.size(); ++i)
        width = std::max(width, characters(step_at(record.plan, i).id));
    std::string text;
    for (std::size_t i = 0; i < state.steps.size(); ++i) {
        const StepState& step = state.steps[i];
        const std::string& id = step_at(record.plan, i).id;
        const std::string word(label(step));
        text += "  " + id + std::string(width - characters(id) + 2, ' ') +
                painted(tone_of_label(word), word, terminal.output_style());
        if (step.started)
            text += std::string(word.size() < 18 ? 18 - word.size() : 1, ' ') + to_human(time_of(step, now));
        if (step.deed().starts > 1) text += ", " + counted(static_cast<std::size_t>(step.deed().starts), "attempt");
        text += "\n";
        const std::optional<Error>& error = step.error ? step.error
                                            : step.end ? std::optional<Error>()
                                                       : step.deed().error;
        if (error) text += "      " + printable(error->full_message()) + "\n";
        if (!step.end && !step.deed().evidence.empty()) text += "      " + printable(step.deed().evidence) + "\n";
    }
    return text;
}

int status(const Call& call, Session& session) {
    const DirectoryRunStore store = run_store(session);
    const RunRecord record = store.read(any_run(store, call.one("run")));
    const RunState state = replay(record.plan, record.events);
    const std::optional<Holder> runner = state.ended ? std::nullopt : store.runner_of(record.run_id);
    const std::string word = standing(state, runner.has_value());
    const Timestamp now = state.ended || !runner ? state.last_at : session.clock.now();
    Terminal& terminal = session.terminal;
    if (session.json) {
        terminal.output(to_pretty_text(to_json(record, state, word, runner, now)) + "\n");
        return 0;
    }
    std::string text =
        "run " + record.run_id + ": " + painted(tone_of_label(word), word, terminal.output_style()) + "\n";
    if (record.events.empty()) text += "  it has not begun\n";
    if (runner) text += "  by " + to_text(*runner) + "\n";
    if (word == "dead")
        text += "  its runner is gone: process " + std::to_string(state.runner.pid) + " of '" + state.runner.user +
                "' on '" + state.runner.host + "'\n";
    if (record.torn_tail) text += "  the journal's last record was torn: " + printable(*record.torn_tail) + "\n";
    if (state.line_crossed && state.line_crossed_at)
        text += "  past the line of no return since " + to_human(*state.line_crossed_at) + "\n";
    text += "\n" + steps_table(terminal, record, state, now);
    if (state.paused) text += "\npaused: " + printable(state.paused->message, true) + "\n";
    if (const auto can_say = choices(state, word); !can_say.empty()) {
        text += "\nwhat can be said:\n";
        for (const std::string& choice : can_say)
            text += "  lifeboat " + choice + "\n";
    }
    terminal.output(text);
    return 0;
}

}  // namespace

Subcommand status_verb() {
    return {
        .spec = {.name = "status",
                 .summary = "show where a run stands and what can be answered",
                 .doc = "Shows each step of a run, who runs it, why it is paused, and what can be said to it. Reads "
                        "the journal only: it can be "
                        "called at any time.",
                 .positionals = {{.name = "run",
                                  .doc = "A run's id or its beginning; else the only unfinished, or the last, run.",
                                  .required = false}},
                 .examples = {"lifeboat status", "lifeboat status --json"}},
        .act = status,
    };
}

}  // namespace lifeboat
