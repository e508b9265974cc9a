// From a source to the files of one component, made below a folder of this run, with what was measured at the same
// instant. `consistent_at` is conservative: everything that was committed before it is in the dump.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "backup/layers.h"
#include "backup/manifest.h"
#include "backup/work.h"
#include "base/path_pattern.h"
#include "stores/store.h"
#include "world/postgres.h"
#include "world/process.h"
#include "world/redis.h"

namespace lifeboat {

struct PostgresSource {
    PostgresTarget target;
    std::function<PostgresConnection()> connect;   // to the same database; proves what it has to prove
    std::string format = "custom";                 // custom, directory, tar, plain
    unsigned jobs = 0;                             // of format directory; 0: as many as there are processors, up to 4
    std::vector<std::string> schemas = {};         // by their exact names; none: all
    std::vector<std::string> exclude_tables = {};  // "<schema>.<table>", by their exact names
};
struct SqliteSource {
    std::filesystem::path path;
};
// A snapshot as replicas get it: no access to the server's disk is needed, and where the server keeps an append-only
// file everything in that is in the snapshot too.
struct RedisSource {
    std::function<RedisConnection(const WorkControl& control)> connect;
};
struct FilesSource {
    std::filesystem::path path;
    PathPatterns exclude = {};
};
// Everything that a store holds. Objects that are removed meanwhile are left out; one that changes while it is read is
// Error{busy}.
struct ObjectsSource {
    std::shared_ptr<Store> store;
    PathPatterns exclude = {};
};
// What a program writes to its standard output. Nothing at all, or an exit code other than 0, is an error.
struct OutputSource {
    Command command;
};

struct ComponentSource {
    std::string name;
    std::variant<PostgresSource, SqliteSource, RedisSource, FilesSource, ObjectsSource, OutputSource> from;
};

// Files and objects are dumped in format `layers`: on top of what an earlier backup has of the component, where one
// has.
struct Layering {
    std::string backup;  // the id of the one being made
    std::optional<LayerBase> base;
};

// Into `<folder>/<name>/`, which must not exist; the keys of the manifest's own objects are the paths below `folder`.
ManifestComponent dump(const ComponentSource& source, const std::filesystem::path& folder, const Clock& clock,
                       const BackupWork& work, const std::optional<Layering>& layering = std::nullopt);

ManifestComponent dump_postgres(const std::string& name, const PostgresSource& source,
                                const std::filesystem::path& folder, const BackupWork& work);
ManifestComponent dump_sqlite(const std::string& name, const SqliteSource& source, const std::filesystem::path& folder,
                              const Clock& clock, const BackupWork& work);
// The facts name the keys of each database right before and right after; `snapshot_keys` is how many the snapshot
// holds.
ManifestComponent dump_redis(const std::string& name, const RedisSource& source, const std::filesystem::path& folder,
                             const Clock& clock, const BackupWork& work);
// A single file is no tree: it is never layered.
ManifestComponent dump_files(const std::string& name, const FilesSource& source, const std::filesystem::path& folder,
                             const Clock& clock, const BackupWork& work,
                             const std::optional<Layering>& layering = std::nullopt);
ManifestComponent dump_objects(const std::string& name, const ObjectsSource& source,
                               const std::filesystem::path& folder, const Clock& clock, const BackupWork& work,
                               const std::optional<Layering>& layering = std::nullopt);
ManifestComponent dump_output(const std::string& name, const OutputSource& source, const std::filesystem::path& folder,
                              const Clock& clock, const BackupWork& work);

// Every plain file below `<folder>/<name>/` as an object, in the order of keys.
std::vector<ManifestObject> hash_objects(const std::filesystem::path& folder, const std::string& name,
                                         const BackupWork& work);

}  // namespace lifeboat
