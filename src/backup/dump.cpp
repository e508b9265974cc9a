#include "backup/dump.h"

#include <algorithm>

#include "base/error.h"
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

ManifestComponent dump_files(const std::string& name, const FilesSource& source, const std::filesystem::path& folder,
                             const Clock& clock, const BackupWork& work) {
    ByteProgress progress(work, "archiving '" + name + "'", std::nullopt);
    WorkControl control = work.control;
    control.moved = [&](std::uint64_t bytes) { progress.add(bytes); };
    make_directories(folder / name);

    ManifestComponent component{.name = name, .kind = ComponentKind::files, .format = "tar"};
    component.consistent_at = clock.now();
    const std::string key = name + "/" + name + ".tar";
    const WrittenTar written = write_tar({NamedTree{.name = "", .root = source.path}}, folder / key, control);
    component.objects = {ManifestObject{.key = key, .size = Bytes{written.file.size}, .sha256 = written.file.sha256}};
    const TreeListing& listing = written.listings.at(0);
    const TreeSize size = size_of(listing);
    component.facts = {{"entries", size.entries}, {"bytes", size.bytes.count}, {"fingerprint", fingerprint(listing)}};
    return component;
}

ManifestComponent dump(const ComponentSource& source, const std::filesystem::path& folder, const Clock& clock,
                       const BackupWork& work) {
    return std::visit(Overloaded{
                          [&](const PostgresSource& from) { return dump_postgres(source.name, from, folder, work); },
                          [&](const SqliteSource& from) { return dump_sqlite(source.name, from, folder, clock, work); },
                          [&](const RedisSource& from) { return dump_redis(source.name, from, folder, clock, work); },
                          [&](const FilesSource& from) { return dump_files(source.name, from, folder, clock, work); },
                      },
                      source.from);
}

}  // namespace lifeboat
