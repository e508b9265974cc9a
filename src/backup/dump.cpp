#include "backup/dump.h"

#include <algorithm>
#include <map>

#include "backup/ordered_read.h"
#include "base/error.h"
#include "base/sha256.h"
#include "base/text.h"
#include "world/archive.h"
#include "world/files.h"
#include "world/sqlite.h"
#include "world/tree.h"

namespace lifeboat {

namespace {

template <class... Cases>
struct Overloaded : Cases... {
    using Cases::operator()...;
};
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

}  // namespace

std::vector<ManifestObject> hash_objects(const std::filesystem::path& folder, const std::string& name,
                                         const BackupWork& work) {
    std::vector<std::string> keys;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder / name))
        if (entry.is_regular_file()) keys.push_back(entry.path().lexically_relative(folder).generic_string());
    std::sort(keys.begin(), keys.end());

    ByteProgress progress(work, "hashing '" + name + "'", std::nullopt);
    WorkControl control = work.control;
    control.moved = [&](std::uint64_t bytes) { progress.add(bytes); };
    std::vector<ManifestObject> objects;
    for (std::string& key : keys) {
        const HashedFile hashed = hash_file(folder / key, control);
        objects.push_back(ManifestObject{.key = std::move(key), .size = Bytes{hashed.size}, .sha256 = hashed.sha256});
    }
    return objects;
}

ManifestComponent dump_sqlite(const std::string& name, const SqliteSource& source, const std::filesystem::path& folder,
                              const Clock& clock, const BackupWork& work) {
    ByteProgress progress(work, "copying the database '" + name + "'", std::nullopt);
    WorkControl control = work.control;
    control.moved = [&](std::uint64_t bytes) { progress.add(bytes); };
    make_directories(folder / name);

    ManifestComponent component{.name = name, .kind = ComponentKind::sqlite, .format = "database"};
    component.consistent_at = clock.now();
    const std::string key = name + "/" + name + ".db";
    const HashedFile copied = backup_sqlite(source.path, folder / key, work.workspace, control);
    component.objects = {ManifestObject{.key = key, .size = Bytes{copied.size}, .sha256 = copied.sha256}};

    control.moved = {};
    const SqliteDatabase copy = look_at_sqlite(folder / key, work.workspace, Bytes{UINT64_MAX}, control);
    const std::vector<std::string> complaints = copy.integrity_check(control, 1);
    if (!complaints.empty())
        throw Error{
            ErrorCode::corrupt,
            "the database '" + source.path.string() + "' is damaged and so would be its backup: " + complaints.front(),
            "Restore an older backup, or repair the database first."};
    Json rows = Json::object();
    for (const std::string& table : copy.tables(control)) {
        std::string quoted = "\"";
        for (const char byte : table)
            quoted += byte == '"' ? std::string("\"\"") : std::string(1, byte);
        work.progress("counting the rows of '" + table + "'", std::nullopt, std::nullopt);
        rows[table] = copy.value("select count(*) from " + quoted + "\"", Json::array(), control);
    }
    component.facts = {{"rows", std::move(rows)},
                       {"sqlite_version", copy.value("select sqlite_version()")},
                       {"user_version", copy.value("pragma user_version")},
                       {"encoding", copy.value("pragma encoding")}};
    return component;
}

namespace {

// The layer's archive was written below `folder`; its index is now, and both are named after those of the base.
void finish_layers(ManifestComponent& component, const LayerIndex& index, const HashedFile& layer,
                   const Layering& layering, const std::filesystem::path& folder) {
    const std::string key = index_key(component.name, layering.backup);
    const std::string text = index_text(index);
    write_durably(folder / key, text);
    component.format = layers_format;
    component.objects = layered_objects(
        index, layering.base,
        {ManifestObject{
             .key = layer_key(component.name, layering.backup), .size = Bytes{layer.size}, .sha256 = layer.sha256},
         ManifestObject{.key = key, .size = Bytes{text.size()}, .sha256 = sha256_hex(text)}});
}

ArchivedFiles files_of(const LayerBase& base) {
    ArchivedFiles files;
    for (const auto& [path, layered] : base.index)
        if (layered.archived.entry.type == EntryType::file) files.emplace(path, layered.archived);
    return files;
}

}  // namespace

