#include "world/redis.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/sha256.h"
#include "base/text.h"
#include "world/file_descriptor.h"
#include "world/name_lookup.h"
#include "world/socket_wait.h"

namespace lifeboat {

namespace {

std::string place_of(const RedisTarget& target) {
    if (!target.socket.empty()) return target.socket;
    return target.host + ":" + std::to_string(target.port);
}

SteadyTime within(Duration limit, SteadyTime deadline) {
    const auto now = std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
    return limit < deadline - now ? now + limit : deadline;
}

// 0, or the errno of why this address does not answer.
int connect_to(const FileDescriptor& socket, const sockaddr* address, socklen_t size, const WorkControl& control,
               SteadyTime limit, const std::string& tried) {
    if (::connect(socket.get(), address, size) == 0) return 0;
    if (errno != EINPROGRESS) return errno;
    switch (wait_for_socket(socket.get(), POLLOUT, control.stop, limit)) {
        case Wake::stopped:
            throw Error{ErrorCode::cancelled, tried + ": asked to stop"};
        case Wake::deadline:
            if (limit == control.deadline) throw Error{ErrorCode::timed_out, tried + ": no answer within the time"};
            return ETIMEDOUT;
        case Wake::ready:
            break;
    }
    int failure = 0;
    socklen_t length = sizeof failure;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &failure, &length) != 0) return errno;
    return failure;
}

Error out_of_reach(const std::string& tried, int failure) {
    const bool not_allowed = failure == EACCES || failure == EPERM;
    return Error{not_allowed ? ErrorCode::denied : ErrorCode::unreachable, tried + ": " + std::strerror(failure),
                 "Check that the server runs and that the resource's host and port, or socket, are right."};
}

FileDescriptor connect_by_path(const RedisTarget& target, const WorkControl& control, SteadyTime limit,
                               const std::string& tried) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (target.socket.size() >= sizeof address.sun_path)
        throw Error{ErrorCode::invalid_file, tried + ": the path of a socket has at most " +
                                                 std::to_string(sizeof address.sun_path - 1) + " bytes"};
    target.socket.copy(address.sun_path, target.socket.size());
    FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) throw_errno(tried, errno);
    const int failure =
        connect_to(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address, control, limit, tried);
    if (failure != 0) throw out_of_reach(tried, failure);
    return socket;
}

FileDescriptor connect_by_name(const RedisTarget& target, const WorkControl& control, SteadyTime limit,
                               const std::string& tried) {
    int failure = ENOENT;
    for (const std::string& text : look_up_addresses(target.host, control.stop, limit, tried)) {
        addrinfo hints{};
        hints.ai_socktype = SOCK_STREAM;
        hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
        addrinfo* found = nullptr;
        if (::getaddrinfo(text.c_str(), std::to_string(target.port).c_str(), &hints, &found) != 0) continue;
        const std::unique_ptr<addrinfo, void (*)(addrinfo*)> held(found, ::freeaddrinfo);
        FileDescriptor socket(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!socket) {
            failure = errno;
            continue;
        }
        failure = connect_to(socket, found->ai_addr, found->ai_addrlen, control, limit, tried);
        if (failure == 0) return socket;
    }
    throw out_of_reach(tried, failure);
}

RedisReply reply_from(const redisReply& reply) {
    const auto bytes = [&reply] { return std::string(reply.str, reply.len); };
    switch (reply.type) {
        case REDIS_REPLY_STRING:
            return {bytes()};
        case REDIS_REPLY_STATUS:
            return {RedisStatus{bytes()}};
        case REDIS_REPLY_ERROR:
            return {RedisReply::Refusal{bytes()}};
        case REDIS_REPLY_INTEGER:
            return {std::int64_t{reply.integer}};
        case REDIS_REPLY_ARRAY: {
            std::vector<RedisReply> list;
            for (std::size_t i = 0; i < reply.elements; ++i)
                list.push_back(reply_from(*reply.element[i]));
            return {std::move(list)};
        }
        default:
            return {};
    }
}

std::string first_word(std::string_view text) {
    return std::string(text.substr(0, text.find(' ')));
}

std::string_view hint_for(ErrorCode code) {
    if (code == ErrorCode::denied) return "Check the resource's user and password, and what that user may do (ACL).";
    return {};
}

