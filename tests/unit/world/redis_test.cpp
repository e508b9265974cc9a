#include "world/redis.h"

#include <catch2/catch.hpp>
#include <functional>
#include <thread>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sha256.h"
#include "support/test_server.h"
#include "world/rdb.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

bool skipped() {
    const std::string missing = TestServer::missing("redis.sh");
    if (!missing.empty()) WARN("SKIPPED: not installed: " + missing);
    return !missing.empty();
}

RedisTarget target_of(const TestServer& server, const std::string& password = {}) {
    RedisTarget target{.host = "127.0.0.1", .port = std::stoi(server["REDIS_PORT"])};
    target.password = Secret(password);
    return target;
}

Error error_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        return error;
    }
    return Error{ErrorCode::internal, "no error was thrown"};
}

// Listens and never answers.
class Silence {
  public:
    Silence() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        REQUIRE(::bind(socket_, reinterpret_cast<sockaddr*>(&address), size) == 0);
        REQUIRE(::listen(socket_, 8) == 0);
        REQUIRE(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
        port = ntohs(address.sin_port);
    }
    ~Silence() { ::close(socket_); }
    int port = 0;

  private:
    int socket_;
};

}  // namespace

TEST_CASE("a Redis server is asked with any bytes and answers as the values it has") {
    if (skipped()) return;
    const TestServer server("redis.sh");
    RedisConnection redis(target_of(server), {});
    const std::string bytes("a\0b\r\n\xff", 6);
    CHECK(std::get<RedisStatus>(redis.command({"SET", bytes, bytes}).value).text == "OK");
    CHECK(redis.command({"GET", bytes}).text() == bytes);
    CHECK(redis.command({"GET", "none"}).is_nil());
    CHECK(redis.command({"RPUSH", "list", "1", "", "3"}).integer() == 3);
    const RedisReply list = redis.command({"LRANGE", "list", "0", "-1"});
    REQUIRE(list.list().size() == 3);
    CHECK(list.list()[1].text().empty());
    CHECK(redis.info("server").at("redis_mode") == "standalone");
    CHECK(redis.command({"CLIENT", "GETNAME"}).text() == "lifeboat");
    // a refused command leaves the session usable
    const Error wrong = error_of([&] { redis.command({"INCR", "list"}); });
    CHECK(wrong.code == ErrorCode::protocol_failed);
    CHECK(wrong.details == Json{{"redis", "WRONGTYPE"}});
    CHECK(redis.command({"PING"}).text() == "PONG");

    RedisTarget by_socket{.socket = server["REDIS_SOCKET"], .database = 3};
    RedisConnection third(by_socket, {});
    CHECK(third.command({"DBSIZE"}).integer() == 0);
    CHECK(third.where() == server["REDIS_SOCKET"]);
}

TEST_CASE("R11 the password of a Redis server is in no message, and a wrong one is denied") {
    if (skipped()) return;
    const TestServer server("redis.sh", {{"REDIS_PASSWORD", "corr3ct-horse"}});
    CHECK(RedisConnection(target_of(server, "corr3ct-horse"), {}).command({"PING"}).text() == "PONG");
    for (const std::string password : {"", "wr0ng-battery"}) {
        const Error error = error_of([&] { RedisConnection(target_of(server, password), {}); });
        CHECK(error.code == ErrorCode::denied);
        CHECK(error.full_message().find("wr0ng") == std::string::npos);
    }
    RedisTarget stranger = target_of(server, "wr0ng-battery");
    stranger.user = "nobody";
    CHECK(error_of([&] { RedisConnection(stranger, {}); }).code == ErrorCode::denied);

    RedisConnection admin(target_of(server, "corr3ct-horse"), {});
    admin.command({"ACL", "SETUSER", "reader", "on", ">r3ader", "+ping", "~*"});
    RedisTarget reader = target_of(server, "r3ader");
    reader.user = "reader";
    RedisConnection session(reader, {});
    CHECK(error_of([&] { session.command({"INFO"}); }).code == ErrorCode::denied);
    CHECK(session.command({"PING"}).text() == "PONG");
}

