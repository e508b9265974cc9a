#include "drill/expectations.h"

#include "base/text.h"
#include "script/expression.h"

namespace lifeboat {

namespace {

Json seconds(const std::optional<Duration>& duration) {
    return duration ? Json(std::chrono::duration<double>(*duration).count()) : Json(nullptr);
}

// "run.verdict is "rolled_back""
std::string value_of(const NamePath& name, const Json& scope) {
    const Json* value = &scope;
    for (const std::string& part : name.parts) {
        if (!value->is_object() || !value->contains(part)) return join(name.parts, ".") + " is unknown";
        value = &(*value)[part];
    }
    return join(name.parts, ".") + " is " + to_text(*value);
}

ExpectationOutcome judge(const Expectation& expectation, const Json& scope) {
    ExpectationOutcome outcome{.that = expectation.that};
    try {
        const Expression expression(expectation.that);
        std::vector<std::string> values;
        for (const NamePath& name : expression.names())
            values.push_back(value_of(name, scope));
        try {
            const Json value = expression.evaluate(scope);
            outcome.holds = value.is_boolean() && value.get<bool>();
            if (!value.is_boolean())
                values.insert(values.begin(), "it is " + to_text(value) + ", neither true nor false");
        } catch (const Error& error) {
            values.insert(values.begin(), error.message);
        }
        outcome.why = outcome.holds ? "" : join(values, "; ");
    } catch (const Error& error) {
        outcome.why = error.message;
    }
    return outcome;
}

}  // namespace

Json steps_scope(const Report& report) {
    Json steps = Json::object();
    for (const ReportedStep& step : report.steps) {
        steps[step.id] = {{"outputs", step.outputs}, {"outcome", step.end ? Json(to_text(*step.end)) : Json(nullptr)}};
    }
    return steps;
}

Json run_scope(const Report& report) {
    return {{"id", report.run_id},
            {"name", report.runbook},
            {"verdict", to_text(report.verdict)},
            {"rto", seconds(report.recovery_time.reached)},
            {"rpo", seconds(report.recovery_point.reached)},
            {"data_loss", seconds(report.data_loss)},
            {"started_at", to_text(report.started_at)},
            {"incident_start", to_text(report.incident_start)},
            {"drill", report.drill}};
}

Json objectives_scope(const Objectives& objectives) {
    return {{"rto", seconds(objectives.rto)}, {"rpo", seconds(objectives.rpo)}};
}

std::vector<ExpectationOutcome> judge_expectations(const std::vector<Expectation>& expectations, const Json& scope) {
    std::vector<ExpectationOutcome> outcomes;
    outcomes.reserve(expectations.size());
    for (const Expectation& each : expectations)
        outcomes.push_back(judge(each, scope));
    return outcomes;
}

}  // namespace lifeboat
