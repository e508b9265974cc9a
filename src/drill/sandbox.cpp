#include "drill/sandbox.h"

#include <charconv>
#include <random>

#include <sys/stat.h>
#include <unistd.h>

#include "base/sha256.h"
#include "base/text.h"
#include "drill/leftovers.h"
#include "drill/loopback.h"
#include "drill/yaml_text.h"
#include "script/expression.h"
#include "world/files.h"
#include "world/postgres_programs.h"
#include "world/process.h"
#include "world/scratch.h"
#include "world/sqlite.h"
#include "world/tree.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

std::string random_hex(std::size_t bytes) {
    std::random_device device;
    std::vector<std::uint8_t> random(bytes);
    for (auto& each : random)
        each = static_cast<std::uint8_t>(device());
    return to_hex(random);
}

// `{folder}`, `{drill}` and `{port}` in the texts of a service's definition.
Json with_places(const Json& value, const std::string& folder, const std::string& drill, std::string& port) {
    if (value.is_structured()) {
        Json result = value;
        for (auto& each : result)
            each = with_places(each, folder, drill, port);
        return result;
    }
    if (!value.is_string()) return value;
    std::string text = value.get<std::string>();
    const auto replace = [&text](std::string_view what, const std::string& by) {
        for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
            text.replace(at, what.size(), by);
    };
    if (text.find("{port}") != std::string::npos && port.empty()) port = std::to_string(free_loopback_port());
    replace("{folder}", folder);
    replace("{drill}", drill);
    replace("{port}", port);
    return text;
}

// Arguments and variables are texts, whatever the expression gave.
Json as_words(const Json& value) {
    if (!value.is_structured()) return value.is_string() ? value : Json(to_text(value));
    Json words = value;
    for (auto& each : words)
        each = as_words(each);
    return words;
}

Json backup_yaml(const BackupSet& set) {
    Json yaml{{"to", set.to}};
    if (!set.of.empty()) yaml["of"] = set.of;
    for (const ForeignPattern& each : set.foreign) {
        Json pattern{{"pattern", each.pattern}, {"kind", each.kind}, {"name", each.component}};
        if (each.pattern.find("<time>") != std::string::npos) {
            pattern["time"] = each.time;
            pattern["zone"] = each.zone;
        }
        if (each.optional) pattern["optional"] = true;
        yaml["foreign"].push_back(std::move(pattern));
    }
    if (!set.format.empty()) yaml["format"] = set.format;
    if (!set.retain.is_null()) yaml["retain"] = set.retain;
    if (set.max_age) yaml["max_age"] = to_text(*set.max_age);
    return yaml;
}

std::string text_field(const Resource& resource, const std::string& name, const std::string& otherwise) {
    const auto found = resource.fields.find(name);
    return found != resource.fields.end() && found->is_string() ? found->get<std::string>() : otherwise;
}

int version_of(const Resource& resource) {
    const std::string text = text_field(resource, "version", "0");
    int version = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), version);
    if (problem != std::errc() || end != text.data() + text.size()) {
        throw Error{ErrorCode::invalid_file, "'" + text + "' is no major version of PostgreSQL",
                    "Write it like `version: 15`."};
    }
    return version;
}

// As root the servers run as a user of their own, who has to be able to pass through.
mode_t folder_mode() {
    return geteuid() == 0 ? 0711 : 0700;
}

void make_passable(const fs::path& folder) {
    make_directories(folder, folder_mode());
    if (::chmod(folder.c_str(), folder_mode()) != 0) throw_errno("open '" + folder.string() + "'", errno);
}

}  // namespace

DrillSandbox::DrillSandbox(const Drill& drill, const Runbook& runbook, const fs::path& parent)
    : drill_(drill), runbook_(runbook), id_(random_hex(4)), resources_(drill.sandbox) {
    for (const Requirement& each : runbook.requires_) {
        if (resources_.contains(each.name) || drill.backups.contains(each.name)) continue;
        if (each.kind != "notifier") {
            throw Error{
                ErrorCode::invalid_file,
                "the runbook '" + runbook.name + "' requires '" + each.name + "' (" + each.kind +
                    "), which the sandbox of '" + drill.file + "' does not have",
                "Add it under `sandbox:` or `backups:`; nothing outside of the sandbox binds a name in a drill."};
        }
        resources_[each.name] = {.name = each.name, .type = "outbox"};
    }
    make_directories(parent);
    const fs::path folder = fs::canonical(parent) / (std::string(sandbox_prefix) + id_);
    if (::mkdir(folder.c_str(), 0700) != 0) throw_errno("make the sandbox '" + folder.string() + "'", errno);
    folder_ = folder;
    for (const auto& [name, resource] : resources_)
        nonces_[name] = "drill-" + id_ + "-" + random_hex(12);
    try {
        define_folders();
        write_note(false);
        make_passable(folder_);
        make_passable(folder_ / "resources");
        for (const char* name : {"home", "tmp", "secrets", "state", "work"})
            make_directories(folder_ / name);
    } catch (...) {
        std::error_code ignored;
        fs::remove_all(folder_, ignored);
        over_ = true;
        throw;
    }
}