TEST_CASE("a server without a password refuses one, as denied") {
    if (skipped()) return;
    const TestServer server("redis.sh");
    const Error error = error_of([&] { RedisConnection(target_of(server, "superfluous"), {}); });
    CHECK(error.code == ErrorCode::denied);
    CHECK(error.hint == "Leave the password out where the server has none.");
}

TEST_CASE("nobody who listens is unreachable, and a silent server ends at the deadline or when asked to stop") {
    RedisTarget target{.host = "127.0.0.1", .port = free_ports(1)};
    CHECK(error_of([&] { RedisConnection(target, {}); }).code == ErrorCode::unreachable);
    CHECK(error_of([&] { RedisConnection({.socket = "/nonexistent/redis.sock"}, {}); }).code == ErrorCode::unreachable);

    const Silence silence;
    target.port = silence.port;
    const auto soon =
        std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()) + std::chrono::milliseconds(100);
    CHECK(error_of([&] { RedisConnection(target, {.deadline = soon}); }).code == ErrorCode::timed_out);
    std::stop_source stop;
    std::jthread stopper([&stop] { stop.request_stop(); });
    CHECK(error_of([&] { RedisConnection(target, {.stop = stop.get_token()}); }).code == ErrorCode::cancelled);
}

TEST_CASE("a snapshot comes over the wire, from the server's disk or streamed, and is a whole RDB file") {
    if (skipped()) return;
    const std::string diskless = GENERATE("yes", "no");
    const TestServer server("redis.sh", {{"REDIS_OPTIONS", "--repl-diskless-sync " + diskless}});
    RedisConnection redis(target_of(server), {});
    redis.command({"EVAL", "for i = 1, 20000 do redis.call('set', 'key:' .. i, 'value ' .. i) end", "0"});
    redis.command({"SELECT", "5"});
    redis.command({"SET", "here", "too"});
    const ScratchFolder folder;
    std::uint64_t moved = 0;
    RedisConnection source(target_of(server), {.moved = [&](std::uint64_t bytes) { moved += bytes; }});
    const HashedFile received = source.receive_snapshot(folder / "dump.rdb");
    CHECK(received.size == std::filesystem::file_size(folder / "dump.rdb"));
    CHECK(received.sha256 == hash_file(folder / "dump.rdb").sha256);
    CHECK(moved >= received.size);
    const RdbHeader header = read_rdb_frame(folder / "dump.rdb");
    CHECK(header.fields.at("redis-ver") == redis.info("server").at("redis_version"));
    CHECK(header.fields.contains("ctime"));
    CHECK(error_of([&] { source.command({"PING"}); }).code == ErrorCode::connection_lost);

    const TestServer copy("redis.sh", {{"REDIS_RDB", (folder / "dump.rdb").string()}});
    RedisConnection restored(target_of(copy), {});
    CHECK(restored.info("keyspace").at("db0").starts_with("keys=20000,"));
    CHECK(restored.info("keyspace").at("db5").starts_with("keys=1,"));
}

TEST_CASE("what is no snapshot is corrupt, and one that was cut is incomplete") {
    const ScratchFolder folder;
    const auto code = [&](const std::string& bytes) {
        write_text(folder / "x.rdb", bytes);
        return error_of([&] { read_rdb_frame(folder / "x.rdb"); }).code;
    };
    using namespace std::string_literals;
    const std::string whole =
        "REDIS0010\xFA\x09redis-ver\x06"
        "7.0.15\xFA\x05"
        "ctime\xC2\x10\x20\x30\x40\xFF"
        "12345678"s;
    write_text(folder / "whole.rdb", whole);
    const RdbHeader header = read_rdb_frame(folder / "whole.rdb");
    CHECK(header.version == 10);
    CHECK(header.fields == std::map<std::string, std::string>{{"redis-ver", "7.0.15"}, {"ctime", "1076895760"}});
    CHECK(code("PGDMP and more") == ErrorCode::corrupt);
    for (std::size_t size = 0; size < whole.size(); ++size)
        CHECK(code(whole.substr(0, size)) == ErrorCode::incomplete);
}
