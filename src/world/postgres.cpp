#include "world/postgres.h"

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include <libpq-fe.h>
#include <poll.h>

#include "base/json.h"
#include "base/text.h"
#include "world/name_lookup.h"
#include "world/socket_wait.h"

namespace lifeboat {

namespace {

SteadyTime steady_now() {
    return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::steady_clock::now());
}

SteadyTime soon(Duration from_now) {
    return steady_now() + from_now;
}

[[noreturn]] void throw_gave_up(Wake wake, const std::string& tried) {
    if (wake == Wake::stopped) throw Error{ErrorCode::cancelled, tried + ": asked to stop"};
    throw Error{ErrorCode::timed_out, tried + ": the time for it was over"};
}

std::string first_line(std::string_view text) {
    return std::string(trim(text.substr(0, text.find('\n'))));
}

struct ClearResult {
    void operator()(PGresult* result) const { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, ClearResult>;

// What is sent when the target has no password and the server asks for one: keeps libpq from reading PGPASSWORD.
constexpr const char* no_password = "none given";

}  // namespace

struct PostgresConnection::Session {
    PGconn* connection = nullptr;
    PostgresPatience patience;
    std::string database;
    std::string where;
    std::vector<std::string> notices;

    ~Session() {
        if (connection != nullptr) PQfinish(connection);
    }

    static void keep_notice(void* self, const PGresult* result) {
        try {
            const char* text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
            const char* severity = PQresultErrorField(result, PG_DIAG_SEVERITY);
            auto& notices = static_cast<Session*>(self)->notices;
            if (notices.size() < 1000) {
                notices.push_back(std::string(severity ? severity : "NOTICE") + ": " + (text ? text : ""));
            }
        } catch (...) {  // a notice is not worth ending the program for, and nothing may unwind through libpq
        }
    }

    void open(const PostgresTarget& target);
    [[noreturn]] void throw_connect_failed(const PostgresTarget& target, const std::string& tried);
    Wake wait(short events, SteadyTime deadline) {
        return wait_for_socket(PQsocket(connection), events, patience.stop, deadline);
    }
    [[noreturn]] void give_up(Wake wake, std::string_view what);
    void cancel_and_drain();
    void send_all(std::string_view what);
    Result next(std::string_view what);
    [[noreturn]] void throw_failed(const PGresult* result);
    [[noreturn]] void throw_lost();
    void end_copy(ExecStatusType status);
    Error error_of(const PGresult* result) const;
    // Reads every result of the command under way; the first error is thrown once the session is usable again.
    Result finish(std::string_view what);
};

void PostgresConnection::Session::open(const PostgresTarget& target) {
    const std::string tried = "cannot connect to '" + where + "'";
    const SteadyTime own_deadline = soon(target.connect_timeout);
    const SteadyTime deadline = std::min(own_deadline, patience.deadline);
    if (patience.stop.stop_requested()) throw_gave_up(Wake::stopped, tried);
    if (target.host.empty() || target.host.find(',') != std::string::npos) {
        throw Error{ErrorCode::invalid_file, tried + ": '" + target.host + "' is no host",
                    "Give one name, one address or the directory of a unix socket."};
    }

    const bool local = target.host.front() == '/';
    // libpq takes an empty value for "look into the environment". A list of two empty addresses is not empty, so
    // PGHOSTADDR is not looked at; elsewhere the addresses are resolved here, with a deadline that libpq's own look-up
    // does not have.
    std::string hosts = target.host + "," + target.host;
    std::string addresses = ",";
    if (!local) {
        const auto resolved = look_up_addresses(target.host, patience.stop, deadline, tried);
        addresses = join(resolved, ",");
        hosts = join(std::vector<std::string>(resolved.size(), target.host), ",");
    }
    const std::string port = std::to_string(target.port);
    const std::string timeout = "3600";
    const std::string user_timeout =
        std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(target.connect_timeout).count());
    // a file that is not there counts as none; ENOTDIR also where somebody has a /nonexistent
    const std::string none = "/dev/null/none";
    const std::pair<const char*, std::string> given[] = {
        {"host", hosts},
        {"hostaddr", addresses},
        {"port", port},
        {"dbname", target.database},
        {"user", target.user},
        {"password", target.password.empty() ? no_password : target.password.reveal()},
        {"passfile", "/dev/null"},
        {"options", " "},
        {"client_encoding", "UTF8"},
        {"application_name", target.application_name.empty() ? "lifeboat" : target.application_name},
        {"connect_timeout", timeout},
        {"tcp_user_timeout", user_timeout},
        {"channel_binding", "prefer"},
        {"gssencmode", "disable"},
        {"krbsrvname", "postgres"},
        {"target_session_attrs", "any"},
        {"sslmode", local ? "disable" : target.sslmode},
        {"sslrootcert", target.sslrootcert.empty() ? none : target.sslrootcert},
        {"sslcert", none},
        {"sslkey", none},
        {"sslcrl", none},
        {"sslcrldir", none},
        {"sslcompression", "0"},
        {"sslsni", "1"},
        {"ssl_min_protocol_version", "TLSv1.2"},
        {"ssl_max_protocol_version", "TLSv1.3"},
    };
    std::vector<const char*> keywords;
    std::vector<const char*> values;
    for (const auto& [keyword, value] : given) {
        if (value.empty()) throw Error{ErrorCode::invalid_file, tried + ": no '" + std::string(keyword) + "' given"};
        keywords.push_back(keyword);
        values.push_back(value.c_str());
    }
    keywords.push_back(nullptr);
    values.push_back(nullptr);

