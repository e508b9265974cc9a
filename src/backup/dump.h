// From a source to the files of one component, made below a folder of this run, with what was measured at the same
// instant. `consistent_at` is conservative: everything that was committed before it is in the dump.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <variant>

#include "backup/manifest.h"
#include "backup/work.h"
#include "world/postgres.h"
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
};

struct ComponentSource {
    std::string name;
    std::variant<PostgresSource, SqliteSource, RedisSource, FilesSource> from;
};

// Into `<folder>/<name>/`, which must not exist; the keys of the manifest's objects are the paths below `folder`.
ManifestComponent dump(const ComponentSource& source, const std::filesystem::path& folder, const Clock& clock,
                       const BackupWork& work);

ManifestComponent dump_postgres(const std::string& name, const PostgresSource& source,
                                const std::filesystem::path& folder, const BackupWork& work);
ManifestComponent dump_sqlite(const std::string& name, const SqliteSource& source, const std::filesystem::path& folder,
                              const Clock& clock, const BackupWork& work);
// The facts name the keys of each database right before and right after; `snapshot_keys` is how many the snapshot
// holds.
ManifestComponent dump_redis(const std::string& name, const RedisSource& source, const std::filesystem::path& folder,
                             const Clock& clock, const BackupWork& work);
ManifestComponent dump_files(const std::string& name, const FilesSource& source, const std::filesystem::path& folder,
                             const Clock& clock, const BackupWork& work);

// Every plain file below `<folder>/<name>/` as an object, in the order of keys.
std::vector<ManifestObject> hash_objects(const std::filesystem::path& folder, const std::string& name,
                                         const BackupWork& work);

}  // namespace lifeboat
