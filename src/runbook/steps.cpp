#include "runbook/steps.h"

#include <algorithm>

#include "base/text.h"
#include "runbook/words.h"

namespace lifeboat {

namespace {

bool is_own(const Deed& deed) {
    return deed.action == "run" || deed.action == "lua";
}

}  // namespace

StepReader::StepReader(ValueCheck& check, const FileReader& scripts, bool in_drill)
    : check_(check), in_drill_(in_drill), tables_(step_tables()), deeds_(check, tables_, scripts, in_drill) {}

void StepReader::read(const Node& list, std::string_view root, const Path& path) {
    StepList& steps = lists_.emplace_back();
    steps.root = root;
    if (list.kind != Node::Kind::list) return;
    steps.steps.reserve(list.items.size());
    for (std::size_t i = 0; i < list.items.size(); ++i) {
        const Path item{.parent = &path, .key = {}, .index = i};
        steps.steps.push_back(read_step(list.items[i], root, i, item));
    }
    join_graph(steps, list, path);
}

Step StepReader::read_step(const Node& node, std::string_view root, std::size_t index, const Path& path) {
    Step step;
    step.span = span_of(check_.file(), node);
    if (node.kind != Node::Kind::map) {
        check_.wrong(node, path, "a step is a map, not " + std::string(described(node.kind)),
                     "Begin it with `- id: <name>`.");
        return step;
    }
    const bool always = root == "always";
    const Fields fields(check_, node, always ? tables_.always : tables_.step, path);
    const Place place{.list = root, .step = index};
    take_id(step, fields, lists_.back(), index);
    step.doc = fields.text("doc");
    step.phase = phase_named(fields.text("phase"));
    if (const Node* condition = fields.node("if")) {
        if (!condition->is_scalar()) {
            check_.wrong(*condition, fields.at("if"),
                         "'if' wants an expression, not " + std::string(described(condition->kind)));
        } else if (check_.expressions().check_condition(*condition, fields.at("if"), place)) {
            step.condition = condition->text;
        }
    }
    step.deed = deeds_.read(fields, DeedBlock::step, place);
    read_policy(step, fields, place);
    if (always) check_always(step, fields);
    if (in_drill_) check_drill(step, fields);
    return step;
}

void StepReader::take_id(Step& step, const Fields& fields, StepList& list, std::size_t index) {
    step.id = fields.text("id");
    if (step.id.empty()) return;
    step.span = fields.span("id");
    if (!is_identifier(step.id)) {
        check_.wrong(*fields.node("id"), fields.at("id"), "'" + step.id + "' is no id",
                     "Ids begin with a small letter; small letters, digits and '_' follow.");
        return;
    }
    for (const StepList& other : lists_) {
        const auto found = other.ids.find(step.id);
        // in a drill each list has names of its own: setup.x, observe.x
        if (found == other.ids.end() || (in_drill_ && &other != &list)) continue;
        check_.wrong(*fields.node("id"), fields.at("id"), "duplicate step id '" + step.id + "'",
                     "It is the id of " + other.root + "[" + std::to_string(found->second) + "] on line " +
                         std::to_string(other.steps[found->second].span.at.line) + ".");
        return;
    }
    list.ids.emplace(step.id, index);
}

void StepReader::read_policy(Step& step, const Fields& fields, const Place& place) {
    step.timeout = fields.duration("timeout");
    step.heartbeat = fields.duration("heartbeat");
    step.estimate = fields.duration("estimate");
    check_durations(fields);
    step.on_failure = on_failure_named(fields.text("on_failure")).value_or(OnFailure::rollback);
    step.safe_in_drill = fields.text("drill") == "safe";
    if (fields.has("reopens") && !step.deed.action.empty() && !is_own(step.deed)) {
        if (fields.boolean("reopens").value_or(false)) {
            fields.wrong("reopens", "'" + step.deed.action + "' declares itself whether it reopens",
                         "Only `reopens: false` may be said of it: the door is opened elsewhere.");
        } else if (!step.deed.reopens) {
            fields.wrong("reopens", "'" + step.deed.action + "' reopens nothing", "Remove the key.");
        } else {
            step.reopens_elsewhere = true;
        }
    }
    read_fallbacks(step, fields, place);
    read_retry(step, fields);
}

void StepReader::check_durations(const Fields& fields) {
    for (const char* name : {"timeout", "heartbeat"})
        if (const auto duration = fields.duration(name); duration && *duration <= Duration::zero())
            check_.wrong(*fields.node(name), fields.at(name),
                         "'" + std::string(name) + "' has to be longer than nothing");
}

void StepReader::read_fallbacks(Step& step, const Fields& fields, const Place& place) {
    if (const Node* node = fields.node("fallback")) {
        const Path path = fields.at("fallback");
        const Fields block(check_, *node, tables_.fallback, path);
        step.fallback = deeds_.read(block, DeedBlock::fallback, place);
        if (block.has("reopens") && !step.fallback->action.empty() && !is_own(*step.fallback))
            block.wrong("reopens", "'" + step.fallback->action + "' declares itself whether it reopens");
    }
    if (const Node* node = fields.node("rollback")) {
        const Path path = fields.at("rollback");
        const Fields block(check_, *node, tables_.rollback, path);
        Place own = place;
        own.own = true;
        step.rollback = deeds_.read(block, DeedBlock::rollback, own);
    }
}

void StepReader::read_retry(Step& step, const Fields& fields) {
    const Json retry = fields.value("retry");
    if (!retry.is_object()) return;
    const Node& node = *fields.node("retry");
    const Path path = fields.at("retry");
    const auto wrong = [&](std::string_view name, std::string message) {
        const Node* value = node.at(name);
        check_.wrong(value != nullptr ? *value : node, {.parent = &path, .key = name}, std::move(message));
    };
    const auto duration = [&retry](const char* name, Duration otherwise) {
        const auto found = retry.find(name);
        return found != retry.end() && found->is_string()
                   ? parse_duration(found->get<std::string>()).value_or(otherwise)
                   : otherwise;
    };
    const auto number = [&retry](const char* name, double otherwise) {
        const auto found = retry.find(name);
        return found != retry.end() && found->is_number() ? found->get<double>() : otherwise;
    };
    if (const auto attempts = retry.find("max_attempts"); attempts != retry.end() && attempts->is_number()) {
        const auto count = attempts->get<std::int64_t>();
        if (count < 1 || count > 1000) wrong("max_attempts", "'max_attempts' has to be from 1 to 1000");
        step.retry.max_attempts = static_cast<int>(std::clamp<std::int64_t>(count, 1, 1000));
    }
    step.retry.initial_interval = duration("initial_interval", step.retry.initial_interval);
    step.retry.max_interval = duration("max_interval", step.retry.max_interval);
    step.retry.backoff_coefficient = number("backoff_coefficient", step.retry.backoff_coefficient);
    step.retry.jitter = number("jitter", step.retry.jitter);
    if (step.retry.backoff_coefficient < 1) wrong("backoff_coefficient", "'backoff_coefficient' has to be at least 1");
    if (step.retry.jitter < 0 || step.retry.jitter > 1) wrong("jitter", "'jitter' has to be from 0 to 1");
    for (const Json& name : retry.value("retry_on", Json::array()))
        if (const auto code = name.is_string() ? error_code_named(name.get<std::string>()) : std::nullopt)
            step.retry.retry_on.push_back(*code);

    const Deed& deed = step.deed;
    if (step.retry.max_attempts > 1 && is_own(deed) && deed.effect == Effect::change && !deed.has_probe &&
        !deed.repeatable)
        fields.wrong("retry",
                     "a `" + deed.action +
                         "` deed that changes something is tried again only if it can be told whether it was done",
                     "Add `probe:`, or `repeatable: true` where doing it twice is as good as once.");
}

void StepReader::check_always(const Step& step, const Fields& fields) {
    if (step.deed.action.empty() || step.deed.repeatable) return;
    fields.wrong(is_own(step.deed) ? step.deed.action : "uses",
                 "'" + step.deed.action + "' is not repeatable: under `always` only repeatable actions may stand",
                 is_own(step.deed) ? "Add `repeatable: true` where doing it twice is as good as once."
                                   : "Make it one of the steps.");
}

void StepReader::check_drill(const Step& step, const Fields& fields) {
    if (step.safe_in_drill) return;
    const bool own =
        is_own(step.deed) || (step.fallback && is_own(*step.fallback)) || (step.rollback && is_own(*step.rollback));
    if (own)
        check_.file().error(step.span, fields.path().text(), "`run` and `lua` steps of a drill need `drill: safe`",
                            "Say `drill: safe` when the step cannot touch anything but the sandbox.");
}

// Without `needs` a step waits for the one above it.
void StepReader::join_graph(StepList& list, const Node& node, const Path& path) {
    for (std::size_t i = 0; i < list.steps.size(); ++i) {
        const Node* needs = node.items[i].kind == Node::Kind::map ? node.items[i].at("needs") : nullptr;
        Step& step = list.steps[i];
        if (needs == nullptr || list.root == "always") {
            if (i > 0) step.needs.push_back(i - 1);
            continue;
        }
        const Path item{.parent = &path, .key = {}, .index = i};
        const Path here{.parent = &item, .key = "needs"};
        for (std::size_t n = 0; n < needs->items.size() && !check_.file().full(); ++n) {
            const Node& name = needs->items[n];
            if (name.kind != Node::Kind::text) continue;
            const Path place{.parent = &here, .key = {}, .index = n};
            const auto found = list.ids.find(name.text);
            if (found == list.ids.end()) {
                std::vector<std::string> ids;
                for (const auto& [id, position] : list.ids)
                    ids.push_back(id);
                check_.wrong(name, place, "there is no step '" + name.text + "'" + did_you_mean(name.text, ids));
            } else if (found->second == i) {
                check_.wrong(name, place, "step '" + step.id + "' needs itself");
            } else if (std::find(step.needs.begin(), step.needs.end(), found->second) != step.needs.end()) {
                check_.wrong(name, place, "step '" + name.text + "' is named twice");
            } else {
                step.needs.push_back(found->second);
            }
        }
    }
    refuse_cycle(list, node, path);
}

void StepReader::refuse_cycle(StepList& list, const Node& node, const Path& path) {
    const std::vector<std::size_t> cycle = find_cycle(needs_of(list.steps));
    if (cycle.empty()) return;
    list.has_cycle = true;
    std::vector<std::string> names;
    for (const std::size_t step : cycle)
        names.push_back("'" + list.steps[step].id + "'");
    names.push_back(names.front());
    const Path item{.parent = &path, .key = {}, .index = cycle.front()};
    const Node* needs = node.items[cycle.front()].at("needs");
    check_.file().error(needs != nullptr ? span_of(check_.file(), *needs) : list.steps[cycle.front()].span, item.text(),
                        "steps wait for each other in a circle: " + join(names, " needs "),
                        "A step without `needs` waits for the one above it.");
}

void StepReader::finish() {
    check_step_names(check_.file(), check_.specs(), lists_, check_.expressions().take_step_names());
}

std::vector<Step> StepReader::take(std::string_view root) {
    for (StepList& list : lists_)
        if (list.root == root) return std::move(list.steps);
    return {};
}

}  // namespace lifeboat
