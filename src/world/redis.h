// One session on a Redis server, over hiredis; plain TCP or a unix socket, no TLS (the library has none). Every wait
// ends at the control's deadline or when its stop token asks, also a connect to a black hole. A session that was left
// in the middle of an answer (timed_out, cancelled, connection_lost) is closed and refuses further use. It belongs to
// one thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/secret.h"
#include "base/time.h"
#include "world/control.h"
#include "world/files.h"

namespace lifeboat {

struct RedisTarget {
    std::string host = "localhost";
    int port = 6379;
    std::string socket;  // path of a unix socket, instead of host and port
    std::string user;    // empty: the server's default user
    Secret password;
    int database = 0;
    std::string client_name = "lifeboat";  // as CLIENT LIST shows the session
    Duration connect_timeout = std::chrono::seconds(10);
};

struct RedisStatus {
    std::string text;  // "OK"
    bool operator==(const RedisStatus&) const = default;
};

// What a command gave back; errors are thrown, except those inside an array. monostate is Redis' nil.
struct RedisReply {
    struct Refusal {
        std::string text;  // "WRONGTYPE Operation against …"
        bool operator==(const Refusal&) const = default;
    };
    std::variant<std::monostate, std::int64_t, std::string, RedisStatus, Refusal, std::vector<RedisReply>> value;

    bool is_nil() const { return std::holds_alternative<std::monostate>(value); }
    // Bulk text or a status; Error{protocol_failed} for anything else.
    const std::string& text() const;
    std::int64_t integer() const;
    const std::vector<RedisReply>& list() const;
};

class RedisConnection {
  public:
    // Connects, authenticates, names the session and selects the database. Throws Error{unreachable | denied | busy |
    // timed_out | cancelled | connection_lost | protocol_failed}.
    RedisConnection(const RedisTarget& target, const WorkControl& control);
    ~RedisConnection();
    RedisConnection(RedisConnection&&) noexcept;
    RedisConnection& operator=(RedisConnection&&) noexcept;

    // Any bytes as arguments. A refusal of the server is thrown with the code that redis_error_code gives and details
    // {"redis": "NOPERM"}; the session stays usable then.
    RedisReply command(std::span<const std::string> arguments);
    RedisReply command(std::initializer_list<std::string_view> arguments);

    // The `field:value` lines of INFO, of one section or of the default ones.
    std::map<std::string, std::string> info(std::string_view section = {});

    // A snapshot of every database as the server writes it for its replicas, into `file`, which must not exist; made
    // 0600 and synced. It is no older than the call, or was under way already: its `ctime` tells. The session is of no
    // use afterwards. Throws as `command` does, and Error{incomplete} when the server ended early.
    HashedFile receive_snapshot(const std::filesystem::path& file);

    const std::string& where() const;  // "cache1:6379", for messages

  private:
    struct Session;
    std::unique_ptr<Session> session_;
};

// The error class of a refusal like "NOPERM this user has no permissions …": denied, busy (it is loading, or has lost
// its primary), refused (a replica takes no writes), limit_exceeded (its memory is full), else protocol_failed.
ErrorCode redis_error_code(std::string_view refusal);

}  // namespace lifeboat
