#include "runbook/draft.h"

#include <algorithm>
#include <set>

#include "base/secret.h"
#include "base/text.h"
#include "runbook/binding.h"
#include "runbook/expressions.h"
#include "runbook/graph.h"
#include "runbook/inputs.h"
#include "runbook/step_names.h"
#include "runbook/words.h"

namespace lifeboat {

namespace {

bool is_own(const Deed& deed) {
    return deed.action == "run" || deed.action == "lua";
}

// Every deed that a step may come to do.
std::vector<Deed*> deeds_of(Step& step) {
    std::vector<Deed*> deeds{&step.deed};
    if (step.fallback) deeds.push_back(&*step.fallback);
    if (step.rollback) deeds.push_back(&*step.rollback);
    return deeds;
}

bool crosses_line(const Step& step) {
    const auto crosses = [&step](const Deed& deed) {
        return deed.effect == Effect::destroy || (deed.reopens && !step.reopens_elsewhere);
    };
    return crosses(step.deed) || (step.fallback && crosses(*step.fallback));
}

class Drafting {
  public:
    Drafting(const Runbook& runbook, const Site& site, const Specs& specs)
        : runbook_(runbook), site_(site), specs_(specs) {
        loaded_.diagnostics = Diagnostics(runbook.file, runbook.source);
    }

    Loaded<Draft> run(const Json& inputs, const std::map<std::string, std::string>& bind, Timestamp now) {
        copy_head();
        draft_.inputs = freeze_inputs(runbook_, inputs, now, loaded_.diagnostics);
        draft_.bindings = bind_requirements(runbook_, site_, bind, specs_, loaded_.diagnostics);
        draft_.steps = ordered(runbook_.steps);
        draw_line();
        draft_.always = ordered(runbook_.always);
        ArgumentBinder binder(runbook_, draft_.bindings, specs_);
        for (auto* steps : {&draft_.steps, &draft_.always})
            for (DraftedStep& step : *steps)
                settle(step, binder);
        draft_.targets.assign(binder.targets().begin(), binder.targets().end());
        take_resources();
        take_secrets();
        if (!loaded_.diagnostics.has_errors()) loaded_.value = std::move(draft_);
        return std::move(loaded_);
    }

  private:
    void copy_head() {
        draft_.runbook = runbook_.name;
        draft_.summary = runbook_.summary;
        draft_.severity = runbook_.severity;
        draft_.objectives = runbook_.objectives;
        draft_.contacts = runbook_.contacts;
        draft_.max_parallel = runbook_.max_parallel;
        draft_.notify = site_.notify;
        draft_.drill = site_.drill;
        draft_.scripts = runbook_.scripts;
        draft_.runbook_source = runbook_.source;
    }

    static std::vector<DraftedStep> ordered(const std::vector<Step>& steps) {
        const std::vector<std::size_t> order = stable_order(needs_of(steps));
        std::vector<std::size_t> position(steps.size());
        for (std::size_t i = 0; i < order.size(); ++i)
            position[order[i]] = i;
        std::vector<DraftedStep> drafted;
        drafted.reserve(steps.size());
        for (const std::size_t index : order) {
            DraftedStep& step = drafted.emplace_back();
            static_cast<Step&>(step) = steps[index];
            for (std::size_t& need : step.needs)
                need = position[need];
            std::sort(step.needs.begin(), step.needs.end());
        }
        return drafted;
    }

    // Law 5: the steps in front of every step that crosses have to end well before any of those starts.
    void draw_line() {
        for (DraftedStep& step : draft_.steps) {
            step.crosses = crosses_line(step);
            step.before_line =
                !step.crosses && std::all_of(step.needs.begin(), step.needs.end(),
                                             [this](std::size_t need) { return draft_.steps[need].before_line; });
        }
    }

    void settle(DraftedStep& step, ArgumentBinder& binder) {
        for (Deed* deed : deeds_of(step)) {
            const ActionSpec* spec = specs_.action(deed->action);
            if (spec != nullptr && spec->drill_only && !site_.drill)
                refuse(step, "'" + deed->action + "' does damage: it is for drills only", "");
            if (site_.drill && is_own(*deed) && !step.safe_in_drill)
                refuse(step, "a `" + deed->action + "` step runs in a drill only with `drill: safe`",
                       "Say `drill: safe` when the step cannot touch anything but the sandbox.");
            look_at(step, deed->arguments);
            binder.bind(*deed);
        }
        look_at_expression(step, step.condition);
    }

    // Resources and secrets that expressions name have to be there, with a value.
    void look_at(const Step& step, const Json& value) {
        if (value.is_string()) {
            const auto& text = value.get_ref<const std::string&>();
            if (!has_expression(text) ||
                (text.find("resources") == std::string::npos && text.find("secrets") == std::string::npos))
                return;
            const Template parsed(text);
            for (const Template::Part& part : parsed.parts())
                if (part.expression) look_at(step, *part.expression);
        } else if (value.is_structured()) {
            for (const Json& each : value)
                look_at(step, each);
        }
    }

