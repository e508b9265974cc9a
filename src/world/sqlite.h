// SQLite databases: looks that never write the original, queries, checks, consistent copies, and who has a database
// open. A SqliteDatabase is used by one thread at a time. Errors: corrupt (damaged, or no database), busy, disk_full,
// denied, not_found, sql_failed (a statement was refused), io_failed, cancelled, timed_out. Close no other descriptor
// of a database in this process while a SqliteDatabase on it is open for writing: POSIX locks would fall.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/size.h"
#include "world/control.h"
#include "world/files.h"

namespace lifeboat {

enum class SqliteType { null, integer, real, text, blob };

// The current row of a running query; valid only inside the callback that receives it.
class SqliteRow {
  public:
    explicit SqliteRow(void* statement) : statement_(statement) {}
    int columns() const;
    std::string_view name(int column) const;
    SqliteType type(int column) const;
    std::int64_t integer(int column) const;
    double real(int column) const;
    std::string_view bytes(int column) const;  // of text and blobs
    // null, integer, number, text; a blob as its lower-case hexadecimal digits.
    Json value(int column) const;

  private:
    void* statement_;
};

struct SqliteRows {
    std::vector<std::string> columns;
    std::vector<std::vector<Json>> rows;
};
// An array with one object per row.
Json to_json(const SqliteRows& rows);

class SqliteDatabase {
  public:
    // An existing database, for reading and writing; opening one that crashed rolls it back.
    static SqliteDatabase open(const std::filesystem::path& path);
    // A new database; Error{already_exists} when the file is there.
    static SqliteDatabase create(const std::filesystem::path& path);

    ~SqliteDatabase();
    SqliteDatabase(SqliteDatabase&&) noexcept;
    SqliteDatabase& operator=(SqliteDatabase&&) noexcept;

    // Runs statements for their effect.
    void execute(std::string_view sql, const WorkControl& control = {});
    // One statement (Error{sql_failed} for more); `parameters` is an array bound to ?1, ?2 …
    void each_row(std::string_view sql, const Json& parameters, const std::function<void(const SqliteRow&)>& row,
                  const WorkControl& control = {}) const;
    // Error{limit_exceeded} beyond `most` rows.
    SqliteRows query(std::string_view sql, const Json& parameters = Json::array(), const WorkControl& control = {},
                     std::size_t most = 100'000) const;
    // The first column of the first row, null when there is none.
    Json value(std::string_view sql, const Json& parameters = Json::array(), const WorkControl& control = {}) const;

    // Names of the ordinary tables, sorted.
    std::vector<std::string> tables(const WorkControl& control = {}) const;
    // What the checks complain about; empty when all is well. Damage that stops a check is a complaint too.
    std::vector<std::string> quick_check(const WorkControl& control = {}, int most = 100) const;
    std::vector<std::string> integrity_check(const WorkControl& control = {}, int most = 100) const;
    std::vector<std::string> foreign_key_check(const WorkControl& control = {}, int most = 100) const;

    // Reads through a memory map: much faster checks, but a file that somebody truncates meanwhile would kill this
    // process. Only for files that nobody else writes (private copies are mapped anyway).
    void map_into_memory();
    // For looks: the files that were looked at are still as they were. Otherwise somebody wrote meanwhile, and what was
    // read may be torn.
    bool still_as_opened() const;
    // Whether a private copy is looked at instead of the file itself.
    bool is_copy() const;

  private:
    struct State;
    explicit SqliteDatabase(std::unique_ptr<State> state);
    friend SqliteDatabase look_at_sqlite(const std::filesystem::path&, const std::filesystem::path&, Bytes,
                                         const WorkControl&);
    friend HashedFile backup_sqlite(const std::filesystem::path&, const std::filesystem::path&,
                                    const std::filesystem::path&, const WorkControl&);
    std::unique_ptr<State> state_;
};

// Opens `path` for reading without ever writing to it or beside it: as immutable where neither `-wal` nor `-journal`
// stands beside it, else as a private copy of all of them below `private_folder`, removed with the object.
// Error{limit_exceeded} when the copy would be larger than `copy_limit`; Error{busy} when the files do not hold still
// long enough to be copied.
SqliteDatabase look_at_sqlite(const std::filesystem::path& path, const std::filesystem::path& private_folder,
                              Bytes copy_limit = {UINT64_MAX}, const WorkControl& control = {});

// A consistent copy into the new file `to` (mode 0600), synced, by SQLite's backup API. A database that somebody has
// open is read beside its users; one that nobody has open is only looked at, so that a crashed one is not rolled back.
// Removed again when it fails.
HashedFile backup_sqlite(const std::filesystem::path& from, const std::filesystem::path& to,
                         const std::filesystem::path& private_folder, const WorkControl& control = {});

// The names that belong to a database beside its main file: "-wal", "-shm", "-journal".
const std::vector<std::string>& sqlite_companions();
// The companions of `path` that would change what is read: a `-wal` or `-journal` that is not empty.
std::vector<std::filesystem::path> live_companions(const std::filesystem::path& path);

struct FileHolder {
    int pid = 0;
    std::string command;
};
struct FileHolders {
    std::vector<FileHolder> holders;
    bool everyone_seen = true;  // false: processes of other users could not be looked at
};
// Other processes of this machine that have the file (or one of its SQLite companions) open or locked.
FileHolders who_has_open(const std::filesystem::path& path);

}  // namespace lifeboat
