#include "runbook/step_names.h"

#include <algorithm>

#include "base/text.h"
#include "runbook/values.h"
#include "runbook/words.h"

namespace lifeboat {

namespace {

const std::vector<std::string>& step_members() {
    static const std::vector<std::string> names{"outputs", "outcome"};
    return names;
}

void append_outputs(std::vector<OutputSpec>& outputs, const Specs& specs, const Deed& deed) {
    if (const auto declared = deed.arguments.find("outputs");
        (deed.action == "run" || deed.action == "lua") && declared != deed.arguments.end()) {
        for (const auto& [name, type] : declared->items())
            outputs.push_back({.name = name,
                               .type = type.is_string()
                                           ? value_type_named(type.get<std::string>()).value_or(ValueType::any)
                                           : ValueType::any});
    } else if (const ActionSpec* spec = specs.action(deed.action)) {
        outputs.insert(outputs.end(), spec->outputs.begin(), spec->outputs.end());
    }
}

class NameCheck {
  public:
    NameCheck(SourceFile& file, const Specs& specs, const std::vector<StepList>& lists)
        : file_(file), specs_(specs), lists_(lists), questions_(lists.size()), asked_by_(lists.size()) {}

    void check(const StepName& name) {
        if (file_.full()) return;
        const std::size_t list = list_of(name);
        if (list == lists_.size()) return refuse(name, "there is no '" + name.root + "' here");
        const auto found = lists_[list].ids.find(name.id);
        if (found == lists_[list].ids.end()) return refuse_unknown(name, list);
        check_order(name, list, found->second);
        check_output(name, lists_[list].steps[found->second]);
    }

    // Answers all questions about who stands behind whom at once.
    void finish() {
        for (std::size_t list = 0; list < lists_.size(); ++list) {
            if (lists_[list].has_cycle || questions_[list].empty()) continue;
            const Needs needs = needs_of(lists_[list].steps);
            const std::vector<bool> answers = stand_behind(needs, stable_order(needs), questions_[list]);
            for (std::size_t i = 0; i < answers.size(); ++i) {
                if (answers[i]) continue;
                const StepName& name = *asked_by_[list][i];
                refuse(name, "step '" + name.id + "' is not before this one",
                       "Add it to `needs`, here or on the way: naming its outputs does not make a step wait.");
            }
        }
    }

  private:
    std::size_t rank(std::string_view root) const {
        const auto found =
            std::find_if(lists_.begin(), lists_.end(), [root](const StepList& each) { return each.root == root; });
        return static_cast<std::size_t>(found - lists_.begin());
    }

    // In expressions the steps under `always` are called `steps` too.
    std::size_t list_of(const StepName& name) const {
        const std::size_t own = rank(name.place.list);
        if (name.root == "steps" && own < lists_.size() && lists_[own].root == "always" &&
            lists_[own].ids.contains(name.id))
            return own;
        return rank(name.root);
    }

    void check_order(const StepName& name, std::size_t list, std::size_t step) {
        const std::size_t here = rank(name.place.list);
        if (here > list) return;
        if (here < list) return refuse(name, "'" + name.root + "' comes after '" + std::string(name.place.list) + "'");
        if (step == name.place.step) {
            if (!name.place.own) refuse(name, "a step cannot name its own outputs: they are known when it has ended");
            return;
        }
        const auto& needs = lists_[list].steps[name.place.step].needs;
        if (std::find(needs.begin(), needs.end(), step) != needs.end()) return;
        questions_[list].push_back({.step = name.place.step, .ancestor = step});
        asked_by_[list].push_back(&name);
    }

    void check_output(const StepName& name, const Step& step) {
        if (name.member.empty() || name.member == "outcome") {
            if (name.wants_resource)
                refuse(name, "'" + name.field + "' wants a resource",
                       "Name an output of the step: " + name.root + "." + name.id + ".outputs.<name>.");
            return;
        }
        if (name.member != "outputs")
            return refuse(name, "a step has no '" + name.member + "'" + did_you_mean(name.member, step_members()),
                          "It has `outputs` and `outcome`: " + name.root + "." + name.id + ".outputs.<name>.");
        std::vector<OutputSpec> outputs;
        append_outputs(outputs, specs_, step.deed);
        if (step.fallback) append_outputs(outputs, specs_, *step.fallback);
        if (step.deed.action.empty()) return;  // reported where it stands
        std::vector<std::string> known;
        bool found = name.output.empty();
        for (const OutputSpec& output : outputs) {
            known.push_back(output.name);
            if (output.name != name.output && !name.output.empty()) continue;
            found = true;
            if (output.secret && !name.may_be_secret)
                return refuse(name, "output '" + output.name + "' is a secret, and '" + name.field + "' takes none");
            if (name.wants_resource && !name.output.empty() && output.type != ValueType::resource &&
                output.type != ValueType::any)
                return refuse(name, "'" + name.field + "' wants a resource, and output '" + output.name + "' of '" +
                                        step.deed.action + "' is " + std::string(described(output.type)));
        }
        if (!found)
            refuse(name,
                   "'" + step.deed.action + "' has no output '" + name.output + "'" + did_you_mean(name.output, known),
                   known.empty() ? "It has none." : "It has " + join(known, ", ") + ".");
    }

    void refuse_unknown(const StepName& name, std::size_t list) {
        const std::size_t always = rank("always");
        if (name.root == "steps" && always < lists_.size() && lists_[always].ids.contains(name.id))
            return refuse(name, "step '" + name.id + "' stands under `always`: it is done when the verdict is final");
        std::vector<std::string> known;
        for (const auto& [id, step] : lists_[list].ids)
            known.push_back(id);
        const std::string where = name.root == "steps" ? "" : " under `" + name.root + "`";
        refuse(name, "there is no step '" + name.id + "'" + where + did_you_mean(name.id, known));
    }

    void refuse(const StepName& name, std::string message, std::string hint = {}) {
        file_.error(name.span, name.path, std::move(message), std::move(hint));
    }

    SourceFile& file_;
    const Specs& specs_;
    const std::vector<StepList>& lists_;
    std::vector<std::vector<AncestorQuestion>> questions_;  // of each list
    std::vector<std::vector<const StepName*>> asked_by_;    // likewise
};

}  // namespace

Needs needs_of(const std::vector<Step>& steps) {
    Needs needs;
    needs.reserve(steps.size());
    for (const Step& step : steps)
        needs.push_back(step.needs);
    return needs;
}

void check_step_names(SourceFile& file, const Specs& specs, const std::vector<StepList>& lists,
                      const std::vector<StepName>& names) {
    NameCheck check(file, specs, lists);
    for (const StepName& name : names)
        check.check(name);
    check.finish();
}

}  // namespace lifeboat