DrillSandbox::~DrillSandbox() {
    if (over_) return;
    try {
        remove();
    } catch (const std::exception&) {  // the next drill tries again
    }
}

// Everything that can be said before a server runs.
void DrillSandbox::define_folders() {
    for (auto& [name, resource] : resources_) {
        const fs::path folder = folder_of(name);
        Json& fields = resource.fields;
        if (resource.type == "sqlite") fields["path"] = (folder / text_field(resource, "path", name + ".db")).string();
        if (resource.type == "files") fields["path"] = (folder / text_field(resource, "path", name)).string();
        if (resource.type == "outbox")
            fields["path"] = (folder / text_field(resource, "path", "messages.jsonl")).string();
        if (resource.type == "local") fields["path"] = (folder / text_field(resource, "path", "store")).string();
        if (resource.type == "command") {
            fields["pid_file"] = (folder / text_field(resource, "pid_file", name + ".pid")).string();
            fields["log"] = (folder / text_field(resource, "log", name + ".log")).string();
            fields["folder"] = text_field(resource, "folder", "").empty()
                                   ? folder.string()
                                   : (folder / text_field(resource, "folder", "")).string();
        }
    }
}

// What may name other resources, when all of those are known.
void DrillSandbox::define_services() {
    Json scope{{"resources", Json::object()}};
    for (const auto& [name, resource] : resources_) {
        if (resource.type != "command") scope["resources"][name] = resource.fields;
    }
    for (auto& [name, resource] : resources_) {
        if (resource.type != "command") continue;
        std::string port;
        resource.fields = with_places(as_words(expand_all(resource.fields, scope)), folder_of(name),
                                      fs::absolute(drill_.file).parent_path(), port);
    }
}

fs::path DrillSandbox::load_file(const std::string& resource) const {
    const std::string load = text_field(drill_.sandbox.at(resource), "load", "");
    if (load.empty()) return {};
    const fs::path path = fs::absolute(drill_.file).parent_path() / load;
    std::error_code ignored;
    if (!fs::exists(path, ignored)) {
        throw Error{ErrorCode::invalid_file,
                    "'" + path.string() + "', which '" + resource + "' is loaded from, does not exist",
                    "The path is taken from the folder of the drill."};
    }
    return path.lexically_normal();
}

void DrillSandbox::make(const std::stop_token& stop, const std::function<void(const std::string&)>& say) {
    for (auto& [name, resource] : resources_) {
        const fs::path folder = folder_of(name);
        make_passable(folder);
        if (resource.type == "postgres") {
            say("making a PostgreSQL server for '" + name + "'");
            make_postgres(resource, stop);
        } else if (resource.type == "sqlite") {
            make_sqlite(resource);
        } else if (resource.type == "files") {
            make_files(resource);
        } else if (resource.type == "local") {
            make_directories(text_field(resource, "path", ""));
        }
        write_durably(folder / "nonce", nonces_.at(name) + "\n", 0644);
    }
    define_services();
    for (auto& [name, resource] : resources_) {
        resource.fields.erase("load");
        resource.fields.erase("version");
    }
    write_note(false);
    write_durably(site_file(), site_text(), 0600);
}

void DrillSandbox::make_postgres(Resource& resource, const std::stop_token& stop) {
    const std::string secret = "password_" + std::to_string(password_files_.size() + 1);
    const Secret password(random_hex(16));
    password_files_[resource.name] = secret;
    write_durably(folder_ / "secrets" / secret, password.reveal(), 0600);
    const ScratchPostgres server = start_scratch_postgres({.folder = folder_of(resource.name),
                                                           .nonce = nonces_.at(resource.name),
                                                           .version = version_of(resource),
                                                           .password = password,
                                                           .settings = {}},
                                                          {.stop = stop});
    resource.fields["host"] = server.host;
    resource.fields["port"] = server.port;
    resource.fields["user"] = server.user;
    resource.fields["password"] = "${{ secrets." + secret + " }}";
    resource.fields["database"] = text_field(resource, "database", resource.name);
    load_postgres(resource, stop);
}

