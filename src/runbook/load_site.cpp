#include <algorithm>

#include "base/text.h"
#include "runbook/format.h"
#include "runbook/load.h"
#include "runbook/resources.h"
#include "runbook/tables.h"
#include "runbook/words.h"
#include "runbook/yaml.h"

namespace lifeboat {

namespace {

Scope site_scope(const Node& root) {
    Scope scope{.roots = {"secrets"},
                .inputs = std::nullopt,
                .resources = declared_types(root.at("resources")),
                .resources_are = "a resource of this site",
                .secrets = std::vector<std::string>{}};
    if (const Node* secrets = root.at("secrets"))
        for (const Entry& entry : secrets->entries)
            scope.secrets->push_back(entry.key.text);
    return scope;
}

class SiteReader {
  public:
    SiteReader(SourceFile& file, const Specs& specs, const Node& root)
        : file_(file),
          expressions_(file, specs, site_scope(root)),
          check_(file, specs, expressions_),
          fields_(check_, root, tables_.site, document_) {}

    Site read() {
        ResourceReader reader(check_);
        read_secrets();
        if (const Node* node = fields_.node("backups"))
            site_.backups = reader.read_backups(*node, fields_.at("backups"), tables_);
        if (const Node* node = fields_.node("resources")) site_.resources = reader.read(*node, fields_.at("resources"));
        read_bindings();
        read_notify();
        read_drill_mark();
        site_.state = fields_.text("state");
        return std::move(site_);
    }

  private:
    void read_secrets() {
        const Node* secrets = fields_.node("secrets");
        if (secrets == nullptr) return;
        const Path path = fields_.at("secrets");
        for (const Entry& entry : secrets->entries) {
            const Path here{.parent = &path, .key = entry.key.text};
            if (!is_identifier(entry.key.text))
                file_.error(span_of(file_, entry.key), here.text(),
                            "'" + entry.key.text + "' is no name that expressions can use",
                            "Names begin with a small letter; small letters, digits and '_' follow.");
            if (check_.is(Node::Kind::map, entry.value, here))
                site_.secrets.emplace(entry.key.text, read_secret(entry, here));
        }
    }

    SecretOrigin read_secret(const Entry& entry, const Path& path) {
        const Fields fields(check_, entry.value, tables_.secret, path);
        SecretOrigin origin{.span = span_of(file_, entry.key)};
        const int given = int{fields.has("env")} + int{fields.has("file")} + int{fields.has("command")};
        if (given != 1) {
            check_.wrong(entry.value, path,
                         given == 0 ? "a secret says where it comes from" : "a secret comes from one place",
                         "Give one of `env`, `file` and `command`.");
            return origin;
        }
        if (fields.has("command")) {
            origin.kind = SecretOrigin::Kind::command;
            origin.command = fields.texts("command");
            if (const Node* command = fields.node("command");
                command != nullptr && (origin.command.empty() || trim(origin.command.front()).empty()))
                check_.wrong(*command, fields.at("command"), "'command' is empty",
                             "Give the program and its arguments.");
            return origin;
        }
        const bool variable = fields.has("env");
        origin.kind = variable ? SecretOrigin::Kind::environment : SecretOrigin::Kind::file;
        origin.text = fields.text(variable ? "env" : "file");
        if (variable && fields.node("env") != nullptr && trim(origin.text).empty())
            check_.wrong(*fields.node("env"), fields.at("env"), "'env' is empty", "Name the environment variable.");
        return origin;
    }

    void read_bindings() {
        const Node* bindings = fields_.node("bindings");
        if (bindings == nullptr) return;
        const Path path = fields_.at("bindings");
        const Scope& scope = expressions_.scope();
        std::vector<std::string> targets;
        for (const auto& [name, type] : scope.resources)
            targets.push_back(name);
        if (const Node* sets = fields_.node("backups"))
            for (const Entry& entry : sets->entries)
                targets.push_back(entry.key.text);
        for (const Entry& runbook : bindings->entries) {
            const Path here{.parent = &path, .key = runbook.key.text};
            if (!check_.is(Node::Kind::map, runbook.value, here)) continue;
            auto& bound = site_.bindings[runbook.key.text];
            for (const Entry& entry : runbook.value.entries) {
                const Path place{.parent = &here, .key = entry.key.text};
                const Json target =
                    check_.value(entry.value, {.name = entry.key.text, .required = true}, place, nullptr);
                if (!target.is_string()) continue;
                const auto& name = target.get_ref<const std::string&>();
                if (std::find(targets.begin(), targets.end(), name) == targets.end())
                    check_.wrong(entry.value, place,
                                 "there is no resource or backup set '" + name + "'" + did_you_mean(name, targets));
                bound[entry.key.text] = name;
            }
        }
    }

    void read_notify() {
        const Node* node = fields_.node("notify");
        if (node == nullptr) return;
        const Path path = fields_.at("notify");
        const Fields fields(check_, *node, tables_.notify, path);
        site_.notify = Notify{.on = fields.texts("on"), .to = resource_names(check_, fields, "to")};
    }

    void read_drill_mark() {
        const Node* node = fields_.node("drill");
        if (node == nullptr) return;
        const Path path = fields_.at("drill");
        const Fields fields(check_, *node, tables_.drill_mark, path);
        site_.drill = DrillMark{.drill = fields.text("id"), .nonces = {}};
        const Node* nonces = fields.node("nonces");
        if (nonces == nullptr) return;
        const Path nonces_path = fields.at("nonces");
        for (const Entry& entry : nonces->entries) {
            const Path here{.parent = &nonces_path, .key = entry.key.text};
            const Json nonce = check_.value(entry.value, {.name = entry.key.text, .required = true}, here, nullptr);
            if (!expressions_.scope().resources.contains(entry.key.text))
                file_.error(span_of(file_, entry.key), here.text(),
                            "'" + entry.key.text + "' is not a resource of this site");
            if (nonce.is_string()) site_.drill->nonces.emplace(entry.key.text, nonce.get<std::string>());
        }
    }

    SourceFile& file_;
    const Path document_;
    const SiteTables tables_ = site_tables();
    ExpressionCheck expressions_;
    ValueCheck check_;
    Fields fields_;
    Site site_;
};

}  // namespace

Loaded<Site> load_site(std::string yaml, std::string file, const Specs& specs) {
    SourceFile source(file, std::move(yaml));
    Loaded<Site> loaded;
    const std::optional<Node> root = read_yaml(source);
    if (root && has_format(source, *root, FileKind::site)) {
        Site site = SiteReader(source, specs, *root).read();
        site.file = std::move(file);
        site.source = source.text();
        if (!source.has_errors()) loaded.value = std::move(site);
    }
    loaded.diagnostics = source.take_diagnostics();
    return loaded;
}

}  // namespace lifeboat
