#include "world/sqlite_state.h"

#include <cerrno>

#include <sqlite3.h>
#include <sys/stat.h>

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

// The characters that mean something in an SQLite URI.
std::string uri_of(const fs::path& path, std::string_view options) {
    std::string uri = "file:";
    for (const char c : fs::absolute(path).string()) {
        if (c == '?' || c == '#' || c == '%') {
            static constexpr std::string_view digits = "0123456789abcdef";
            const auto byte = static_cast<unsigned char>(c);
            uri += '%';
            uri += digits[byte >> 4];
            uri += digits[byte & 15];
        } else {
            uri += c;
        }
    }
    return uri + std::string{options};
}

}  // namespace

ErrorCode sqlite_error_code(int result) {
    switch (result & 0xff) {
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return ErrorCode::corrupt;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return ErrorCode::busy;
        case SQLITE_FULL:
            return ErrorCode::disk_full;
        case SQLITE_PERM:
        case SQLITE_AUTH:
        case SQLITE_READONLY:
            return ErrorCode::denied;
        case SQLITE_CANTOPEN:
            return ErrorCode::not_found;
        case SQLITE_IOERR:
            return ErrorCode::io_failed;
        case SQLITE_NOMEM:
        case SQLITE_TOOBIG:
            return ErrorCode::limit_exceeded;
        case SQLITE_INTERRUPT:
            return ErrorCode::cancelled;
        default:
            return ErrorCode::sql_failed;
    }
}

std::optional<SqliteFileState> sqlite_file_state(const fs::path& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
        if (errno == ENOENT) return std::nullopt;
        throw_errno("look at '" + path.string() + "'", errno);
    }
    return SqliteFileState{status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
                           status.st_ctim.tv_nsec};
}

std::uint64_t size_of(const SqliteFileState& state) {
    return static_cast<std::uint64_t>(std::get<1>(state));
}

fs::path sqlite_companion(const fs::path& path, const std::string& suffix) {
    fs::path result = path;
    result += suffix;
    return result;
}

std::vector<std::optional<SqliteFileState>> sqlite_file_states(const fs::path& path) {
    return {sqlite_file_state(path), sqlite_file_state(sqlite_companion(path, "-wal")),
            sqlite_file_state(sqlite_companion(path, "-journal"))};
}

SqliteDatabase::State::~State() {
    ::sqlite3_close_v2(handle);
}

void SqliteDatabase::State::fail(int result, const WorkControl& control, const std::string& tried) const {
    if ((result & 0xff) == SQLITE_INTERRUPT) control.check();
    const char* why = handle == nullptr ? ::sqlite3_errstr(result) : ::sqlite3_errmsg(handle);
    throw Error{sqlite_error_code(result), "cannot " + tried + " in '" + path.string() + "': " + why};
}

void SqliteDatabase::State::open(const fs::path& file, int flags, std::string_view options) {
    opened = file;
    const int result =
        ::sqlite3_open_v2(uri_of(file, options).c_str(), &handle,
                          flags | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
    if (result != SQLITE_OK) {
        const std::string why = handle == nullptr ? ::sqlite3_errstr(result) : ::sqlite3_errmsg(handle);
        throw Error{sqlite_error_code(result), "cannot open the database '" + path.string() + "': " + why};
    }
    ::sqlite3_busy_timeout(handle, 5000);
    // No statement of a schema may call what an application registered, and no damaged page is trusted.
    ::sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    ::sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
}
}  // namespace lifeboat
