#include "world/sqlite.h"

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <tuple>

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/sha256.h"
#include "world/file_descriptor.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

ErrorCode code_of(int result) {
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

// What tells whether the files of a database were written to.
using FileState = std::tuple<std::uint64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t>;
std::optional<FileState> state_of(const fs::path& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
        if (errno == ENOENT) return std::nullopt;
        throw_errno("look at '" + path.string() + "'", errno);
    }
    return FileState{status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
                     status.st_ctim.tv_nsec};
}

fs::path companion(const fs::path& path, const std::string& suffix) {
    fs::path result = path;
    result += suffix;
    return result;
}

std::vector<std::optional<FileState>> states_of(const fs::path& path) {
    return {state_of(path), state_of(companion(path, "-wal")), state_of(companion(path, "-journal"))};
}

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

// While it lives, a stop request or the deadline interrupts the connection, again and again, since SQLite forgets an
// interrupt that comes between two statements. It also reports progress as long as the working thread uses processor
// time: a check is one long call.
class Interrupter {
  public:
    Interrupter(sqlite3* database, const WorkControl& control) : database_(database), control_(control) {
        control.check();
        if (!control.stop.stop_possible() && control.deadline == SteadyTime::max() && !control.moved) return;
        ::pthread_getcpuclockid(::pthread_self(), &worker_);
        thread_ = std::thread([this] { watch(); });
    }
    ~Interrupter() {
        if (!thread_.joinable()) return;
        {
            const std::lock_guard lock(mutex_);
            over_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }
    Interrupter(const Interrupter&) = delete;
    Interrupter& operator=(const Interrupter&) = delete;

  private:
    std::int64_t worked() const {
        timespec spent{};
        return ::clock_gettime(worker_, &spent) == 0 ? spent.tv_sec * 1'000'000'000 + spent.tv_nsec : 0;
    }
    void watch() {
        using namespace std::chrono_literals;
        const std::stop_callback wake(control_.stop, [this] {
            const std::lock_guard lock(mutex_);
            changed_.notify_all();
        });
        std::int64_t last = worked();
        std::unique_lock lock(mutex_);
        while (!over_) {
            const bool stop = control_.stop.stop_requested() || (control_.deadline != SteadyTime::max() &&
                                                                 std::chrono::steady_clock::now() >= control_.deadline);
            if (stop) ::sqlite3_interrupt(database_);
            auto until = std::chrono::steady_clock::now() + (stop ? 20ms : 1000ms);
            if (!stop && control_.deadline < std::chrono::time_point_cast<Duration>(until)) until = control_.deadline;
            changed_.wait_until(lock, until);
            if (over_ || stop || !control_.moved) continue;
            if (const std::int64_t now = worked(); now != last) {
                last = now;
                lock.unlock();
                control_.moved(0);
                lock.lock();
            }
        }
    }

    sqlite3* database_;
    const WorkControl& control_;
    clockid_t worker_{};
    std::mutex mutex_;
    std::condition_variable changed_;
    bool over_ = false;
    std::thread thread_;
};

}  // namespace

struct SqliteDatabase::State {
    fs::path path;    // as asked for
    fs::path opened;  // the file itself or its private copy
    std::optional<PrivateDirectory> copy;
    std::vector<std::optional<FileState>> seen;  // of the original, when it was opened for a look
    sqlite3* handle = nullptr;

    ~State() { ::sqlite3_close_v2(handle); }

    [[noreturn]] void fail(int result, const WorkControl& control, const std::string& tried) const {
        if ((result & 0xff) == SQLITE_INTERRUPT) control.check();
        const char* why = handle == nullptr ? ::sqlite3_errstr(result) : ::sqlite3_errmsg(handle);
        throw Error{code_of(result), "cannot " + tried + " in '" + path.string() + "': " + why};
    }