    connection = PQconnectStartParams(keywords.data(), values.data(), 0);
    if (connection == nullptr) throw std::bad_alloc();
    PQsetErrorVerbosity(connection, PQERRORS_VERBOSE);
    if (PQstatus(connection) == CONNECTION_BAD) throw_connect_failed(target, tried);
    for (PostgresPollingStatusType state = PGRES_POLLING_WRITING; state != PGRES_POLLING_OK;) {
        const Wake wake = wait(state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline);
        if (wake == Wake::deadline && own_deadline <= patience.deadline) {
            throw Error{ErrorCode::unreachable, tried + ": no answer within " + to_text(target.connect_timeout)};
        }
        if (wake != Wake::ready) throw_gave_up(wake, tried);
        state = PQconnectPoll(connection);
        if (state == PGRES_POLLING_FAILED) throw_connect_failed(target, tried);
    }
    PQsetErrorVerbosity(connection, PQERRORS_DEFAULT);
    PQsetNoticeReceiver(connection, keep_notice, this);
    PQsetnonblocking(connection, 1);
}

void PostgresConnection::Session::throw_connect_failed(const PostgresTarget& target, const std::string& tried) {
    const std::string message = PQerrorMessage(connection);
    const std::string state = sqlstate_in_message(message);
    std::string reason = first_line(message);
    if (!state.empty()) {
        const std::size_t at = message.find(state + ": ");
        reason = first_line(std::string_view(message).substr(at + state.size() + 2));
    } else if (const std::size_t at = reason.find(" failed: "); at != std::string::npos) {
        reason = reason.substr(at + 9);
    }
    ErrorCode code = state.empty() ? ErrorCode::unreachable : postgres_error_code(state);
    std::string hint;
    if (code == ErrorCode::denied && target.password.empty() && PQconnectionUsedPassword(connection) != 0) {
        reason = "the server asks for a password and the resource has none";
        hint = "Give the resource a 'password'.";
    }
    // the database lets nobody in (ALLOW_CONNECTIONS false): waiting does not help
    if (state == "55000") code = ErrorCode::denied;
    Error error{code, tried + ": " + reason, hint};
    if (!state.empty()) error.details = Json{{"sqlstate", state}};
    throw error;
}

void PostgresConnection::Session::give_up(Wake wake, std::string_view what) {
    cancel_and_drain();
    throw_gave_up(wake, "cannot finish " + std::string(what) + " on '" + where + "'");
}

// PQcancel connects with blocking calls, so it gets a thread and a limit of its own; the answer is then awaited for a
// while, and a session that does not answer is closed.
void PostgresConnection::Session::cancel_and_drain() {
    struct Asked {
        std::mutex mutex;
        std::condition_variable changed;
        bool done = false;
    };
    const auto asked = std::make_shared<Asked>();
    const std::shared_ptr<PGcancel> handle(PQgetCancel(connection), PQfreeCancel);
    if (handle != nullptr) {
        std::thread([asked, handle] {
            char ignored[256];
            PQcancel(handle.get(), ignored, sizeof ignored);
            const std::lock_guard lock(asked->mutex);
            asked->done = true;
            asked->changed.notify_all();
        }).detach();
        std::unique_lock lock(asked->mutex);
        asked->changed.wait_for(lock, std::chrono::seconds(2), [&asked] { return asked->done; });
    }
    const SteadyTime deadline = soon(std::chrono::seconds(3));
    for (;;) {
        while (PQisBusy(connection) != 0) {
            const bool answered = wait_for_socket(PQsocket(connection), POLLIN, {}, deadline) == Wake::ready;
            if (!answered || PQconsumeInput(connection) == 0) {
                PQfinish(connection);
                connection = nullptr;
                return;
            }
        }
        const Result result(PQgetResult(connection));
        if (result == nullptr) return;
        const ExecStatusType status = PQresultStatus(result.get());
        if (status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
            char* row = nullptr;
            int length = 0;
            while ((length = PQgetCopyData(connection, &row, 1)) > 0)
                PQfreemem(row);
            if (length == 0 && (wait_for_socket(PQsocket(connection), POLLIN, {}, deadline) != Wake::ready ||
                                PQconsumeInput(connection) == 0)) {
                PQfinish(connection);
                connection = nullptr;
                return;
            }
        } else if (status == PGRES_COPY_IN) {
            PQputCopyEnd(connection, "cancelled");
        }
    }
}

Error PostgresConnection::Session::error_of(const PGresult* result) const {
    const auto field = [result](int code) {
        const char* text = PQresultErrorField(result, code);
        return std::string(text != nullptr ? text : "");
    };
    const std::string state = field(PG_DIAG_SQLSTATE);
    std::string message = field(PG_DIAG_MESSAGE_PRIMARY);
    if (message.empty()) message = first_line(PQresultErrorMessage(result));
    if (const std::string detail = field(PG_DIAG_MESSAGE_DETAIL); !detail.empty())
        message += " (" + first_line(detail) + ")";
    Error error{state.empty() ? ErrorCode::connection_lost : postgres_error_code(state),
                "'" + where + "' refused: " + message, first_line(field(PG_DIAG_MESSAGE_HINT))};
    if (!state.empty()) error.details = Json{{"sqlstate", state}};
    return error;
}

void PostgresConnection::Session::throw_lost() {
    const std::string reason = first_line(connection != nullptr ? PQerrorMessage(connection) : "it was closed");
    throw Error{ErrorCode::connection_lost, "the connection to '" + where + "' broke: " + reason};
}

void PostgresConnection::Session::send_all(std::string_view what) {
    for (;;) {
        const int left = PQflush(connection);
        if (left == 0) return;
        if (left < 0) throw_lost();
        const Wake wake = wait(POLLIN | POLLOUT, patience.deadline);
        if (wake != Wake::ready) give_up(wake, what);
        if (PQconsumeInput(connection) == 0) throw_lost();
    }
}

Result PostgresConnection::Session::next(std::string_view what) {
    while (PQisBusy(connection) != 0) {
        const Wake wake = wait(POLLIN, patience.deadline);
        if (wake != Wake::ready) give_up(wake, what);
        if (PQconsumeInput(connection) == 0 && PQstatus(connection) == CONNECTION_BAD) break;
    }
    return Result(PQgetResult(connection));
}

void PostgresConnection::Session::end_copy(ExecStatusType status) {
    if (status == PGRES_COPY_IN) {
        PQputCopyEnd(connection, "COPY FROM STDIN is not possible here");
        return;
    }
    for (;;) {
        char* row = nullptr;
        const int length = PQgetCopyData(connection, &row, 1);
        if (length > 0) {
            PQfreemem(row);
            continue;
        }
        if (length < 0) return;
        const Wake wake = wait(POLLIN, patience.deadline);
        if (wake != Wake::ready) give_up(wake, "a COPY");
        if (PQconsumeInput(connection) == 0) throw_lost();
    }
}

Result PostgresConnection::Session::finish(std::string_view what) {
    Result last;
    std::optional<Error> failed;
    while (Result result = next(what)) {
        const ExecStatusType status = PQresultStatus(result.get());
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
            end_copy(status);
        } else if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY) {
            last = std::move(result);
        } else if (!failed) {
            failed = error_of(result.get());
        }
        if (PQstatus(connection) == CONNECTION_BAD) break;
    }
    if (failed) throw Error(*failed);
    if (last == nullptr) throw_lost();
    return last;
}

