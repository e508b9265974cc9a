// The part of sqlite.h that looks at databases without writing to them, and copies them.
#include <cerrno>
#include <chrono>

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "world/file_descriptor.h"
#include "world/sqlite_state.h"

namespace lifeboat {

namespace fs = std::filesystem;

const std::vector<std::string>& sqlite_companions() {
    static const std::vector<std::string> suffixes{"-wal", "-shm", "-journal"};
    return suffixes;
}

std::vector<fs::path> live_companions(const fs::path& path) {
    std::vector<fs::path> live;
    for (const auto* suffix : {"-wal", "-journal"}) {
        const fs::path beside = sqlite_companion(path, suffix);
        const auto state = sqlite_file_state(beside);
        if (state && size_of(*state) > 0) live.push_back(beside);
    }
    return live;
}

namespace {

// Copies main file, -wal and -journal until none of them changed meanwhile.
PrivateDirectory copy_while_still(const fs::path& path, const fs::path& private_folder, Bytes copy_limit,
                                  const WorkControl& control) {
    constexpr int attempts = 5;
    for (int attempt = 1; attempt <= attempts; ++attempt) {
        const auto before = sqlite_file_states(path);
        std::uint64_t size = 0;
        for (const auto& state : before)
            size += state ? size_of(*state) : 0;
        if (size > copy_limit.count) {
            throw Error{ErrorCode::limit_exceeded, "cannot look at '" + path.string() + "': " + to_human(Bytes{size}) +
                                                       " would have to be copied first, more than " +
                                                       to_human(copy_limit)};
        }
        PrivateDirectory folder{private_folder, "sqlite-"};
        const fs::path copy = folder.path() / "database";
        try {
            copy_and_hash(path, copy, control);
            if (before[1]) copy_and_hash(sqlite_companion(path, "-wal"), sqlite_companion(copy, "-wal"), control);
            if (before[2])
                copy_and_hash(sqlite_companion(path, "-journal"), sqlite_companion(copy, "-journal"), control);
        } catch (const Error& error) {
            if (error.code != ErrorCode::not_found || !sqlite_file_state(path)) throw;
            continue;  // a companion went away while it was copied
        }
        if (sqlite_file_states(path) == before) return folder;
    }
    throw Error{ErrorCode::busy, "cannot look at '" + path.string() + "': it is being written to",
                "Stop what writes to it, then try again."};
}

}  // namespace

SqliteDatabase look_at_sqlite(const fs::path& path, const fs::path& private_folder, Bytes copy_limit,
                              const WorkControl& control) {
    auto state = std::make_unique<SqliteDatabase::State>();
    state->path = path;
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) throw_errno("look at the database '" + path.string() + "'", errno);
    if (!S_ISREG(status.st_mode)) throw Error{ErrorCode::corrupt, "'" + path.string() + "' is no file"};
    if (::access(path.c_str(), R_OK) != 0) throw_errno("read the database '" + path.string() + "'", errno);
    // An empty -wal says nothing, but opening beside it is not "nothing stands there": both cases copy.
    const bool alone =
        !sqlite_file_state(sqlite_companion(path, "-wal")) && !sqlite_file_state(sqlite_companion(path, "-journal"));
    if (alone) {
        state->seen = sqlite_file_states(path);
        state->open(path, SQLITE_OPEN_READONLY, "?immutable=1");
        ::sqlite3_exec(state->handle, "pragma cache_size = -65536", nullptr, nullptr, nullptr);
    } else {
        state->copy = copy_while_still(path, private_folder, copy_limit, control);
        state->open(state->copy->path() / "database", SQLITE_OPEN_READWRITE, "");
        ::sqlite3_exec(state->handle, "pragma mmap_size = 1099511627776", nullptr, nullptr, nullptr);
    }
    return SqliteDatabase{std::move(state)};
}

