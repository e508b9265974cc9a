// What is inside a SqliteDatabase, for the files of this room that make one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "world/files.h"
#include "world/sqlite.h"

struct sqlite3;

namespace lifeboat {

ErrorCode sqlite_error_code(int result);

// What tells whether the files of a database were written to.
using SqliteFileState = std::tuple<std::uint64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t>;
// Empty when there is no such file.
std::optional<SqliteFileState> sqlite_file_state(const std::filesystem::path& path);
std::uint64_t size_of(const SqliteFileState& state);
// Of the main file, its -wal and its -journal.
std::vector<std::optional<SqliteFileState>> sqlite_file_states(const std::filesystem::path& path);
// "a.db" and "-wal" → "a.db-wal".
std::filesystem::path sqlite_companion(const std::filesystem::path& path, const std::string& suffix);

struct SqliteDatabase::State {
    std::filesystem::path path;    // as asked for
    std::filesystem::path opened;  // the file itself or its private copy
    std::optional<PrivateDirectory> copy;
    std::vector<std::optional<SqliteFileState>> seen;  // of the original, when it was opened for a look
    sqlite3* handle = nullptr;

    State() = default;
    ~State();
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    [[noreturn]] void fail(int result, const WorkControl& control, const std::string& tried) const;
    // `flags` and `options` as for sqlite3_open_v2 and in an SQLite URI ("?immutable=1").
    void open(const std::filesystem::path& file, int flags, std::string_view options);
};

}  // namespace lifeboat