PostgresConnection::PostgresConnection(const PostgresTarget& target, PostgresPatience patience)
    : session_(std::make_unique<Session>()) {
    session_->patience = std::move(patience);
    session_->database = target.database;
    session_->where = target.host + ":" + std::to_string(target.port) + "/" + target.database;
    session_->open(target);

    std::map<std::string, std::string> settings{
        {"DateStyle", "ISO"},
        {"IntervalStyle", "postgres"},
        {"TimeZone", "UTC"},
        {"bytea_output", "hex"},
        {"extra_float_digits", "1"},
        {"client_min_messages", "warning"},
        {"standard_conforming_strings", "on"},
        {"statement_timeout", "0"},
        {"lock_timeout", "0"},
        {"idle_in_transaction_session_timeout", "0"},
    };
    for (const auto& [name, value] : target.settings)
        settings[name] = value;
    std::string batch;
    for (const auto& [name, value] : settings) {
        batch += "SET SESSION " + quote_identifier(name) + " TO " + quote_literal(value) + ";";
    }
    execute(batch);
}

PostgresConnection::~PostgresConnection() = default;
PostgresConnection::PostgresConnection(PostgresConnection&&) noexcept = default;
PostgresConnection& PostgresConnection::operator=(PostgresConnection&&) noexcept = default;