ManifestComponent dump_files(const std::string& name, const FilesSource& source, const std::filesystem::path& folder,
                             const Clock& clock, const BackupWork& work, const std::optional<Layering>& layering) {
    ByteProgress progress(work, "archiving '" + name + "'", std::nullopt);
    WorkControl control = work.control;
    control.moved = [&](std::uint64_t bytes) { progress.add(bytes); };
    make_directories(folder / name);

    ManifestComponent component{.name = name, .kind = ComponentKind::files, .format = "tar"};
    component.consistent_at = clock.now();
    const bool layered = layering && std::filesystem::is_directory(std::filesystem::symlink_status(source.path));
    const ArchivedFiles known = layered && layering->base ? files_of(*layering->base) : ArchivedFiles{};
    std::uint64_t left_out = 0;
    const NamedTree tree{.name = "",
                         .root = source.path,
                         .take =
                             [&](const std::string& path, EntryType type) {
                                 const bool take = !source.exclude.match(path, type == EntryType::directory);
                                 if (!take) ++left_out;
                                 return take;
                             },
                         .elsewhere = &known};
    const std::string key = layered ? layer_key(name, layering->backup) : name + "/" + name + ".tar";
    const WrittenTar written = write_tar({tree}, folder / key, control);
    const ArchivedTree& archived = written.trees.at(0);
    if (layered) {
        LayerIndex index;
        for (const auto& [path, entry] : archived.listing) {
            LayeredEntry& each = index[path];
            each.archived.entry = entry;
            if (entry.type != EntryType::file) continue;
            each.archived.stamp = archived.stamps.at(path);
            each.layer = archived.elsewhere.contains(path) ? layering->base->index.at(path).layer : key;
        }
        finish_layers(component, index, written.file, *layering, folder);
        component.facts["unchanged"] = archived.elsewhere.size();
    } else {
        component.objects = {
            ManifestObject{.key = key, .size = Bytes{written.file.size}, .sha256 = written.file.sha256}};
    }
    const TreeSize size = size_of(archived.listing);
    component.facts["entries"] = size.entries;
    component.facts["bytes"] = size.bytes.count;
    component.facts["fingerprint"] = fingerprint(archived.listing);
    if (left_out > 0) component.facts["left_out"] = left_out;
    return component;
}

namespace {

// What the store holds, by keys. A key that is also a folder of others cannot stand in a tree.
std::map<std::string, StoredObject> objects_of(const ObjectsSource& source, const std::string& name,
                                               std::uint64_t& left_out, const WorkControl& control) {
    std::map<std::string, StoredObject> objects;
    source.store->list(
        ListQuery{},
        [&](std::span<const Listed> page) {
            for (const Listed& line : page) {
                if (source.exclude.match_within(line.object.key))
                    ++left_out;
                else
                    objects.emplace(line.object.key, line.object);
            }
            return true;
        },
        control);
    for (const auto& [key, object] : objects) {
        const auto below = objects.lower_bound(key + "/");
        if (below != objects.end() && below->first.starts_with(key + "/"))
            throw Error{ErrorCode::unsupported,
                        "'" + name + "' has an object '" + printable(key) + "' and others below '" + printable(key) +
                            "/': no tree of files can hold both",
                        "Leave one of them out under 'exclude'."};
    }
    return objects;
}

// Of an object that is unchanged since the base; nullptr where there is no telling.
const LayeredEntry* unchanged_since(const std::optional<Layering>& layering, const StoredObject& object) {
    if (!layering || !layering->base || object.validator.empty()) return nullptr;
    const auto found = layering->base->index.find(object.key);
    if (found == layering->base->index.end()) return nullptr;
    const ArchivedFile& archived = found->second.archived;
    return archived.stamp == object.validator && archived.entry.size == object.size.count ? &found->second : nullptr;
}

}  // namespace