Error refusal(const std::string& where, std::string_view command, std::string_view text) {
    const ErrorCode code = redis_error_code(text);
    Error error{code, "'" + where + "' refuses " + std::string(command) + ": " + printable(text),
                std::string(hint_for(code))};
    error.details = Json{{"redis", first_word(text)}};
    return error;
}

Error unexpected(std::string_view wanted) {
    return Error{ErrorCode::protocol_failed, "the Redis server gave an answer that is no " + std::string(wanted)};
}

}  // namespace

const std::string& RedisReply::text() const {
    if (const auto* bulk = std::get_if<std::string>(&value)) return *bulk;
    if (const auto* status = std::get_if<RedisStatus>(&value)) return status->text;
    throw unexpected("text");
}

std::int64_t RedisReply::integer() const {
    if (const auto* number = std::get_if<std::int64_t>(&value)) return *number;
    throw unexpected("number");
}

const std::vector<RedisReply>& RedisReply::list() const {
    if (const auto* all = std::get_if<std::vector<RedisReply>>(&value)) return *all;
    throw unexpected("list");
}

ErrorCode redis_error_code(std::string_view refusal) {
    const std::string word = first_word(refusal);
    for (const char* name : {"NOAUTH", "WRONGPASS", "NOPERM", "DENIED", "-DENIED"})
        if (word == name) return ErrorCode::denied;
    for (const char* name : {"LOADING", "BUSY", "MASTERDOWN", "NOMASTERLINK", "TRYAGAIN", "CLUSTERDOWN"})
        if (word == name) return ErrorCode::busy;
    if (word == "READONLY") return ErrorCode::refused;
    if (word == "OOM") return ErrorCode::limit_exceeded;
    return ErrorCode::protocol_failed;
}

struct RedisConnection::Session {
    std::string where;
    WorkControl control;
    FileDescriptor socket;
    std::unique_ptr<redisReader, void (*)(redisReader*)> reader{::redisReaderCreate(), ::redisReaderFree};

    void wait(short events) {
        switch (wait_for_socket(socket.get(), events, control.stop, control.deadline)) {
            case Wake::ready:
                return;
            case Wake::stopped:
                socket.reset();
                throw Error{ErrorCode::cancelled, "the session with '" + where + "' was stopped"};
            case Wake::deadline:
                socket.reset();
                throw Error{ErrorCode::timed_out, "'" + where + "' did not answer within the time"};
        }
    }

    Error lost(const std::string& why) {
        socket.reset();
        return Error{ErrorCode::connection_lost, "the connection to '" + where + "' broke: " + why};
    }

    void send(std::string_view bytes) {
        if (!socket) throw lost("it was left in the middle of an answer");
        while (!bytes.empty()) {
            const ssize_t count = ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (count >= 0) {
                bytes.remove_prefix(static_cast<std::size_t>(count));
            } else if (errno == EAGAIN) {
                wait(POLLOUT);
            } else if (errno != EINTR) {
                throw lost(std::strerror(errno));
            }
        }
    }

    // At least one byte; empty at the end of the stream.
    std::string_view receive(std::span<char> room) {
        for (;;) {
            const ssize_t count = ::recv(socket.get(), room.data(), room.size(), 0);
            if (count >= 0) return {room.data(), static_cast<std::size_t>(count)};
            if (errno == EAGAIN) {
                wait(POLLIN);
            } else if (errno != EINTR) {
                throw lost(std::strerror(errno));
            }
        }
    }

    void send_command(std::span<const std::string_view> arguments) {
        std::vector<const char*> pointers;
        std::vector<std::size_t> lengths;
        for (const std::string_view argument : arguments) {
            pointers.push_back(argument.data());
            lengths.push_back(argument.size());
        }
        char* text = nullptr;
        const int length =
            ::redisFormatCommandArgv(&text, static_cast<int>(pointers.size()), pointers.data(), lengths.data());
        if (length < 0) throw Error{ErrorCode::internal, "a Redis command could not be put together"};
        const std::unique_ptr<char, void (*)(char*)> held(text, ::redisFreeCommand);
        send({text, static_cast<std::size_t>(length)});
    }

