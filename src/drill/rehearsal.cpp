#include "drill/rehearsal.h"

#include "base/text.h"
#include "drill/step_runbook.h"
#include "world/files.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

Json known_inputs(const Drill& drill, const Runbook& runbook) {
    Json inputs = Json::object();
    for (const Input& input : runbook.inputs)
        inputs[input.name] = input.default_value.value_or(nullptr);
    inputs.update(drill.inputs);
    return inputs;
}

}  // namespace

Rehearsal::Rehearsal(const Drill& drill, const Runbook& runbook, const Specs& specs, const DrillSandbox& sandbox,
                     const DrilledProgram& program)
    : drill_(drill),
      specs_(specs),
      sandbox_(sandbox),
      program_(program),
      runbook_file_(fs::absolute(drill.runbook_path)),
      known_{{"inputs", known_inputs(drill, runbook)}, {"objectives", objectives_scope(runbook.objectives)}} {
    for (const auto& [path, text] : drill.scripts) {
        const fs::path file = sandbox.folder() / "work" / "scripts" / path;
        make_directories(file.parent_path());
        write_durably(file, text);
    }
}

StepsDone Rehearsal::do_steps(std::string_view root, const std::vector<Step>& steps, const Json& known) const {
    StepsDone done;
    if (steps.empty()) return done;
    const fs::path file = sandbox_.folder() / "work" / (std::string(root) + ".yaml");
    write_durably(file, step_runbook("drill-" + std::string(root), root, steps, sandbox_.requirements(), known));
    const ObservedRun observed = program_.run(file, Json::object());
    done.well = ended_well(observed);
    if (!done.well) done.told = told(observed);
    if (observed.report) {
        done.steps = steps_scope(*observed.report);
        done.reported = observed.report->steps;
    }
    return done;
}

StepsDone Rehearsal::prepare(std::string_view root, const std::vector<Step>& steps) {
    StepsDone done = do_steps(root, steps, known_);
    known_[std::string(root)] = done.steps;
    return done;
}

void Rehearsal::start_services(const std::set<std::string>& services) const {
    std::vector<Step> steps;
    for (const std::string& name : services) {
        Step step{.id = "start_" + std::to_string(steps.size() + 1)};
        if (!steps.empty()) step.needs = {steps.size() - 1};
        step.deed.action = "service.start";
        step.deed.arguments = {{"service", name}};
        steps.push_back(std::move(step));
    }
    const StepsDone done = do_steps("services", steps, Json::object());
    if (!done.well) throw Error{ErrorCode::not_healthy, "the services of the sandbox do not start again: " + done.told};
}

ObservedRun Rehearsal::run(const std::string& fault) const {
    return program_.run(runbook_file_, drill_.inputs, fault);
}

StepsDone Rehearsal::observe(const Json& run) const {
    Json known = known_;
    known["run"] = run;
    return do_steps("observe", drill_.observe, known);
}

Json Rehearsal::substance_of(const StepsDone& observation) const {
    Json substance = Json::object();
    for (const ReportedStep& step : observation.reported) {
        Json outputs = step.outputs;
        const ActionSpec* spec = specs_.action(step.action);
        if (outputs.is_object() && spec != nullptr) {
            for (const OutputSpec& each : spec->outputs)
                if (each.type == ValueType::timestamp || each.type == ValueType::duration) outputs.erase(each.name);
        }
        substance[step.id] = {{"outputs", outputs},
                              {"error", step.error ? Json(info(step.error->code).name) : Json(nullptr)}};
    }
    return substance;
}

Json Rehearsal::scope(const Report& report, const StepsDone& observation) const {
    Json scope = known_;
    scope["run"] = run_scope(report);
    scope["observe"] = observation.steps;
    scope["resources"] = Json::object();
    for (const auto& [name, resource] : sandbox_.resources())
        scope["resources"][name] = resource.fields;
    return scope;
}

std::vector<std::string> Rehearsal::disappointments(const ObservedRun& observed) const {
    if (!observed.report) return {told(observed)};
    std::vector<std::string> found;
    const StepsDone observation = observe(run_scope(*observed.report));
    if (!observation.well) found.push_back("the observation failed: " + observation.told);
    for (const ExpectationOutcome& each : judge_expectations(drill_.expect, scope(*observed.report, observation)))
        if (!each.holds) found.push_back("'" + each.that + "' does not hold: " + each.why);
    if (!found.empty()) found.push_back(told(observed));
    return found;
}

}  // namespace lifeboat
