#include "engine/scope.h"

#include <cctype>
#include <map>

#include "engine/judge.h"
#include "script/expression.h"

namespace lifeboat {

namespace {

bool has_template(const Json& value) {
    if (value.is_string()) return value.get_ref<const std::string&>().find("${{") != std::string::npos;
    if (value.is_structured())
        return std::any_of(value.begin(), value.end(), [](const Json& each) { return has_template(each); });
    return false;
}

struct Mentions {
    std::set<std::string> steps;
    bool all = false;  // some mention is not static
    bool run = false;
};

bool is_word(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// Over-approximates: a name in a literal costs a little time, a missed one would be an error, so anything unclear means
// "all".
void find_mentions(const std::string& text, Mentions& found) {
    found.run = found.run || text.find("run") != std::string::npos;
    for (std::size_t at = text.find("steps"); at != std::string::npos; at = text.find("steps", at + 1)) {
        std::size_t i = at + 5;
        if ((at > 0 && is_word(text[at - 1])) || (i < text.size() && is_word(text[i]))) continue;
        if (i + 1 >= text.size() || text[i] != '.' || !is_word(text[i + 1])) {
            found.all = true;
            continue;
        }
        std::size_t end = ++i;
        while (end < text.size() && is_word(text[end]))
            ++end;
        found.steps.insert(text.substr(i, end - i));
    }
}

void find_mentions(const Json& value, Mentions& found) {
    if (value.is_string()) find_mentions(value.get_ref<const std::string&>(), found);
    if (value.is_structured())
        for (const Json& each : value)
            find_mentions(each, found);
}

Json seconds(const std::optional<Duration>& duration) {
    return duration ? Json(std::chrono::duration<double>(*duration).count()) : Json(nullptr);
}

Json run_scope(const Plan& plan, const RunState& state) {
    const VerdictReached verdict = state.verdict ? *state.verdict : judge(plan, state, state.last_at);
    return {{"id", state.started ? state.started->run_id : ""},
            {"name", plan.draft.runbook},
            {"started_at", to_text(state.started_at)},
            {"incident_start", state.started ? to_text(state.started->incident_start) : ""},
            {"verdict", to_text(verdict.verdict)},
            {"rto", seconds(verdict.rto)},
            {"rpo", seconds(verdict.rpo)},
            {"data_loss", seconds(verdict.data_loss)},
            {"drill", plan.draft.drill.has_value()}};
}

Json scope_with(const Plan& plan, const RunState& state, const Mentions& mentions) {
    Json scope = static_scope(plan.draft);
    if (mentions.run) scope["run"] = run_scope(plan, state);
    Json& steps = scope["steps"] = Json::object();
    for (std::size_t i = 0; i < step_count(plan); ++i) {
        const std::string& id = step_at(plan, i).id;
        if (!mentions.all && !mentions.steps.contains(id)) continue;
        steps[id] = {{"outputs", state.steps[i].outputs},
                     {"outcome", state.steps[i].end ? Json(to_text(*state.steps[i].end)) : Json(nullptr)}};
    }
    return scope;
}

}  // namespace

Json scope_for(const Plan& plan, const RunState& state, const Json& value) {
    Mentions mentions;
    find_mentions(value, mentions);
    return scope_with(plan, state, mentions);
}

std::set<std::string> steps_named_in(const Json& value) {
    Mentions mentions;
    find_mentions(value, mentions);
    return mentions.steps;
}

Json expand(const Plan& plan, const RunState& state, const Json& value) {
    return has_template(value) ? expand_all(value, scope_for(plan, state, value)) : value;
}

bool holds(const Plan& plan, const RunState& state, const std::string& expression) {
    const Json value = Expression(expression).evaluate(scope_for(plan, state, expression));
    if (!value.is_boolean())
        throw Error(ErrorCode::expression_failed,
                    "'" + expression + "' is " + to_text(value) + ", neither true nor false",
                    "Compare with '==' or use 'has'.");
    return value.get<bool>();
}

}  // namespace lifeboat