namespace {

PostgresRows rows_of(const PGresult* result) {
    PostgresRows out;
    const int columns = PQnfields(result);
    const int rows = PQntuples(result);
    for (int column = 0; column < columns; ++column) {
        out.columns.emplace_back(PQfname(result, column));
        out.types.push_back(PQftype(result, column));
    }
    out.rows.reserve(static_cast<std::size_t>(rows));
    for (int row = 0; row < rows; ++row) {
        std::vector<PostgresValue>& values = out.rows.emplace_back();
        values.reserve(static_cast<std::size_t>(columns));
        for (int column = 0; column < columns; ++column) {
            if (PQgetisnull(result, row, column) != 0) {
                values.emplace_back(std::nullopt);
            } else {
                values.emplace_back(std::string(PQgetvalue(result, row, column),
                                                static_cast<std::size_t>(PQgetlength(result, row, column))));
            }
        }
    }
    // const was forgotten in this one signature
    out.affected = std::strtoull(PQcmdTuples(const_cast<PGresult*>(result)), nullptr, 10);
    return out;
}

}  // namespace

PostgresRows PostgresConnection::query(std::string_view sql, std::span<const PostgresValue> parameters) {
    if (session_->connection == nullptr) session_->throw_lost();
    const std::string text(sql);
    std::vector<const char*> values;
    values.reserve(parameters.size());
    for (const PostgresValue& parameter : parameters)
        values.push_back(parameter ? parameter->c_str() : nullptr);
    if (PQsendQueryParams(session_->connection, text.c_str(), static_cast<int>(values.size()), nullptr, values.data(),
                          nullptr, nullptr, 0) == 0) {
        session_->throw_lost();
    }
    session_->send_all("a statement");
    return rows_of(session_->finish("a statement").get());
}

PostgresRows PostgresConnection::query(std::string_view sql, std::initializer_list<PostgresValue> parameters) {
    return query(sql, std::span<const PostgresValue>(parameters.begin(), parameters.size()));
}

PostgresValue PostgresConnection::value(std::string_view sql, std::initializer_list<PostgresValue> parameters) {
    PostgresRows rows = query(sql, parameters);
    if (rows.rows.empty() || rows.rows.front().empty()) return std::nullopt;
    return std::move(rows.rows.front().front());
}

void PostgresConnection::execute(std::string_view sql) {
    if (session_->connection == nullptr) session_->throw_lost();
    const std::string text(sql);
    if (PQsendQuery(session_->connection, text.c_str()) == 0) session_->throw_lost();
    session_->send_all("a statement");
    session_->finish("a statement");
}

std::uint64_t PostgresConnection::copy_out(std::string_view sql, const std::function<void(std::string_view row)>& row) {
    if (session_->connection == nullptr) session_->throw_lost();
    const std::string text(sql);
    PGconn* connection = session_->connection;
    if (PQsendQuery(connection, text.c_str()) == 0) session_->throw_lost();
    session_->send_all("a COPY");
    const Result opened = session_->next("a COPY");
    if (opened == nullptr) session_->throw_lost();
    const ExecStatusType status = PQresultStatus(opened.get());
    if (status != PGRES_COPY_OUT) {
        const Error error = status == PGRES_FATAL_ERROR
                                ? session_->error_of(opened.get())
                                : Error{ErrorCode::sql_failed, "the statement is no COPY … TO STDOUT"};
        session_->cancel_and_drain();
        throw Error(error);
    }
    std::uint64_t rows = 0;
    for (;;) {
        char* buffer = nullptr;
        const int length = PQgetCopyData(connection, &buffer, 1);
        if (length > 0) {
            const std::unique_ptr<char, void (*)(void*)> owned(buffer, PQfreemem);
            ++rows;
            try {
                row(std::string_view(buffer, static_cast<std::size_t>(length)));
            } catch (...) {
                session_->cancel_and_drain();
                throw;
            }
            continue;
        }
        if (length < 0) break;
        const Wake wake = session_->wait(POLLIN, session_->patience.deadline);
        if (wake != Wake::ready) session_->give_up(wake, "a COPY");
        if (PQconsumeInput(connection) == 0) session_->throw_lost();
    }
    session_->finish("a COPY");
    return rows;
}

void PostgresConnection::set_patience(PostgresPatience patience) {
    session_->patience = std::move(patience);
}

std::vector<std::string> PostgresConnection::take_notices() {
    return std::exchange(session_->notices, {});
}

int PostgresConnection::server_version() const {
    return session_->connection != nullptr ? PQserverVersion(session_->connection) : 0;
}

int PostgresConnection::backend_pid() const {
    return session_->connection != nullptr ? PQbackendPID(session_->connection) : 0;
}

const std::string& PostgresConnection::database() const {
    return session_->database;
}

const std::string& PostgresConnection::where() const {
    return session_->where;
}

}  // namespace lifeboat