namespace {

struct EndBackup {
    void operator()(sqlite3_backup* backup) const { ::sqlite3_backup_finish(backup); }
};

void copy_pages(sqlite3* from, sqlite3* to, const std::string& names, const WorkControl& control) {
    const std::unique_ptr<sqlite3_backup, EndBackup> backup{::sqlite3_backup_init(to, "main", from, "main")};
    if (backup == nullptr)
        throw Error{sqlite_error_code(::sqlite3_errcode(to)), "cannot " + names + ": " + ::sqlite3_errmsg(to)};
    constexpr int pages = 1024;
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    int left = -1;
    while (true) {
        control.check();
        const int result = ::sqlite3_backup_step(backup.get(), pages);
        if (result == SQLITE_DONE) return;
        const int remaining = ::sqlite3_backup_remaining(backup.get());
        if (left >= 0 && remaining < left && control.moved)
            control.moved(static_cast<std::uint64_t>(left - remaining) * 4096);
        left = remaining;
        if (result == SQLITE_OK) continue;
        const int kind = result & 0xff;
        if ((kind == SQLITE_BUSY || kind == SQLITE_LOCKED) && std::chrono::steady_clock::now() < give_up) {
            ::sqlite3_sleep(50);
            continue;
        }
        throw Error{sqlite_error_code(result), "cannot " + names + ": " + ::sqlite3_errstr(result)};
    }
}

// One snapshot for the whole copy; without it every write by somebody else would start the copy over. A busy writer
// leaves only short gaps between its transactions, so the tries follow each other quickly.
template <typename State>
void begin_snapshot(const State& source, const WorkControl& control) {
    ::sqlite3_busy_timeout(source.handle, 0);
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (true) {
        control.check();
        const int result =
            ::sqlite3_exec(source.handle, "begin; select count(*) from sqlite_schema", nullptr, nullptr, nullptr);
        if (result == SQLITE_OK) return;
        const int kind = result & 0xff;
        // a journal that a writer is just about to delete can look like one that a dead writer left
        const bool passes = kind == SQLITE_BUSY || kind == SQLITE_LOCKED || result == SQLITE_READONLY_ROLLBACK;
        if (!passes || std::chrono::steady_clock::now() > give_up) source.fail(result, control, "begin a copy");
        ::sqlite3_exec(source.handle, "rollback", nullptr, nullptr, nullptr);
        ::sqlite3_sleep(1);
    }
}

}  // namespace

HashedFile backup_sqlite(const fs::path& from, const fs::path& to, const fs::path& private_folder,
                         const WorkControl& control) {
    const std::string names = "copy the database '" + from.string() + "' to '" + to.string() + "'";
    const bool in_use = !who_has_open(from).holders.empty();
    std::unique_ptr<SqliteDatabase::State> source;
    if (in_use) {
        source = std::make_unique<SqliteDatabase::State>();
        source->path = from;
        source->open(from, SQLITE_OPEN_READONLY, "");
        begin_snapshot(*source, control);
    } else {
        source = std::move(look_at_sqlite(from, private_folder, {UINT64_MAX}, control).state_);
    }
    const FileDescriptor file{::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (!file) throw_errno("make '" + to.string() + "'", errno);
    try {
        {
            SqliteDatabase::State target;
            target.path = to;
            target.open(to, SQLITE_OPEN_READWRITE, "");
            ::sqlite3_db_config(target.handle, SQLITE_DBCONFIG_DEFENSIVE, 0, nullptr);
            ::sqlite3_exec(target.handle,
                           "pragma locking_mode = exclusive; pragma journal_mode = off; pragma synchronous = off",
                           nullptr, nullptr, nullptr);
            copy_pages(source->handle, target.handle, names, control);
        }
        if (!source->copy && !source->seen.empty() && sqlite_file_states(from) != source->seen) {
            throw Error{ErrorCode::busy, "cannot " + names + ": it was written to meanwhile",
                        "Stop what writes to it, then try again."};
        }
        for (const auto& suffix : sqlite_companions())
            ::unlink(sqlite_companion(to, suffix).c_str());
        if (::fsync(file.get()) != 0) throw_errno("sync '" + to.string() + "'", errno);
        sync_directory(to.parent_path().empty() ? fs::path{"."} : to.parent_path());
        return hash_file(to, control);
    } catch (const Error&) {
        ::unlink(to.c_str());
        for (const auto& suffix : sqlite_companions())
            ::unlink(sqlite_companion(to, suffix).c_str());
        throw;
    }
}

}  // namespace lifeboat
