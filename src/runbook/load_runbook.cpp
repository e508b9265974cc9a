#include <algorithm>

#include "base/text.h"
#include "runbook/format.h"
#include "runbook/load.h"
#include "runbook/steps.h"
#include "runbook/words.h"
#include "runbook/yaml.h"

namespace lifeboat {

namespace {

class RunbookReader {
  public:
    RunbookReader(SourceFile& file, const Specs& specs, const FileReader& scripts, const Node& root)
        : file_(file),
          specs_(specs),
          scripts_(scripts),
          plain_(file, specs, Scope{}),
          check_(file, specs, plain_),
          fields_(check_, root, tables_.runbook, document_) {}

    Runbook read() {
        runbook_.name = fields_.text("name");
        if (!runbook_.name.empty() && !is_name(runbook_.name))
            check_.wrong(*fields_.node("name"), fields_.at("name"), "'" + runbook_.name + "' is no name for a runbook",
                         "Names are of letters, digits, '-', '_' and '.'.");
        runbook_.summary = fields_.text("summary");
        runbook_.severity = gravity_named(fields_.text("severity")).value_or(Gravity::major);
        read_objectives();
        read_contacts();
        read_requirements();
        read_inputs();
        read_max_parallel();
        read_steps();
        return std::move(runbook_);
    }

  private:
    void read_objectives() {
        const Json objectives = fields_.value("objectives");
        const auto duration = [&objectives](const char* name) -> std::optional<Duration> {
            if (!objectives.is_object() || !objectives.contains(name) || !objectives[name].is_string())
                return std::nullopt;
            return parse_duration(objectives[name].get<std::string>());
        };
        runbook_.objectives = {.rto = duration("rto"), .rpo = duration("rpo")};
    }

    void read_contacts() {
        const Node* contacts = fields_.node("contacts");
        if (contacts == nullptr) return;
        const Path path = fields_.at("contacts");
        for (std::size_t i = 0; i < contacts->items.size(); ++i) {
            const Path item{.parent = &path, .key = {}, .index = i};
            if (!check_.is(Node::Kind::map, contacts->items[i], item)) continue;
            const Fields contact(check_, contacts->items[i], tables_.contact, item);
            runbook_.contacts.push_back({.role = contact.text("role"), .reach = contact.text("reach")});
        }
    }

    void read_requirements() {
        const Node* requirements = fields_.node("requires");
        if (requirements == nullptr) return;
        const Path path = fields_.at("requires");
        std::vector<std::string> kinds = kind_names(specs_);
        kinds.emplace_back("backup");
        for (const Entry& entry : requirements->entries) {
            const Path here{.parent = &path, .key = entry.key.text};
            if (!is_identifier(entry.key.text)) {
                file_.error(span_of(file_, entry.key), here.text(),
                            "'" + entry.key.text + "' is no name that expressions can use",
                            "Names begin with a small letter; small letters, digits and '_' follow.");
                continue;
            }
            const Json kind = check_.value(entry.value, {.name = entry.key.text, .required = true}, here, nullptr);
            if (!kind.is_string()) continue;
            const auto& name = kind.get_ref<const std::string&>();
            if (std::find(kinds.begin(), kinds.end(), name) == kinds.end())
                check_.wrong(entry.value, here,
                             "there is no kind of resource '" + name + "'" + did_you_mean(name, kinds),
                             "It is one of " + join(kinds, ", ") + ".");
            runbook_.requires_.push_back({.name = entry.key.text, .kind = name, .span = span_of(file_, entry.key)});
        }
    }