    void look_at_expression(const Step& step, const std::string& condition) {
        if (condition.find("resources") != std::string::npos) look_at(step, Expression(condition));
    }

    void look_at(const Step& step, const Expression& expression) {
        for (const NamePath& name : expression.names()) {
            if (name.parts.front() == "secrets" && name.parts.size() > 1) named_secrets_[name.parts[1]] = &step;
            if (name.parts.front() != "resources" || name.parts.size() < 3) continue;
            const auto bound = draft_.bindings.find(name.parts[1]);
            if (bound == draft_.bindings.end() || !site_.resources.contains(bound->second))
                continue;  // reported as unbound
            const Resource& resource = site_.resources.at(bound->second);
            if (resource.fields.contains(name.parts[2])) continue;
            refuse(step,
                   "the step wants '" + name.parts[2] + "' of '" + name.parts[1] + "', and resource '" + resource.name +
                       "', " + with_article(resource.type) + ", does not say it",
                   "Give the resource that field in the site.");
        }
    }

    void take_resources() {
        for (const Requirement& required : runbook_.requires_) {
            const auto bound = draft_.bindings.find(required.name);
            if (bound == draft_.bindings.end()) continue;
            if (required.kind == "backup") {
                take_backup(bound->second);
            } else {
                take_resource(bound->second);
            }
        }
        if (site_.notify)
            for (const std::string& name : site_.notify->to)
                take_resource(name);
    }

    void take_backup(const std::string& name) {
        const BackupSet& set = site_.backups.at(name);
        draft_.backups.emplace(name, set);
        for (const auto* names : {&set.of, &set.to})
            for (const std::string& each : *names)
                take_resource(each);
    }

    // With those that its fields refer to.
    void take_resource(const std::string& name) {
        const auto found = site_.resources.find(name);
        if (found == site_.resources.end() || !draft_.resources.emplace(name, found->second).second) return;
        const ResourceSpec* type = specs_.resource(found->second.type);
        if (type == nullptr) return;
        for (const ParameterSpec& field : type->fields)
            if (const auto value = found->second.fields.find(field.name);
                field.type == ValueType::resource && value != found->second.fields.end() && value->is_string())
                take_resource(value->get<std::string>());
    }

    void take_secrets() {
        std::set<std::string> names;
        for (const auto& [name, resource] : draft_.resources)
            for (const std::string& secret : secrets_in(resource.fields))
                names.insert(secret);
        for (const auto& [name, set] : draft_.backups)
            for (const Json* keys : {&set.encrypt, &set.sign})
                for (const std::string& secret : secrets_in(*keys))
                    names.insert(secret);
        std::vector<std::string> known;
        for (const auto& [name, origin] : site_.secrets)
            known.push_back(name);
        for (const auto& [name, step] : named_secrets_) {
            names.insert(name);
            if (!site_.secrets.contains(name))
                refuse(*step, "the site has no secret '" + name + "'" + did_you_mean(name, known),
                       "Declare it under `secrets:` of the site.");
        }
        for (const std::string& name : names)
            if (const auto found = site_.secrets.find(name); found != site_.secrets.end())
                draft_.secrets.emplace(name, found->second);
    }

    void refuse(const Step& step, std::string message, std::string hint) {
        loaded_.diagnostics.error(step.span, "step " + step.id, std::move(message), std::move(hint));
    }

    const Runbook& runbook_;
    const Site& site_;
    const Specs& specs_;
    Loaded<Draft> loaded_;
    Draft draft_;
    std::map<std::string, const Step*> named_secrets_;  // by expressions
};

Json seconds(const std::optional<Duration>& duration) {
    return duration ? Json(std::chrono::duration<double>(*duration).count()) : Json(nullptr);
}

}  // namespace

Loaded<Draft> draft(const Runbook& runbook, const Site& site, const Json& inputs,
                    const std::map<std::string, std::string>& bind, const Specs& specs, Timestamp now) {
    return Drafting(runbook, site, specs).run(inputs, bind, now);
}

Json static_scope(const Draft& draft) {
    Json resources = Json::object();
    for (const auto& [name, target] : draft.bindings)
        if (const auto found = draft.resources.find(target); found != draft.resources.end())
            resources[name] = found->second.fields;
    Json secrets = Json::object();
    for (const auto& [name, origin] : draft.secrets)
        secrets[name] = {{"secret", name}};
    return {{"inputs", draft.inputs},
            {"resources", resources},
            {"objectives", {{"rto", seconds(draft.objectives.rto)}, {"rpo", seconds(draft.objectives.rpo)}}},
            {"secrets", secrets}};
}

}  // namespace lifeboat
