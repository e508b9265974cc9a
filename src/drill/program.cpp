#include "drill/program.h"

#include <csignal>
#include <set>

#include "base/text.h"
#include "world/files.h"
#include "world/process.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

// Longer than any runbook is meant to take in a sandbox; a hang must not hang the pipeline.
constexpr Duration longest_life = std::chrono::minutes(30);

std::string text_of(const Json& value) {
    return value.is_string() ? value.get<std::string>() : to_text(value);
}

}  // namespace

DrilledProgram::DrilledProgram(fs::path program, fs::path sandbox, const Clock& clock, std::stop_token stop)
    : program_(std::move(program)),
      sandbox_(std::move(sandbox)),
      clock_(clock),
      store_(sandbox_ / "state", clock),
      stop_(std::move(stop)) {}

ProgramEnd DrilledProgram::call(std::vector<std::string> arguments, const std::string& fault) const {
    Command command;
    command.argv = std::move(arguments);
    command.argv.insert(command.argv.begin(), program_.string());
    command.argv.insert(command.argv.end(), {"--site", (sandbox_ / "lifeboat.yaml").string(), "--json"});
    command.environment = clean_environment();
    command.environment["HOME"] = (sandbox_ / "home").string();
    command.environment["TMPDIR"] = (sandbox_ / "tmp").string();
    if (!fault.empty()) command.environment["LIFEBOAT_FAULT"] = fault;
    command.folder = sandbox_;
    command.grace = std::chrono::seconds(60);  // asked to stop it pauses, which may take an undo
    ChildControl control;
    control.stop = stop_;
    control.deadline = clock_.steady() + longest_life;
    const fs::path pid_file = sandbox_ / "child";
    control.started = [&pid_file](const ChildIdentity& child) {
        write_durably(pid_file, std::to_string(child.pid) + "\n" + std::to_string(child.start_ticks) + "\n" +
                                    child.boot_id + "\n");
    };
    const ChildResult result = run_child(command, control);
    remove_file(pid_file);
    return {.exit_code = result.exit_code,
            .killed = result.signal == SIGKILL && !result.timed_out && !result.cancelled,
            .stopped = result.cancelled || result.timed_out,
            .talk = result.errors + result.output};
}

void DrilledProgram::look(ObservedRun& observed) const {
    RunRecord record = store_.read(observed.run_id);
    const RunState state = replay(record.plan, record.events);
    if (!record.events.empty()) observed.report = fold_report(record.plan, record.events, state, record.head);
    observed.events = std::move(record.events);
    observed.plan = std::move(record.plan);
}

ObservedRun DrilledProgram::run(const fs::path& runbook, const Json& inputs, const std::string& fault) const {
    std::set<std::string> before;
    for (const StoredRun& each : store_.list())
        before.insert(each.run_id);
    std::vector<std::string> arguments{"run", runbook.string(), "--yes"};
    for (const auto& [name, value] : inputs.items()) {
        arguments.emplace_back("--set");
        arguments.push_back(name + "=" + text_of(value));
    }
    ObservedRun observed{.end = call(std::move(arguments), fault)};
    for (const StoredRun& each : store_.list())
        if (!before.contains(each.run_id)) observed.run_id = each.run_id;
    if (!observed.run_id.empty()) look(observed);
    return observed;
}

ObservedRun DrilledProgram::resume(const std::string& run_id, const std::vector<std::string>& answers, int most) const {
    ObservedRun observed{.run_id = run_id};
    look(observed);
    for (int life = 0; life < most && !stop_.stop_requested(); ++life) {
        if (observed.report && observed.report->ended) break;
        std::vector<std::string> arguments{"resume", run_id};
        if (life == 0) {
            for (const std::string& answer : answers) {
                arguments.emplace_back("--answer");
                arguments.push_back(answer);
            }
        }
        observed.end = call(std::move(arguments), "");
        look(observed);
        const bool interrupted = observed.report && observed.report->paused && !observed.report->pauses.empty() &&
                                 observed.report->pauses.back().reason == PauseReason::interrupt;
        if (observed.report && observed.report->paused && !interrupted) break;
    }
    return observed;
}

bool ended_well(const ObservedRun& observed) {
    if (!observed.report || !observed.report->ended) return false;
    switch (observed.report->verdict) {
        case Verdict::recovered:
        case Verdict::recovered_late:
        case Verdict::unverified:
            return true;
        case Verdict::rolled_back:
        case Verdict::rollback_incomplete:
        case Verdict::failed:
        case Verdict::aborted:
        case Verdict::paused:
        case Verdict::in_doubt:
            return false;
    }
    return false;
}

std::string told(const ObservedRun& observed) {
    std::string text = observed.run_id.empty() ? "no run began" : "run '" + observed.run_id + "'";
    if (observed.report) {
        text += observed.report->ended ? " ended " : " stopped, ";
        text += to_text(observed.report->verdict);
    }
    text += " (exit " + std::to_string(observed.end.exit_code) + ")";
    if (observed.report && !observed.report->cause.empty()) text += ": " + observed.report->cause;
    if (!observed.report && !trim(observed.end.talk).empty()) text += ": " + std::string(trim(observed.end.talk));
    return text;
}

}  // namespace lifeboat