void DrillSandbox::load_postgres(const Resource& resource, const std::stop_token& stop) {
    const std::string database = text_field(resource, "database", resource.name);
    PostgresConnection connection(postgres(resource.name, "postgres"), {.stop = stop});
    if (connection.value("show cluster_name") != nonces_.at(resource.name)) {
        throw Error{ErrorCode::refused, "the server of '" + resource.name + "' does not show the sandbox's nonce"};
    }
    if (!connection.value("select 1 from pg_database where datname = $1", {database}))
        connection.execute("create database " + quote_identifier(database));
    const fs::path file = load_file(resource.name);
    if (file.empty()) return;
    const PostgresLogin login(postgres(resource.name, database), folder_ / "work");
    ChildControl control;
    control.stop = stop;
    try {
        run_child_checked(login.command(find_postgres_program("psql", connection.server_major()),
                                        {"-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", file.string()}),
                          control);
    } catch (Error& error) {
        throw error.during("while loading '" + file.string() + "' into '" + resource.name + "'");
    }
}

void DrillSandbox::make_sqlite(const Resource& resource) {
    SqliteDatabase database = SqliteDatabase::create(text_field(resource, "path", ""));
    const fs::path file = load_file(resource.name);
    if (file.empty()) return;
    try {
        database.execute(read_small_file(file, Bytes{256u << 20}));
    } catch (Error& error) {
        throw error.during("while loading '" + file.string() + "' into '" + resource.name + "'");
    }
}

void DrillSandbox::make_files(const Resource& resource) {
    const fs::path path = text_field(resource, "path", "");
    const fs::path from = load_file(resource.name);
    if (from.empty()) {
        make_directories(path);
    } else {
        make_directories(path.parent_path());
        copy_tree(from, path);
    }
}

PostgresTarget DrillSandbox::postgres(const std::string& resource, const std::string& database) const {
    const Resource& found = resources_.at(resource);
    PostgresTarget target;
    target.host = text_field(found, "host", "127.0.0.1");
    target.port = found.fields.value("port", 0);
    target.user = text_field(found, "user", "postgres");
    target.password = Secret(read_small_file(folder_ / "secrets" / password_files_.at(resource)));
    target.database = database;
    target.application_name = "lifeboat drill";
    return target;
}

std::map<std::string, fs::path> DrillSandbox::pid_files() const {
    std::map<std::string, fs::path> files;
    for (const auto& [name, resource] : resources_) {
        const std::string file = resource.type == "command" ? text_field(resource, "pid_file", "") : "";
        if (!file.empty()) files[name] = file;
    }
    return files;
}

std::vector<Requirement> DrillSandbox::requirements() const {
    std::vector<Requirement> all;
    for (const auto& [name, resource] : resources_)
        all.push_back({.name = name, .kind = resource.type, .span = {}});
    for (const auto& [name, set] : drill_.backups)
        all.push_back({.name = name, .kind = "backup", .span = {}});
    return all;
}

std::string DrillSandbox::site_text() const {
    Json resources = Json::object();
    for (const auto& [name, resource] : resources_) {
        Json& yaml = resources[name] = {{"type", resource.type}};
        for (const auto& [field, value] : resource.fields.items())
            if (!value.is_null()) yaml[field] = value;
    }
    Json backups = Json::object();
    for (const auto& [name, set] : drill_.backups)
        backups[name] = backup_yaml(set);
    Json bound = Json::object();
    for (const Requirement& each : runbook_.requires_)
        bound[each.name] = each.name;
    Json secrets = Json::object();
    for (const auto& [resource, secret] : password_files_)
        secrets[secret] = {{"file", (folder_ / "secrets" / secret).string()}};
    std::vector<std::pair<std::string, Json>> document{{"lifeboat", "site/v1"}, {"state", state().string()}};
    document.emplace_back("drill", Json{{"id", id_}, {"nonces", nonces_}});
    document.emplace_back("resources", resources);
    if (!backups.empty()) document.emplace_back("backups", backups);
    if (!bound.empty()) document.emplace_back("bindings", Json{{runbook_.name, bound}});
    if (!secrets.empty()) document.emplace_back("secrets", secrets);
    return yaml_text(document);
}

void DrillSandbox::write_note(bool kept) const {
    const ChildIdentity runner = this_process();
    Json services = Json::array();
    for (const auto& [name, file] : pid_files())
        services.push_back(file.string());
    const Json note{{"v", 1},
                    {"id", id_},
                    {"drill", fs::absolute(drill_.file).string()},
                    {"kept", kept},
                    {"runner", {{"pid", runner.pid}, {"start_ticks", runner.start_ticks}, {"boot_id", runner.boot_id}}},
                    {"services", services}};
    write_durably(folder_ / "drill.json", to_pretty_text(note) + "\n");
}

std::vector<std::string> DrillSandbox::remove() {
    std::vector<std::string> left = remove_sandbox(folder_);
    over_ = left.empty();
    return left;
}

void DrillSandbox::keep() {
    write_note(true);
    over_ = true;
}

}  // namespace lifeboat