ManifestComponent dump_objects(const std::string& name, const ObjectsSource& source,
                               const std::filesystem::path& folder, const Clock& clock, const BackupWork& work,
                               const std::optional<Layering>& layering) {
    ByteProgress progress(work, "archiving '" + name + "'", std::nullopt);
    WorkControl control = work.control;
    control.moved = [&](std::uint64_t bytes) { progress.add(bytes); };
    WorkControl reading = work.control;
    reading.moved = {};
    make_directories(folder / name);

    ManifestComponent component{.name = name, .kind = ComponentKind::objects, .format = "tar"};
    component.consistent_at = clock.now();
    std::uint64_t left_out = 0;
    const std::map<std::string, StoredObject> objects = objects_of(source, name, left_out, reading);
    const std::string key = layering ? layer_key(name, layering->backup) : name + "/" + name + ".tar";
    LayerIndex index;
    std::vector<TarMember> members;
    std::map<std::string, std::string> stamps;  // of what was read
    for (const auto& [path, listed] : objects) {
        if (const LayeredEntry* known = unchanged_since(layering, listed)) {
            index.emplace(path, *known);
            continue;
        }
        members.push_back({.path = path, .open = [&, path = path]() -> std::optional<OpenedMember> {
                               const auto there = source.store->stat(path, reading);
                               if (!there) return std::nullopt;
                               stamps[path] = there->validator;
                               return OpenedMember{
                                   .size = there->size.count,
                                   .modified = there->modified,
                                   .give = [&, object = *there](const ByteSink& sink) {
                                       if (read_in_order(*source.store, object.key, 0, object.size.count,
                                                         object.validator, sink, reading) == ReadEnd::changed)
                                           throw store_error(ErrorCode::busy, source.store->name(), object.key,
                                                             "it changed while it was read");
                                   }};
                           }});
    }
    const std::uint64_t unchanged = index.size();
    const WrittenMembers written = write_tar_of(members, folder / key, control);
    for (const auto& [path, entry] : written.listing)
        index.emplace(path, LayeredEntry{.archived = {.entry = entry, .stamp = stamps[path]}, .layer = key});
    if (layering) {
        finish_layers(component, index, written.file, *layering, folder);
        component.facts["unchanged"] = unchanged;
    } else {
        component.objects = {
            ManifestObject{.key = key, .size = Bytes{written.file.size}, .sha256 = written.file.sha256}};
    }
    std::uint64_t bytes = 0;
    for (const auto& [path, layered] : index)
        bytes += layered.archived.entry.size;
    component.facts["objects"] = index.size();
    component.facts["bytes"] = bytes;
    if (left_out > 0) component.facts["left_out"] = left_out;
    return component;
}

ManifestComponent dump_output(const std::string& name, const OutputSource& source, const std::filesystem::path& folder,
                              const Clock& clock, const BackupWork& work) {
    make_directories(folder / name);
    const std::string key = name + "/" + name + ".out";
    ManifestComponent component{.name = name, .kind = ComponentKind::output, .format = "raw"};
    component.consistent_at = clock.now();
    Command command = source.command;
    command.output_file = folder / key;
    command.on_error = work.log;
    work.progress("running '" + command.argv.front() + "' for '" + name + "'", std::nullopt, std::nullopt);
    const ChildResult result = work.run(command);
    const std::string program = "'" + command.argv.front() + "', which gives '" + name + "',";
    if (result.exit_code != 0)
        throw Error{ErrorCode::child_failed, program + " ended with exit code " + std::to_string(result.exit_code)};
    component.objects = hash_objects(folder, name, work);
    if (component.objects.empty() || component.objects.front().size.count == 0)
        throw Error{ErrorCode::incomplete, program + " wrote nothing",
                    "What gives nothing today would be restored as nothing tomorrow."};
    return component;
}

ManifestComponent dump(const ComponentSource& source, const std::filesystem::path& folder, const Clock& clock,
                       const BackupWork& work, const std::optional<Layering>& layering) {
    return std::visit(
        Overloaded{
            [&](const PostgresSource& from) { return dump_postgres(source.name, from, folder, work); },
            [&](const SqliteSource& from) { return dump_sqlite(source.name, from, folder, clock, work); },
            [&](const RedisSource& from) { return dump_redis(source.name, from, folder, clock, work); },
            [&](const FilesSource& from) { return dump_files(source.name, from, folder, clock, work, layering); },
            [&](const ObjectsSource& from) { return dump_objects(source.name, from, folder, clock, work, layering); },
            [&](const OutputSource& from) { return dump_output(source.name, from, folder, clock, work); },
        },
        source.from);
}

}  // namespace lifeboat