    RedisReply read_reply() {
        std::array<char, 16384> chunk;
        for (;;) {
            void* found = nullptr;
            if (::redisReaderGetReply(reader.get(), &found) != REDIS_OK) {
                socket.reset();
                throw Error{ErrorCode::protocol_failed,
                            "'" + where + "' does not speak Redis' protocol: " + printable(reader->errstr),
                            "Check the resource's port; TLS is not supported."};
            }
            if (found != nullptr) {
                const std::unique_ptr<void, void (*)(void*)> held(found, ::freeReplyObject);
                return reply_from(*static_cast<const redisReply*>(found));
            }
            const std::string_view bytes = receive(chunk);
            if (bytes.empty()) throw lost("the server closed it");
            ::redisReaderFeed(reader.get(), bytes.data(), bytes.size());
        }
    }

    RedisReply command(std::span<const std::string_view> arguments) {
        send_command(arguments);
        RedisReply reply = read_reply();
        if (const auto* refused = std::get_if<RedisReply::Refusal>(&reply.value))
            throw refusal(where, "'" + printable(arguments.front()) + "'", refused->text);
        return reply;
    }

    void authenticate(const RedisTarget& target) {
        if (target.password.empty() && target.user.empty()) return;
        std::vector<std::string_view> arguments{"AUTH"};
        if (!target.user.empty()) arguments.push_back(target.user);
        arguments.push_back(target.password.reveal());
        try {
            command(arguments);
        } catch (Error& error) {
            // any other refusal means that these are not the credentials to use here; its text could repeat them
            if (error.details.is_null() || error.details.value("redis", "") != "ERR") throw;
            throw Error{ErrorCode::denied, "'" + where + "' refuses AUTH with the resource's credentials",
                        "Leave the password out where the server has none."};
        }
    }

    // The line that begins a snapshot: "$123" or "$EOF:<mark>". What follows it is left in `rest`.
    std::string read_snapshot_line(std::string& rest, std::span<char> room) {
        for (;;) {
            // the server sends newlines while it prepares
            rest.erase(0, rest.find_first_not_of('\n'));
            if (const std::size_t end = rest.find("\r\n"); end != std::string::npos) {
                std::string line = rest.substr(0, end);
                rest.erase(0, end + 2);
                return line;
            }
            constexpr std::size_t longest = 4096;
            if (rest.size() > longest) throw unexpected("snapshot");
            const std::string_view bytes = receive(room);
            if (bytes.empty()) throw lost("the server closed it before the snapshot began");
            rest += bytes;
            control.check();
        }
    }
};

namespace {

// A new file that is hashed while it is written.
class SnapshotFile {
  public:
    explicit SnapshotFile(const std::filesystem::path& path)
        : path_(path), file_(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) {
        if (!file_) throw_errno("create '" + path.string() + "'", errno);
    }

    void write(std::string_view bytes) {
        hash_.update(bytes);
        size_ += bytes.size();
        while (!bytes.empty()) {
            const ssize_t count = ::write(file_.get(), bytes.data(), bytes.size());
            if (count >= 0)
                bytes.remove_prefix(static_cast<std::size_t>(count));
            else if (errno != EINTR)
                throw_errno("write '" + path_.string() + "'", errno);
        }
    }

    HashedFile finish() {
        if (::fsync(file_.get()) != 0) throw_errno("sync '" + path_.string() + "'", errno);
        sync_directory(path_.parent_path());
        return {.size = size_, .sha256 = to_hex(hash_.finish())};
    }

  private:
    std::filesystem::path path_;
    FileDescriptor file_;
    Sha256 hash_;
    std::uint64_t size_ = 0;
};

}  // namespace

RedisConnection::RedisConnection(const RedisTarget& target, const WorkControl& control)
    : session_(std::make_unique<Session>()) {
    session_->where = place_of(target);
    session_->control = control;
    const std::string tried = "connect to '" + session_->where + "'";
    const SteadyTime limit = within(target.connect_timeout, control.deadline);
    session_->socket = target.socket.empty() ? connect_by_name(target, control, limit, tried)
                                             : connect_by_path(target, control, limit, tried);
    session_->control.deadline = limit;
    session_->authenticate(target);
    try {
        command({"CLIENT", "SETNAME", target.client_name});
    } catch (const Error& error) {
        // a name is a courtesy, which an ACL may forbid and an old server not know
        const std::string word = error.details.is_null() ? "" : error.details.value("redis", "");
        if (word != "NOPERM" && word != "ERR") throw;
    }
    if (target.database != 0) command({"SELECT", std::to_string(target.database)});
    session_->control.deadline = control.deadline;
}

