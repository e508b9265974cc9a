#include "drill/snapshot.h"

#include "base/text.h"
#include "world/files.h"
#include "world/process.h"
#include "world/scratch.h"
#include "world/tree.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

constexpr Duration grace = std::chrono::seconds(5);

// cp shares the blocks where the file system can.
void copy(const fs::path& from, const fs::path& to, const std::stop_token& stop) {
    Command command;
    command.argv = {"cp", "-a", "--reflink=auto", "--", from.string(), to.string()};
    command.environment = clean_environment();
    ChildControl control;
    control.stop = stop;
    run_child_checked(command, control);
}

void clear_away(const fs::path& path) {
    std::error_code failure;
    fs::remove_all(path, failure);
    if (failure) throw_errno("remove '" + path.string() + "'", failure.value());
}

bool is_running(const fs::path& pid_file) {
    const auto daemon = read_pid_file(pid_file);
    return daemon && is_alive(*daemon);
}

bool has_own_files(const Resource& resource) {
    return resource.type == "sqlite" || resource.type == "files" || resource.type == "local";
}

Json databases_of(const DrillSandbox& sandbox, const std::string& name) {
    PostgresConnection connection(sandbox.postgres(name, "postgres"));
    const PostgresRows rows = connection.query(
        "select d.datname, d.oid, r.rolname, d.datallowconn, d.datconnlimit, d.datistemplate, d.datacl,"
        " (select array_agg(s.setrole::text || ' ' || s.setconfig::text order by s.setrole) from pg_db_role_setting s "
        "where s.setdatabase = d.oid)"
        " from pg_database d join pg_roles r on r.oid = d.datdba order by 1");
    Json databases = Json::object();
    for (const auto& row : rows.rows) {
        Json facts = Json::object();
        for (std::size_t i = 1; i < row.size(); ++i)
            facts[rows.columns[i]] = row[i] ? Json(*row[i]) : Json(nullptr);
        databases[row[0].value_or("")] = facts;
    }
    return databases;
}

Json entry_facts(const TreeEntry& entry) {
    switch (entry.type) {
        case EntryType::file:
            return {{"size", entry.size},
                    {"sha256", entry.sha256},
                    {"mode", entry.mode},
                    {"owner", entry.owner},
                    {"group", entry.group}};
        case EntryType::directory:
            return {{"directory", true}, {"mode", entry.mode}, {"owner", entry.owner}, {"group", entry.group}};
        case EntryType::link:
            return {{"link", entry.target}};
        case EntryType::other:
            return "special";
    }
    return nullptr;
}

Json tree_of(const fs::path& folder) {
    Json tree = Json::object();
    for (const auto& [path, entry] : list_tree(folder))
        tree[path] = entry_facts(entry);
    return tree;
}

}  // namespace

SandboxSnapshot::SandboxSnapshot(const DrillSandbox& sandbox, const std::stop_token& stop)
    : sandbox_(sandbox), stop_(stop), place_(sandbox.folder() / "snapshot") {
    for (const auto& [name, pid_file] : sandbox.pid_files()) {
        if (is_running(pid_file)) services_.insert(name);
        stop_daemon(pid_file, grace);
    }
    make_directories(place_);
    for (const auto& [name, resource] : sandbox.resources()) {
        const fs::path folder = sandbox.folder_of(name);
        if (has_own_files(resource)) copy(folder, place_ / name, stop);
        if (resource.type != "postgres") continue;
        stop_scratch_postgres(folder);
        copy(scratch_postgres_files(folder), place_ / name, stop);
        restart_scratch_postgres(folder, {.stop = stop});
    }
    copy(sandbox.state(), place_ / ".state", stop);
}

void SandboxSnapshot::restore() const {
    for (const auto& [name, pid_file] : sandbox_.pid_files())
        stop_daemon(pid_file, grace);
    for (const auto& [name, resource] : sandbox_.resources()) {
        const fs::path folder = sandbox_.folder_of(name);
        if (has_own_files(resource)) {
            clear_away(folder);
            copy(place_ / name, folder, stop_);
        }
        if (resource.type != "postgres") continue;
        stop_scratch_postgres(folder);
        const fs::path files = scratch_postgres_files(folder);
        clear_away(files);
        copy(place_ / name, files, stop_);
        restart_scratch_postgres(folder, {.stop = stop_});
    }
    clear_away(sandbox_.state());
    copy(place_ / ".state", sandbox_.state(), stop_);
}

Json condition_of(const DrillSandbox& sandbox) {
    Json condition = Json::object();
    const auto pid_files = sandbox.pid_files();
    for (const auto& [name, resource] : sandbox.resources()) {
        if (resource.type == "postgres") condition[name] = databases_of(sandbox, name);
        if (resource.type == "sqlite" || resource.type == "files") condition[name] = tree_of(sandbox.folder_of(name));
        if (resource.type == "command") condition[name] = {{"running", is_running(pid_files.at(name))}};
    }
    return condition;
}

std::vector<std::string> changes_between(const Json& before, const Json& after) {
    std::vector<std::string> changes;
    for (const auto& [resource, then] : before.items()) {
        const Json& now = after.value(resource, Json::object());
        for (const auto& [part, facts] : then.items()) {
            if (!now.contains(part)) {
                changes.push_back("'" + resource + "': '" + part + "' is gone");
            } else if (now[part] != facts) {
                changes.push_back("'" + resource + "': '" + part + "' was " + to_text(facts) + " and is " +
                                  to_text(now[part]));
            }
        }
        for (const auto& [part, facts] : now.items())
            if (!then.contains(part)) changes.push_back("'" + resource + "': '" + part + "' is new: " + to_text(facts));
    }
    return changes;
}

}  // namespace lifeboat
