// One session on a PostgreSQL server, over libpq. Every wait ends at the session's deadline or when its stop token
// asks, also a connect to a black hole; a statement under way is then cancelled on the server. Nothing of the caller's
// environment (PGHOST, PGSERVICE,
// ~/.pgpass, …) reaches a session: every keyword is given. A session belongs to one thread at a time.
// Text is UTF-8, dates ISO, time zone UTC, whatever the server's or the role's defaults are.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/secret.h"
#include "base/time.h"

namespace lifeboat {

struct PostgresTarget {
    std::string host = "localhost";  // a name, an address, or the directory of a unix socket
    int port = 5432;
    std::string database = "postgres";
    std::string user;
    Secret password;
    std::string sslmode = "prefer";  // disable, allow, prefer, require, verify-ca, verify-full
    std::string sslrootcert;         // file; empty: none
    std::string application_name = "lifeboat";
    Duration connect_timeout = std::chrono::seconds(10);
    // Set in the session right after it was opened: {"statement_timeout", "5s"}.
    std::map<std::string, std::string> settings;
};

// How long the calls of a session may wait.
struct PostgresPatience {
    std::stop_token stop;
    SteadyTime deadline = SteadyTime::max();
};

using PostgresValue = std::optional<std::string>;  // text, or SQL's null

struct PostgresRows {
    std::vector<std::string> columns;
    std::vector<unsigned> types;  // of the columns: the server's type OIDs
    std::vector<std::vector<PostgresValue>> rows;
    std::uint64_t affected = 0;  // rows that the statement touched
};

class PostgresConnection {
  public:
    // Throws Error{unreachable | denied | not_found (the database) | busy | limit_exceeded | timed_out | cancelled}.
    explicit PostgresConnection(const PostgresTarget& target, PostgresPatience patience = {});
    ~PostgresConnection();
    PostgresConnection(PostgresConnection&&) noexcept;
    PostgresConnection& operator=(PostgresConnection&&) noexcept;

    // One statement. Throws Error with details {"sqlstate": …} and the code that postgres_error_code gives; timed_out
    // and cancelled when the patience ran out (the session stays usable where the server confirmed the cancel).
    PostgresRows query(std::string_view sql, std::span<const PostgresValue> parameters = {});
    PostgresRows query(std::string_view sql, std::initializer_list<PostgresValue> parameters);
    // The first column of the first row; nullopt for null and for no row.
    PostgresValue value(std::string_view sql, std::initializer_list<PostgresValue> parameters = {});
    // One or several statements without parameters, in one transaction unless they say otherwise; their rows are thrown
    // away.
    void execute(std::string_view sql);
    // `COPY … TO STDOUT`: each row as the server sent it, with its newline. Returns the number of rows.
    std::uint64_t copy_out(std::string_view sql, const std::function<void(std::string_view row)>& row);

    void set_patience(PostgresPatience patience);
    // Warnings and notices that have come since the last call, one line each.
    std::vector<std::string> take_notices();

    int server_version() const;  // 150020
    int server_major() const { return server_version() / 10000; }
    int backend_pid() const;
    const std::string& database() const;
    const std::string& where() const;  // "db1:5432/shop", for messages

  private:
    struct Session;
    std::unique_ptr<Session> session_;
};

// The error class of an SQLSTATE.
ErrorCode postgres_error_code(std::string_view sqlstate);
// {"sqlstate": …} of an error, or empty.
std::string sqlstate_of(const Error& error);

// The SQLSTATE inside a message of verbosity `verbose` ("FATAL:  3D000: database …"), or empty: libpq gives none for a
// failed connect, and psql writes it only there.
std::string sqlstate_in_message(std::string_view message);

// "orders" → "\"orders\"", for text that goes into a statement. Throws Error{sql_failed} for a zero byte.
std::string quote_identifier(std::string_view name);
// it's → 'it''s'
std::string quote_literal(std::string_view text);

// Identifiers are cut by the server at 63 bytes: `name` + `suffix`, with the name shortened (never inside a UTF-8
// character) to fit.
std::string postgres_name(std::string_view name, std::string_view suffix);

}  // namespace lifeboat