RedisConnection::~RedisConnection() = default;
RedisConnection::RedisConnection(RedisConnection&&) noexcept = default;
RedisConnection& RedisConnection::operator=(RedisConnection&&) noexcept = default;

RedisReply RedisConnection::command(std::span<const std::string> arguments) {
    const std::vector<std::string_view> views(arguments.begin(), arguments.end());
    return session_->command(views);
}

RedisReply RedisConnection::command(std::initializer_list<std::string_view> arguments) {
    return session_->command(std::span(arguments.begin(), arguments.size()));
}

std::map<std::string, std::string> RedisConnection::info(std::string_view section) {
    const RedisReply reply = section.empty() ? command({"INFO"}) : command({"INFO", section});
    std::map<std::string, std::string> fields;
    for (const std::string& line : split(reply.text(), '\n')) {
        const std::string_view trimmed = trim(line);
        const std::size_t colon = trimmed.find(':');
        if (trimmed.starts_with('#') || colon == std::string_view::npos) continue;
        fields.emplace(trimmed.substr(0, colon), trimmed.substr(colon + 1));
    }
    return fields;
}

const std::string& RedisConnection::where() const {
    return session_->where;
}

HashedFile RedisConnection::receive_snapshot(const std::filesystem::path& file) {
    // eof: the server may send while it makes the snapshot, without a file of its own; rdb-only (since 7.0): no writes
    // after it, so it keeps none for us. A server that knows one of them not says so and goes on.
    for (const auto& [option, value] : {std::pair{"capa", "eof"}, std::pair{"rdb-only", "1"}}) {
        try {
            command({"REPLCONF", option, value});
        } catch (const Error& error) {
            if (error.code != ErrorCode::protocol_failed || error.details.is_null()) throw;
        }
    }
    const std::array<std::string_view, 1> sync{"SYNC"};
    session_->send_command(sync);

    std::vector<char> room(std::size_t{256} << 10);
    std::string rest;
    const std::string line = session_->read_snapshot_line(rest, room);
    if (line.starts_with('-')) throw refusal(session_->where, "'SYNC'", std::string_view(line).substr(1));
    const auto ended_early = [this](std::uint64_t so_far) {
        session_->socket.reset();
        return Error{ErrorCode::incomplete,
                     "'" + session_->where + "' ended its snapshot early, after " + to_human(Bytes{so_far}),
                     "The server's log says why; often it lacks memory or space for the snapshot."};
    };

    SnapshotFile snapshot(file);
    constexpr std::string_view streamed = "$EOF:";
    std::uint64_t received = 0;
    if (line.starts_with(streamed)) {
        constexpr std::size_t mark_size = 40;
        const std::string mark = line.substr(streamed.size());
        if (mark.size() != mark_size) throw unexpected("snapshot");
        received = rest.size();
        session_->control.advance(received);
        // all but what could be the mark is written at once
        while (!rest.ends_with(mark)) {
            if (rest.size() > mark_size) {
                snapshot.write(std::string_view(rest).substr(0, rest.size() - mark_size));
                rest.erase(0, rest.size() - mark_size);
            }
            const std::string_view bytes = session_->receive(room);
            if (bytes.empty()) throw ended_early(received);
            rest += bytes;
            received += bytes.size();
            session_->control.advance(bytes.size());
        }
        snapshot.write(std::string_view(rest).substr(0, rest.size() - mark_size));
    } else {
        std::uint64_t left = 0;
        if (line.size() < 2 || line.front() != '$' || line.find_first_not_of("0123456789", 1) != std::string::npos ||
            line.size() > 19)
            throw unexpected("snapshot");
        left = std::stoull(line.substr(1));
        std::string_view bytes = rest;
        for (;;) {
            bytes = bytes.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left, bytes.size())));
            snapshot.write(bytes);
            left -= bytes.size();
            received += bytes.size();
            session_->control.advance(bytes.size());
            if (left == 0) break;
            bytes = session_->receive(room);
            if (bytes.empty()) throw ended_early(received);
        }
    }
    session_->socket.reset();
    return snapshot.finish();
}

}  // namespace lifeboat
