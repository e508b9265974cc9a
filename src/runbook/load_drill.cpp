#include <filesystem>

#include "runbook/format.h"
#include "runbook/load.h"
#include "runbook/resources.h"
#include "runbook/steps.h"
#include "runbook/words.h"
#include "runbook/yaml.h"

namespace lifeboat {

namespace {

// What the fields of the sandbox may name: each other.
Scope sandbox_scope(const Node& root) {
    return {.roots = {"resources"},
            .inputs = std::nullopt,
            .resources = declared_types(root.at("sandbox")),
            .resources_are = "in this drill's sandbox",
            .secrets = std::vector<std::string>{}};
}

class DrillReader {
  public:
    DrillReader(SourceFile& file, const Specs& specs, const FileReader& scripts, const Node& root)
        : file_(file),
          specs_(specs),
          scripts_(scripts),
          expressions_(file, specs, sandbox_scope(root)),
          check_(file, specs, expressions_),
          fields_(check_, root, tables_.drill, document_) {}

    Drill read(const std::string& file) {
        if (const std::string path = fields_.text("runbook"); !path.empty())
            drill_.runbook_path = (std::filesystem::path(file).parent_path() / path).lexically_normal().string();
        ResourceReader reader(check_);
        if (const Node* node = fields_.node("sandbox"))
            drill_.sandbox = reader.read_sandbox(*node, fields_.at("sandbox"), tables_.sandbox);
        normalise_versions();
        if (const Node* node = fields_.node("backups"))
            drill_.backups = reader.read_backups(*node, fields_.at("backups"), site_tables());
        refuse_shared_names();
        if (const Json inputs = fields_.value("inputs"); inputs.is_object()) drill_.inputs = inputs;
        read_never_touch();
        read_steps();
        for (const std::string& name : fields_.texts("sweep"))
            if (const auto sweep = sweep_named(name)) drill_.sweep.push_back(*sweep);
        return std::move(drill_);
    }

  private:
    // `version: 15` and `version: "15"` mean the same.
    void normalise_versions() {
        for (auto& [name, resource] : drill_.sandbox) {
            const auto version = resource.fields.find("version");
            if (version == resource.fields.end() || version->is_string()) continue;
            const Node& written = *fields_.node("sandbox")->at(name)->at("version");
            const Path sandbox = fields_.at("sandbox");
            const Path path{.parent = &sandbox, .key = name};
            if (!version->is_number())
                check_.wrong(written, {.parent = &path, .key = "version"},
                             "'version' wants text, not " + std::string(described(written.kind)));
            *version = written.text;
        }
    }

    // Steps name both kinds in the same way.
    void refuse_shared_names() {
        const Node* backups = fields_.node("backups");
        if (backups == nullptr) return;
        const Path path = fields_.at("backups");
        for (const Entry& entry : backups->entries)
            if (drill_.sandbox.contains(entry.key.text))
                file_.error(span_of(file_, entry.key), Path{.parent = &path, .key = entry.key.text}.text(),
                            "'" + entry.key.text + "' is a resource of the sandbox already",
                            "The steps name resources and backup sets in the same way: call one of them otherwise.");
    }

    void read_never_touch() {
        const Node* node = fields_.node("never_touch");
        if (node == nullptr) return;
        const Path path = fields_.at("never_touch");
        const Fields fields(check_, *node, tables_.never_touch, path);
        drill_.never_touch_hosts = fields.texts("hosts");
    }

    Scope scope() const {
        Scope scope{.roots = {"disaster", "inputs", "objectives", "observe", "resources", "run", "setup"},
                    .inputs = std::nullopt,
                    .resources = expressions_.scope().resources,
                    .resources_are = "in this drill's sandbox",
                    .secrets = std::vector<std::string>{}};
        for (const auto& [name, set] : drill_.backups)
            scope.resources.emplace(name, "backup");
        return scope;
    }

    void read_steps() {
        ExpressionCheck expressions(file_, specs_, scope());
        ValueCheck check(file_, specs_, expressions);
        StepReader steps(check, scripts_, true);
        for (const char* root : {"setup", "disaster", "observe"})
            if (const Node* list = fields_.node(root)) steps.read(*list, root, fields_.at(root));
        read_expectations(check);
        steps.finish();
        drill_.setup = steps.take("setup");
        drill_.disaster = steps.take("disaster");
        drill_.observe = steps.take("observe");
        drill_.scripts = steps.take_scripts();
    }

    void read_expectations(ValueCheck& check) {
        const Node* list = fields_.node("expect");
        if (list == nullptr) return;
        const Path path = fields_.at("expect");
        if (list->items.empty())
            check.wrong(*list, path, "a drill that expects nothing shows nothing",
                        "Add at least `- {that: \"run.verdict == 'recovered'\"}`.");
        for (std::size_t i = 0; i < list->items.size(); ++i) {
            const Path item{.parent = &path, .key = {}, .index = i};
            if (!check.is(Node::Kind::map, list->items[i], item)) continue;
            const Fields fields(check, list->items[i], tables_.expectation, item);
            const Node* that = fields.node("that");
            if (that == nullptr) continue;
            if (!that->is_scalar()) {
                check.wrong(*that, fields.at("that"),
                            "'that' wants an expression, not " + std::string(described(that->kind)));
            } else if (check.expressions().check_condition(*that, fields.at("that"), {.list = "expect"})) {
                drill_.expect.push_back({.that = that->text, .span = span_of(file_, *that)});
            }
        }
    }

    SourceFile& file_;
    const Specs& specs_;
    const FileReader& scripts_;
    const Path document_;
    const DrillTables tables_ = drill_tables();
    ExpressionCheck expressions_;
    ValueCheck check_;
    Fields fields_;
    Drill drill_;
};

}  // namespace

Loaded<Drill> load_drill(std::string yaml, std::string file, const Specs& specs, const FileReader& scripts) {
    SourceFile source(file, std::move(yaml));
    Loaded<Drill> loaded;
    const std::optional<Node> root = read_yaml(source);
    if (root && has_format(source, *root, FileKind::drill)) {
        Drill drill = DrillReader(source, specs, scripts, *root).read(file);
        drill.file = std::move(file);
        drill.source = source.text();
        if (!source.has_errors()) loaded.value = std::move(drill);
    }
    loaded.diagnostics = source.take_diagnostics();
    return loaded;
}

}  // namespace lifeboat
