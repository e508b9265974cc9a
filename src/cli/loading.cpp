#include "cli/loading.h"

#include <algorithm>

#include "base/text.h"
#include "cli/places.h"

namespace fs = std::filesystem;

namespace lifeboat {

namespace {

// `lua:` files stand below scripts/ beside the runbook, or beside the folder that the runbook is in.
FileReader scripts_for(const fs::path& file) {
    std::error_code ignored;
    const fs::path folder = fs::absolute(file, ignored).parent_path();
    return [folder](const std::string& path) -> std::optional<std::string> {
        for (const fs::path& base : {folder, folder.parent_path()}) {
            std::error_code problem;
            for (const fs::path& candidate : {base / "scripts" / path, base / path}) {
                if (fs::is_regular_file(candidate, problem)) return read_text_file(candidate);
            }
        }
        return std::nullopt;
    };
}

// Relative paths of a site are meant from the folder of its file, wherever lifeboat is called.
void anchor_paths(Site& site, const Specs& specs) {
    std::error_code ignored;
    const fs::path folder = fs::absolute(site.file, ignored).parent_path();
    const auto anchored = [&folder](const std::string& path) { return (folder / path).lexically_normal().string(); };
    for (auto& [name, resource] : site.resources) {
        const ResourceSpec* spec = specs.resource(resource.type);
        if (spec == nullptr) continue;
        for (const ParameterSpec& field : spec->fields) {
            if (field.type != ValueType::path || !resource.fields.contains(field.name)) continue;
            Json& value = resource.fields[field.name];
            if (value.is_string() && !value.get_ref<const std::string&>().empty())
                value = anchored(value.get<std::string>());
        }
    }
    for (auto& [name, origin] : site.secrets) {
        if (origin.kind == SecretOrigin::Kind::file) origin.text = anchored(origin.text);
    }
}

Json to_json(const Diagnostics& diagnostics) {
    Json list = Json::array();
    for (const Diagnostic& one : diagnostics.all()) {
        Json record{{"file", diagnostics.file()},
                    {"line", one.span.at.line},
                    {"column", one.span.at.column},
                    {"severity", one.severity == Severity::error ? "error" : "warning"},
                    {"message", one.message}};
        if (!one.path.empty()) record["path"] = one.path;
        if (!one.hint.empty()) record["hint"] = one.hint;
        list.push_back(std::move(record));
    }
    return list;
}

}  // namespace

FilesRefused::FilesRefused(std::size_t errors, std::string rendered_text, Json diagnostics)
    : Error(ErrorCode::invalid_file, counted(errors, "error") + " found", ""), rendered(std::move(rendered_text)) {
    details = Json{{"diagnostics", std::move(diagnostics)}};
}

void Loading::keep(Diagnostics diagnostics) {
    if (!diagnostics.all().empty()) found_.push_back(std::move(diagnostics));
}

Site Loading::site(const Session& session) {
    site_file_ = find_site(session.site);
    if (!site_file_) return {};
    auto loaded = load_site(read_text_file(*site_file_), site_file_->string(), specs_);
    keep(std::move(loaded.diagnostics));
    if (!loaded.value) return Site{.file = site_file_->string()};
    anchor_paths(*loaded.value, specs_);
    // what belongs to drills only may stand in the runbooks of a sandbox: a drill's own steps are carried out there
    if (loaded.value->drill)
        for (ActionSpec& action : specs_.actions)
            action.drill_only = false;
    return std::move(*loaded.value);
}

std::optional<Runbook> Loading::runbook(const fs::path& path) {
    auto loaded = load_runbook(read_text_file(path), path.string(), specs_, scripts_for(path));
    keep(std::move(loaded.diagnostics));
    return std::move(loaded.value);
}

std::optional<Drill> Loading::drill(const fs::path& path) {
    auto loaded = load_drill(read_text_file(path), path.string(), specs_, scripts_for(path));
    keep(std::move(loaded.diagnostics));
    return std::move(loaded.value);
}

std::optional<Draft> Loading::draft(const Runbook& runbook, const Site& site, const Call& call, Timestamp now) {
    Json inputs = Json::object();
    for (const auto& [name, value] : call.pairs("--set"))
        inputs[name] = value;
    auto loaded = lifeboat::draft(runbook, site, inputs, call.pairs("--bind"), specs_, now);
    keep(std::move(loaded.diagnostics));
    std::error_code ignored;
    if (loaded.value) loaded.value->runbook_file = fs::absolute(runbook.file, ignored).lexically_normal().string();
    return std::move(loaded.value);
}

void Loading::any(const fs::path& path) {
    std::string text = read_text_file(path);
    const auto kind = kind_of(text);
    if (!kind) {
        Diagnostics diagnostics(path.string(), text);
        const std::size_t visible = text.find_first_not_of(" \t\r\n");
        diagnostics.error({}, "",
                          visible == std::string::npos ? "the file is empty" : "the file does not say what it is",
                          "The first line is `lifeboat: site/v1`, `lifeboat: runbook/v1` or `lifeboat: drill/v1`.");
        keep(std::move(diagnostics));
        return;
    }
    switch (*kind) {
        case FileKind::site:
            keep(load_site(std::move(text), path.string(), specs_).diagnostics);
            return;
        case FileKind::runbook:
            keep(load_runbook(std::move(text), path.string(), specs_, scripts_for(path)).diagnostics);
            return;
        case FileKind::drill:
            keep(load_drill(std::move(text), path.string(), specs_, scripts_for(path)).diagnostics);
            return;
    }
}

bool Loading::has_errors() const {
    return std::any_of(found_.begin(), found_.end(), [](const Diagnostics& one) { return one.has_errors(); });
}

void Loading::settle(Session& session) {
    std::string rendered;
    std::size_t errors = 0;
    Json records = Json::array();
    for (const Diagnostics& diagnostics : found_) {
        if (!rendered.empty()) rendered += "\n";
        rendered += diagnostics.render();
        errors += static_cast<std::size_t>(
            std::count_if(diagnostics.all().begin(), diagnostics.all().end(),
                          [](const Diagnostic& one) { return one.severity == Severity::error; }));
        const Json list = to_json(diagnostics);
        records.insert(records.end(), list.begin(), list.end());
    }
    found_.clear();
    if (errors > 0) throw FilesRefused(errors, std::move(rendered), std::move(records));
    if (!rendered.empty()) session.terminal.talk(rendered);
}

std::vector<std::string> changed_sources(const Draft& draft, const std::optional<fs::path>& site_file) {
    std::error_code ignored;
    std::optional<fs::path> runbook;
    if (!draft.runbook_file.empty() && fs::is_regular_file(draft.runbook_file, ignored)) runbook = draft.runbook_file;
    if (!runbook) runbook = look_for_runbook(draft.runbook, site_file);
    std::vector<std::string> changed;
    if (!runbook) return changed;
    if (read_text_file(*runbook) != draft.runbook_source) changed.push_back("runbook '" + runbook->string() + "'");
    const FileReader scripts = scripts_for(*runbook);
    for (const auto& [name, text] : draft.scripts) {
        if (scripts(name) != text) changed.push_back("script '" + name + "'");
    }
    return changed;
}

}  // namespace lifeboat