    void open(const fs::path& file, int flags, std::string_view options) {
        opened = file;
        const int result =
            ::sqlite3_open_v2(uri_of(file, options).c_str(), &handle,
                              flags | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
        if (result != SQLITE_OK) {
            const std::string why = handle == nullptr ? ::sqlite3_errstr(result) : ::sqlite3_errmsg(handle);
            throw Error{code_of(result), "cannot open the database '" + path.string() + "': " + why};
        }
        ::sqlite3_busy_timeout(handle, 5000);
        // No statement of a schema may call what an application registered, and no damaged page is trusted.
        ::sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
        ::sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    }
};

namespace {

struct Finalize {
    void operator()(sqlite3_stmt* statement) const { ::sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

sqlite3_stmt* of(void* statement) {
    return static_cast<sqlite3_stmt*>(statement);
}

int bind(sqlite3_stmt* statement, int place, const Json& value) {
    switch (value.type()) {
        case Json::value_t::null:
        case Json::value_t::discarded:
            return ::sqlite3_bind_null(statement, place);
        case Json::value_t::boolean:
            return ::sqlite3_bind_int(statement, place, value.get<bool>() ? 1 : 0);
        case Json::value_t::number_integer:
        case Json::value_t::number_unsigned:
            return ::sqlite3_bind_int64(statement, place, value.get<std::int64_t>());
        case Json::value_t::number_float:
            return ::sqlite3_bind_double(statement, place, value.get<double>());
        case Json::value_t::string:
        case Json::value_t::array:
        case Json::value_t::object:
        case Json::value_t::binary: {
            const std::string text = value.is_string() ? value.get<std::string>() : to_text(value);
            return ::sqlite3_bind_text64(statement, place, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
        }
    }
    return SQLITE_MISUSE;
}

bool only_blanks(std::string_view text) {
    return text.find_first_not_of(" \t\r\n;") == std::string_view::npos;
}

}  // namespace

// ---- rows

int SqliteRow::columns() const {
    return ::sqlite3_column_count(of(statement_));
}

std::string_view SqliteRow::name(int column) const {
    const char* name = ::sqlite3_column_name(of(statement_), column);
    return name == nullptr ? "" : name;
}

SqliteType SqliteRow::type(int column) const {
    switch (::sqlite3_column_type(of(statement_), column)) {
        case SQLITE_INTEGER:
            return SqliteType::integer;
        case SQLITE_FLOAT:
            return SqliteType::real;
        case SQLITE_TEXT:
            return SqliteType::text;
        case SQLITE_BLOB:
            return SqliteType::blob;
        default:
            return SqliteType::null;
    }
}

std::int64_t SqliteRow::integer(int column) const {
    return ::sqlite3_column_int64(of(statement_), column);
}

double SqliteRow::real(int column) const {
    return ::sqlite3_column_double(of(statement_), column);
}

std::string_view SqliteRow::bytes(int column) const {
    const void* begin = ::sqlite3_column_blob(of(statement_), column);
    if (begin == nullptr) return {};
    return {static_cast<const char*>(begin), static_cast<std::size_t>(::sqlite3_column_bytes(of(statement_), column))};
}

Json SqliteRow::value(int column) const {
    switch (type(column)) {
        case SqliteType::null:
            return nullptr;
        case SqliteType::integer:
            return integer(column);
        case SqliteType::real:
            return real(column);
        case SqliteType::text:
            return std::string{bytes(column)};
        case SqliteType::blob: {
            const auto blob = bytes(column);
            return to_hex(std::span{reinterpret_cast<const std::uint8_t*>(blob.data()), blob.size()});
        }
    }
    return nullptr;
}

Json to_json(const SqliteRows& rows) {
    Json all = Json::array();
    for (const auto& row : rows.rows) {
        Json one = Json::object();
        for (std::size_t i = 0; i < row.size(); ++i)
            one[rows.columns[i]] = row[i];
        all.push_back(std::move(one));
    }
    return all;
}

// ---- databases

SqliteDatabase::SqliteDatabase(std::unique_ptr<State> state) : state_(std::move(state)) {}
SqliteDatabase::~SqliteDatabase() = default;
SqliteDatabase::SqliteDatabase(SqliteDatabase&&) noexcept = default;
SqliteDatabase& SqliteDatabase::operator=(SqliteDatabase&&) noexcept = default;

SqliteDatabase SqliteDatabase::open(const fs::path& path) {
    auto state = std::make_unique<State>();
    state->path = path;
    state->open(path, SQLITE_OPEN_READWRITE, "");
    return SqliteDatabase{std::move(state)};
}

SqliteDatabase SqliteDatabase::create(const fs::path& path) {
    const FileDescriptor file{::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (!file) throw_errno("make the database '" + path.string() + "'", errno);
    return open(path);
}

void SqliteDatabase::execute(std::string_view sql, const WorkControl& control) {
    const Interrupter interrupter{state_->handle, control};
    const std::string text{sql};
    const int result = ::sqlite3_exec(state_->handle, text.c_str(), nullptr, nullptr, nullptr);
    if (result != SQLITE_OK) state_->fail(result, control, "execute");
}

void SqliteDatabase::each_row(std::string_view sql, const Json& parameters,
                              const std::function<void(const SqliteRow&)>& row, const WorkControl& control) const {
    const Interrupter interrupter{state_->handle, control};
    sqlite3_stmt* prepared = nullptr;
    const char* rest = nullptr;
    int result = ::sqlite3_prepare_v2(state_->handle, sql.data(), static_cast<int>(sql.size()), &prepared, &rest);
    const Statement statement{prepared};
    if (result != SQLITE_OK) state_->fail(result, control, "query");
    if (prepared == nullptr)
        throw Error{ErrorCode::sql_failed, "cannot query '" + state_->path.string() + "': the statement is empty"};
    if (!only_blanks(sql.substr(static_cast<std::size_t>(rest - sql.data())))) {
        throw Error{ErrorCode::sql_failed, "cannot query '" + state_->path.string() + "': more than one statement"};
    }
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        result = bind(prepared, static_cast<int>(i) + 1, parameters[i]);
        if (result != SQLITE_OK) state_->fail(result, control, "bind a parameter");
    }
    const SqliteRow current{prepared};
    while ((result = ::sqlite3_step(prepared)) == SQLITE_ROW)
        row(current);
    if (result != SQLITE_DONE) state_->fail(result, control, "query");
}

SqliteRows SqliteDatabase::query(std::string_view sql, const Json& parameters, const WorkControl& control,
                                 std::size_t most) const {
    SqliteRows rows;
    each_row(
        sql, parameters,
        [&](const SqliteRow& row) {
            if (rows.columns.empty()) {
                for (int i = 0; i < row.columns(); ++i)
                    rows.columns.emplace_back(row.name(i));
            }
            if (rows.rows.size() == most) {
                throw Error{ErrorCode::limit_exceeded, "a query on '" + state_->path.string() + "' gives more than " +
                                                           std::to_string(most) + " rows"};
            }
            auto& values = rows.rows.emplace_back();
            for (int i = 0; i < row.columns(); ++i)
                values.push_back(row.value(i));
        },
        control);
    return rows;
}

Json SqliteDatabase::value(std::string_view sql, const Json& parameters, const WorkControl& control) const {
    Json first = nullptr;
    bool found = false;
    each_row(
        sql, parameters,
        [&](const SqliteRow& row) {
            if (!found && row.columns() > 0) first = row.value(0);
            found = true;
        },
        control);
    return first;
}

std::vector<std::string> SqliteDatabase::tables(const WorkControl& control) const {
    std::vector<std::string> names;
    each_row(
        "select name from sqlite_schema where type = 'table' and name not like 'sqlite\\_%' escape '\\' order by name",
        Json::array(), [&](const SqliteRow& row) { names.emplace_back(row.bytes(0)); }, control);
    return names;
}

namespace {

// Complaints of a pragma; damage that stops it is one more.
std::vector<std::string> complaints(const SqliteDatabase& database, const fs::path& file, const std::string& pragma,
                                    const WorkControl& control) {
    std::vector<std::string> found;
    std::error_code unknown;
    if (fs::file_size(file, unknown) == 0 && !unknown)
        return {"the file is empty (SQLite would take it for a database without tables)"};
    try {
        database.each_row(
            pragma, Json::array(),
            [&](const SqliteRow& row) {
                if (const auto line = row.bytes(0); line != "ok") found.emplace_back(line);
            },
            control);
    } catch (const Error& error) {
        if (error.code != ErrorCode::corrupt) throw;
        found.push_back(error.message);
    }
    return found;
}

}  // namespace

std::vector<std::string> SqliteDatabase::quick_check(const WorkControl& control, int most) const {
    return complaints(*this, state_->opened, "pragma quick_check(" + std::to_string(most) + ")", control);
}

std::vector<std::string> SqliteDatabase::integrity_check(const WorkControl& control, int most) const {
    return complaints(*this, state_->opened, "pragma integrity_check(" + std::to_string(most) + ")", control);
}

std::vector<std::string> SqliteDatabase::foreign_key_check(const WorkControl& control, int most) const {
    std::vector<std::string> found;
    each_row(
        "pragma foreign_key_check", Json::array(),
        [&](const SqliteRow& row) {
            if (found.size() >= static_cast<std::size_t>(most)) return;
            const std::string which =
                row.type(1) == SqliteType::null ? "a row" : "row " + std::to_string(row.integer(1));
            found.push_back(which + " of '" + std::string{row.bytes(0)} + "' refers to a row of '" +
                            std::string{row.bytes(2)} + "' that is not there");
        },
        control);
    return found;
}

void SqliteDatabase::map_into_memory() {
    execute("pragma mmap_size = 1099511627776");
}

bool SqliteDatabase::still_as_opened() const {
    return state_->copy || state_->seen.empty() || states_of(state_->path) == state_->seen;
}

bool SqliteDatabase::is_copy() const {
    return state_->copy.has_value();
}

// ---- looks and copies

const std::vector<std::string>& sqlite_companions() {
    static const std::vector<std::string> suffixes{"-wal", "-shm", "-journal"};
    return suffixes;
}

std::vector<fs::path> live_companions(const fs::path& path) {
    std::vector<fs::path> live;
    for (const auto* suffix : {"-wal", "-journal"}) {
        const fs::path beside = companion(path, suffix);
        const auto state = state_of(beside);
        if (state && std::get<1>(*state) > 0) live.push_back(beside);
    }
    return live;
}

namespace {

// Copies main file, -wal and -journal until none of them changed meanwhile.
PrivateDirectory copy_while_still(const fs::path& path, const fs::path& private_folder, Bytes copy_limit,
                                  const WorkControl& control) {
    constexpr int attempts = 5;
    for (int attempt = 1; attempt <= attempts; ++attempt) {
        const auto before = states_of(path);
        std::uint64_t size = 0;
        for (const auto& state : before)
            size += state ? static_cast<std::uint64_t>(std::get<1>(*state)) : 0;
        if (size > copy_limit.count) {
            throw Error{ErrorCode::limit_exceeded, "cannot look at '" + path.string() + "': " + to_human(Bytes{size}) +
                                                       " would have to be copied first, more than " +
                                                       to_human(copy_limit)};
        }
        PrivateDirectory folder{private_folder, "sqlite-"};
        const fs::path copy = folder.path() / "database";
        try {
            copy_and_hash(path, copy, control);
            if (before[1]) copy_and_hash(companion(path, "-wal"), companion(copy, "-wal"), control);
            if (before[2]) copy_and_hash(companion(path, "-journal"), companion(copy, "-journal"), control);
        } catch (const Error& error) {
            if (error.code != ErrorCode::not_found || !state_of(path)) throw;
            continue;  // a companion went away while it was copied
        }
        if (states_of(path) == before) return folder;
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
    const bool alone = !state_of(companion(path, "-wal")) && !state_of(companion(path, "-journal"));
    if (alone) {
        state->seen = states_of(path);
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
    if (backup == nullptr) throw Error{code_of(::sqlite3_errcode(to)), "cannot " + names + ": " + ::sqlite3_errmsg(to)};
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
        throw Error{code_of(result), "cannot " + names + ": " + ::sqlite3_errstr(result)};
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
        if (!source->copy && !source->seen.empty() && states_of(from) != source->seen) {
            throw Error{ErrorCode::busy, "cannot " + names + ": it was written to meanwhile",
                        "Stop what writes to it, then try again."};
        }
        for (const auto& suffix : sqlite_companions())
            ::unlink(companion(to, suffix).c_str());
        if (::fsync(file.get()) != 0) throw_errno("sync '" + to.string() + "'", errno);
        sync_directory(to.parent_path().empty() ? fs::path{"."} : to.parent_path());
        return hash_file(to, control);
    } catch (const Error&) {
        ::unlink(to.c_str());
        for (const auto& suffix : sqlite_companions())
            ::unlink(companion(to, suffix).c_str());
        throw;
    }
}

}  // namespace lifeboat
