#include "actions/files_family.h"

#include <atomic>

#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "world/files.h"
#include "world/machine.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

// The sandbox of a drill puts the nonce into the folder that it makes for each resource.
void require_sandbox(const ActionWorld& world, const ResolvedResource& resource, const fs::path& path) {
    const std::string nonce = world.resources.nonce_of(resource.name);
    if (nonce.empty()) return;
    fs::path folder = path.parent_path();
    for (int level = 0; level < 4 && folder.has_relative_path(); ++level, folder = folder.parent_path()) {
        const fs::path file = folder / "nonce";
        if (identity_of(file) && trim(read_small_file(file, {4096})) == nonce) return;
    }
    throw Error{ErrorCode::refused, "'" + path.string() + "' does not show the nonce of this drill's sandbox",
                "A drill touches what it has made itself and nothing else."};
}

// A part of a file name: no step id may name another folder.
std::string name_part(std::string text) {
    std::replace(text.begin(), text.end(), '/', '-');
    return text;
}

fs::path resolved(const fs::path& path) {
    std::error_code failed;
    fs::path real = fs::weakly_canonical(path, failed);
    if (failed) throw_errno("resolve '" + path.string() + "'", failed.value());
    if (real.filename().empty()) real = real.parent_path();
    return real;
}

fs::path declared_path(const ResolvedResource& resource) {
    const auto field = resource.fields.find("path");
    if (field == resource.fields.end() || !field->is_string()) {
        throw Error{ErrorCode::invalid_file, "resource '" + resource.name + "' has no path"};
    }
    const fs::path path = field->get<std::string>();
    require_definite_path(path, "the path of '" + resource.name + "'");
    return path;
}

TargetIdentity identity_by_path(const ResolvedResource& resource) {
    TargetIdentity identity;
    identity.resource = resource.name;
    const auto field = resource.fields.find("path");
    const fs::path path =
        field != resource.fields.end() && field->is_string() ? field->get<std::string>() : std::string{};
    fs::path plain = path.lexically_normal();
    if (plain.filename().empty()) plain = plain.parent_path();
    identity.declared = resource.type + " " + host_name() + ":" + plain.string();
    try {
        const fs::path real = resolved(declared_path(resource));
        // By the path alone: a snapshot's or a file's identity changes with our own swap.
        identity.measured = resource.type + " machine " + machine_id() + ":" + real.string();
        identity.facts = Json{{"path", real.string()}, {"machine", machine_id()}};
    } catch (const Error&) {
        identity.measured.reset();
    }
    return identity;
}

ParameterSpec path_field(const std::string& doc) {
    return {.name = "path", .type = ValueType::path, .doc = doc, .required = true};
}

}  // namespace

fs::path place_of_resource(const ActionWorld& world, const ResolvedResource& resource) {
    const fs::path path = resolved(declared_path(resource));
    require_definite_path(path, "the path of '" + resource.name + "'");
    require_sandbox(world, resource, path);
    return path;
}

fs::path staged_beside(const fs::path& live, const Context& context) {
    return live.parent_path() /
           (".lifeboat-" + name_part(context.run_id) + "-" + name_part(context.step_id) + ".staged");
}

fs::path kept_beside(const fs::path& live, const Context& context) {
    const std::string name = live.filename().string() + ".lifeboat-" + name_part(context.run_id);
    const fs::path kept = live.parent_path() / (name + ".old");
    if (!identity_of(kept)) return kept;
    // An earlier step of this run has kept something of the same name.
    return live.parent_path() / (name + "-" + name_part(context.step_id) + ".old");
}

bool has_argument(const Context& context, const char* name) {
    const auto found = context.arguments.find(name);
    return found != context.arguments.end() && !found->is_null();
}

fs::path path_argument(const Context& context, const char* name) {
    if (!has_argument(context, name) || !context.arguments.at(name).is_string()) {
        throw Error{ErrorCode::invalid_file, "'" + std::string{name} + "' is no path"};
    }
    fs::path path = context.arguments.at(name).get<std::string>();
    require_definite_path(path.lexically_normal(), "'" + std::string{name} + "'");
    path = path.lexically_normal();
    return path.filename().empty() ? path.parent_path() : path;
}

WorkControl paced(const Context& context, const std::string& what, std::optional<std::uint64_t> total) {
    const auto done = std::make_shared<std::atomic<std::uint64_t>>(0);
    return {.stop = context.stop,
            .deadline = context.deadline,
            .moved = [&context, what, total, done](std::uint64_t bytes) {
                const std::uint64_t now = *done += bytes;
                context.progress({.what = what, .done = now, .total = total});
            }};
}

Json kept_file(const fs::path& path) {
    return "file:" + path.string();
}

Finding space_finding(const fs::path& folder, std::optional<Bytes> needed, std::optional<Bytes> at_most,
                      const std::string& for_what) {
    const FileSystemSpace space = space_at(folder);
    Finding finding{.subject = "free space on '" + space.mount_point.string() + "'"};
    const std::string free = to_human(space.free) + " free";
    if (!needed && !at_most) {
        finding.kind = FindingKind::unknown;
        finding.message = "not known yet how much is needed " + for_what + ", " + free;
        return finding;
    }
    const Bytes wanted = needed.value_or(at_most.value_or(Bytes{}));
    finding.message = (needed ? "" : "at most ") + to_human(wanted) + " needed " + for_what + ", " + free;
    if (space.free < wanted) {
        finding.kind = needed ? FindingKind::blocker : FindingKind::warning;
        finding.hint = "Free some space there first.";
    }
    return finding;
}

Finding permission_finding(const fs::path& folder) {
    Finding finding{.subject = "permission on '" + folder.string() + "'",
                    .message = "files can be made and moved there"};
    if (::access(folder.c_str(), R_OK | W_OK | X_OK) != 0) {
        finding.kind = FindingKind::blocker;
        finding.message = identity_of(folder) ? "files cannot be made and moved there" : "the directory does not exist";
        finding.hint = "Run as a user who may write there.";
    }
    return finding;
}

ActionList files_actions(const ActionWorld& world) {
    ActionList list;
    list.push_back(files_snapshot(world));
    list.push_back(files_restore(world));
    list.push_back(fault_corrupt_file(world));
    return list;
}

ActionList sqlite_actions(const ActionWorld& world) {
    ActionList list;
    list.push_back(sqlite_check(world));
    list.push_back(sqlite_restore(world));
    return list;
}

std::vector<ResourceSpec> files_resources() {
    ResourceSpec files;
    files.type = "files";
    files.kinds = {"config", "directory"};
    files.summary = "A directory with everything below it, or one file, on this machine";
    files.fields = {path_field("Absolute path of the directory or file.")};
    files.usable_in_sandbox = true;
    files.example = "config: {type: files, path: /etc/shop}\n";
    return {files};
}

std::vector<ResourceSpec> sqlite_resources() {
    ResourceSpec sqlite;
    sqlite.type = "sqlite";
    sqlite.kinds = {"database"};
    sqlite.summary = "An SQLite database on this machine";
    sqlite.fields = {path_field("Absolute path of the database file.")};
    sqlite.usable_in_sandbox = true;
    sqlite.example = "shop: {type: sqlite, path: /var/lib/shop/shop.db}\n";
    return {sqlite};
}

TargetIdentity identify_files(const ActionWorld&, const ResolvedResource& resource) {
    return identity_by_path(resource);
}

TargetIdentity identify_sqlite(const ActionWorld&, const ResolvedResource& resource) {
    return identity_by_path(resource);
}

}  // namespace lifeboat