    void read_inputs() {
        const Node* inputs = fields_.node("inputs");
        if (inputs == nullptr) return;
        const Path path = fields_.at("inputs");
        for (const Entry& entry : inputs->entries) {
            const Path here{.parent = &path, .key = entry.key.text};
            if (!is_identifier(entry.key.text))
                file_.error(span_of(file_, entry.key), here.text(),
                            "'" + entry.key.text + "' is no name that expressions can use",
                            "Names begin with a small letter; small letters, digits and '_' follow.");
            if (!check_.is(Node::Kind::map, entry.value, here)) continue;
            const Fields fields(check_, entry.value, tables_.input, here);
            Input input{.name = entry.key.text,
                        .type = value_type_named(fields.text("type")).value_or(ValueType::text),
                        .default_value = std::nullopt,
                        .doc = fields.text("doc"),
                        .span = span_of(file_, entry.key)};
            if (const Node* value = entry.value.at("default")) {
                const bool now = input.type == ValueType::timestamp && value->text == "now";
                const Json checked =
                    now ? Json("now")
                        : check_.value(*value, {.name = "default", .type = input.type}, fields.at("default"), nullptr);
                if (!checked.is_null()) input.default_value = checked;
            }
            runbook_.inputs.push_back(std::move(input));
        }
    }

    void read_max_parallel() {
        const Json most = fields_.value("max_parallel");
        if (!most.is_number()) return;
        const auto count = most.get<std::int64_t>();
        if (count < 1 || count > 1000)
            check_.wrong(*fields_.node("max_parallel"), fields_.at("max_parallel"),
                         "'max_parallel' has to be from 1 to 1000");
        runbook_.max_parallel = static_cast<int>(std::clamp<std::int64_t>(count, 1, 1000));
    }

    Scope scope() const {
        Scope scope{.roots = {"inputs", "objectives", "resources", "run", "secrets", "steps"},
                    .inputs = std::vector<std::string>{},
                    .resources = {},
                    .secrets = std::nullopt};
        for (const Input& input : runbook_.inputs)
            scope.inputs->push_back(input.name);
        for (const Requirement& each : runbook_.requires_)
            scope.resources.emplace(each.name, each.kind);
        return scope;
    }

    void read_steps() {
        ExpressionCheck expressions(file_, specs_, scope());
        ValueCheck check(file_, specs_, expressions);
        StepReader steps(check, scripts_, false);
        if (const Node* list = fields_.node("steps")) {
            steps.read(*list, "steps", fields_.at("steps"));
            if (list->items.empty())
                check_.wrong(*list, fields_.at("steps"), "there are no steps: nothing would be recovered",
                             "Add at least one step.");
        }
        if (const Node* list = fields_.node("always")) steps.read(*list, "always", fields_.at("always"));
        steps.finish();
        runbook_.steps = steps.take("steps");
        runbook_.always = steps.take("always");
        runbook_.scripts = steps.take_scripts();
        warn_unproven();
    }

    // R9: liveness says nothing about the data.
    void warn_unproven() {
        bool changes = false;
        bool proves = false;
        for (const Step& step : runbook_.steps) {
            changes = changes || step.deed.effect != Effect::read;
            proves =
                proves || step.deed.proves == Proves::data || (step.fallback && step.fallback->proves == Proves::data);
        }
        if (changes && !proves && !file_.has_errors())
            file_.warning(span_of(file_, *fields_.key("steps")), "steps",
                          "no step proves the data: a run can end 'unverified' at best",
                          "Add a check of the data, such as `sql.check`.");
    }

    SourceFile& file_;
    const Specs& specs_;
    const FileReader& scripts_;
    const Path document_;
    const RunbookTables tables_ = runbook_tables();
    ExpressionCheck plain_;
    ValueCheck check_;
    Fields fields_;
    Runbook runbook_;
};

}  // namespace

Loaded<Runbook> load_runbook(std::string yaml, std::string file, const Specs& specs, const FileReader& scripts) {
    SourceFile source(file, std::move(yaml));
    Loaded<Runbook> loaded;
    const std::optional<Node> root = read_yaml(source);
    if (root && has_format(source, *root, FileKind::runbook)) {
        Runbook runbook = RunbookReader(source, specs, scripts, *root).read();
        runbook.file = std::move(file);
        runbook.source = source.text();
        if (!source.has_errors()) loaded.value = std::move(runbook);
    }
    loaded.diagnostics = source.take_diagnostics();
    return loaded;
}

}  // namespace lifeboat
