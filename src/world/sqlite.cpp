#include "world/sqlite.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <fcntl.h>
#include <sqlite3.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "world/file_descriptor.h"
#include "world/sqlite_state.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

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

struct Finalize {
    void operator()(sqlite3_stmt* statement) const { ::sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

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
    return state_->copy || state_->seen.empty() || sqlite_file_states(state_->path) == state_->seen;
}

bool SqliteDatabase::is_copy() const {
    return state_->copy.has_value();
}

}  // namespace lifeboat
