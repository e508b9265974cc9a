#include "runbook/binding.h"

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "runbook/expressions.h"
#include "runbook/words.h"

namespace lifeboat {

namespace {

template <typename Map>
std::vector<std::string> names_in(const Map& map) {
    std::vector<std::string> names;
    for (const auto& [name, value] : map)
        names.push_back(name);
    return names;
}

class RequirementBinder {
  public:
    RequirementBinder(const Runbook& runbook, const Site& site, const std::map<std::string, std::string>& bind,
                      const Specs& specs, Diagnostics& diagnostics)
        : runbook_(runbook), site_(site), bind_(bind), specs_(specs), diagnostics_(diagnostics) {}

    std::map<std::string, std::string> run() {
        if (site_.drill && !bind_.empty())
            diagnostics_.error({}, "", "a drill binds nothing by hand: only names of its own sandbox count",
                               "Leave out --bind.");
        std::map<std::string, std::string> bindings;
        for (const Requirement& each : runbook_.requires_)
            if (const auto target = target_of(each); target && fits(each, *target))
                bindings.emplace(each.name, *target);
        refuse_unknown();
        return bindings;
    }

  private:
    std::optional<std::string> target_of(const Requirement& required) const {
        if (site_.drill) return required.name;
        if (const auto found = bind_.find(required.name); found != bind_.end()) return found->second;
        if (const auto* bound = bound_by_site())
            if (const auto found = bound->find(required.name); found != bound->end()) return found->second;
        return required.name;
    }

    const std::map<std::string, std::string>* bound_by_site() const {
        const auto found = site_.bindings.find(runbook_.name);
        return found == site_.bindings.end() ? nullptr : &found->second;
    }

    std::string site_name() const {
        if (site_.drill) return "the sandbox";
        return site_.file.empty() ? "no site was found, and the empty one" : "the site '" + site_.file + "'";
    }

    bool fits(const Requirement& required, const std::string& target) {
        const bool wants_backup = required.kind == "backup";
        const bool found = wants_backup ? site_.backups.contains(target) : site_.resources.contains(target);
        if (!found) {
            refuse_missing(required, target);
            return false;
        }
        if (wants_backup) return true;
        const ResourceSpec* type = specs_.resource(site_.resources.at(target).type);
        if (type != nullptr && is_a(*type, required.kind)) return true;
        refuse(required,
               "'" + required.name + "' is bound to '" + target + "', " +
                   with_article(site_.resources.at(target).type) + ", and the runbook requires " + required.kind,
               "Bind it to another with --bind " + required.name + "=<name>, or under `bindings:` of the site.");
        return false;
    }

    void refuse_missing(const Requirement& required, const std::string& target) {
        const std::string what = required.kind == "backup" ? "backup set" : "resource";
        const std::vector<std::string> names =
            required.kind == "backup" ? names_in(site_.backups) : fitting_resources(required.kind);
        const std::string fitting = names.empty() ? "it has none that fits" : "those that fit are " + join(names, ", ");
        std::string message = "'" + required.name + "' is not bound: " + site_name() + " has no " + what + " '" +
                              target + "'" + did_you_mean(target, names);
        refuse(required, std::move(message),
               site_.drill ? "Give the sandbox one of that name."
                           : "Bind it with --bind " + required.name + "=<name>, or under `bindings:` of the site; " +
                                 fitting + ".");
    }

    std::vector<std::string> fitting_resources(const std::string& kind) const {
        std::vector<std::string> names;
        for (const auto& [name, resource] : site_.resources)
            if (const ResourceSpec* type = specs_.resource(resource.type); type != nullptr && is_a(*type, kind))
                names.push_back(name);
        return names;
    }

    void refuse_unknown() {
        std::vector<std::string> required;
        for (const Requirement& each : runbook_.requires_)
            required.push_back(each.name);
        for (const auto& [name, target] : bind_)
            if (std::find(required.begin(), required.end(), name) == required.end())
                diagnostics_.error(
                    {}, "requires",
                    "the runbook requires no '" + name + "', which --bind names" + did_you_mean(name, required));
        if (const auto* bound = bound_by_site(); bound != nullptr && !site_.drill)
            for (const auto& [name, target] : *bound)
                if (std::find(required.begin(), required.end(), name) == required.end())
                    diagnostics_.error({}, "requires",
                                       "the runbook requires no '" + name + "', which `bindings:` of the site names" +
                                           did_you_mean(name, required));
    }

    void refuse(const Requirement& required, std::string message, std::string hint) {
        diagnostics_.error(required.span, "requires." + required.name, std::move(message), std::move(hint));
    }

    const Runbook& runbook_;
    const Site& site_;
    const std::map<std::string, std::string>& bind_;
    const Specs& specs_;
    Diagnostics& diagnostics_;
};

}  // namespace

std::map<std::string, std::string> bind_requirements(const Runbook& runbook, const Site& site,
                                                     const std::map<std::string, std::string>& bind, const Specs& specs,
                                                     Diagnostics& diagnostics) {
    return RequirementBinder(runbook, site, bind, specs, diagnostics).run();
}

ArgumentBinder::ArgumentBinder(const Runbook& runbook, const std::map<std::string, std::string>& bindings,
                               const Specs& specs)
    : bindings_(bindings), specs_(specs) {
    for (const Requirement& each : runbook.requires_)
        if (each.kind == "backup") backups_.insert(each.name);
}

void ArgumentBinder::bind(Deed& deed) {
    if (deed.action == "run" || deed.action == "lua") return;
    if (const ActionSpec* spec = specs_.action(deed.action))
        bind_fields(deed.arguments, spec->parameters, deed.effect != Effect::read);
}

void ArgumentBinder::bind_fields(Json& map, const std::vector<ParameterSpec>& fields, bool changes) {
    for (const ParameterSpec& field : fields)
        if (const auto found = map.find(field.name); found != map.end()) bind(*found, field, changes);
}

void ArgumentBinder::bind(Json& value, const ParameterSpec& parameter, bool changes) {
    if (value.is_array()) {
        ParameterSpec element = parameter;
        element.type = parameter.element;
        for (Json& item : value) {
            if (item.is_object() && !parameter.fields.empty()) {
                bind_fields(item, parameter.fields, changes);
            } else if (element.type == ValueType::resource) {
                bind(item, element, changes);
            }
        }
        return;
    }
    if (value.is_object() && parameter.type == ValueType::map) return bind_fields(value, parameter.fields, changes);
    if (parameter.type != ValueType::resource) return;

    const bool derived = value.is_object() && value.contains("of");
    const Json& name = derived ? value["of"] : value;
    if (!name.is_string() || has_expression(name.get_ref<const std::string&>())) return;
    const auto found = bindings_.find(name.get<std::string>());
    if (found == bindings_.end()) return;  // reported as unbound
    if (backups_.contains(found->first)) {
        value = {{"backup", found->second}};
        return;
    }
    if (derived) {
        value["of"] = found->second;
    } else {
        value = {{"of", found->second}};
    }
    if (changes && parameter.target) targets_.insert(found->second);
}

}  // namespace lifeboat
