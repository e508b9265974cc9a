#include "world/net.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "support/small_server.h"

using namespace lifeboat;
using namespace lifeboat::test;
using namespace std::chrono_literals;

namespace {

SteadyTime in(Duration duration) {
    return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()) + duration;
}

Error error_of(const std::string& host, int port, SteadyTime deadline, const std::stop_token& stop = {}) {
    try {
        connect_tcp(host, port, deadline, stop);
    } catch (const Error& error) {
        return error;
    }
    FAIL("no error was thrown");
    throw;
}

}  // namespace

TEST_CASE("a port on which something listens accepts") {
    SmallServer server([](const std::string&) { return http_answer(200, ""); });
    CHECK_NOTHROW(connect_tcp("127.0.0.1", server.port(), in(30s), {}));
    CHECK_NOTHROW(connect_tcp("localhost", server.port(), in(30s), {}));
    CHECK(server.requests().empty());
}

TEST_CASE("a port on which nothing listens is unreachable, and so is a name that is none") {
    const int port = closed_port();
    const Error error = error_of("127.0.0.1", port, in(30s));
    CHECK(error.code == ErrorCode::unreachable);
    CHECK(error.message.starts_with("cannot connect to '127.0.0.1' port " + std::to_string(port) + ": "));
    CHECK(error_of("no-such-host.invalid", 80, in(30s)).code == ErrorCode::unreachable);
    for (const std::string host : {"", "a/b", "user@host", "a b", "host:80"})
        CHECK(error_of(host, 80, in(30s)).code == ErrorCode::invalid_file);
    for (const int bad : {0, -1, 65536})
        CHECK(error_of("127.0.0.1", bad, in(30s)).code == ErrorCode::invalid_file);
}

TEST_CASE("R10 a connect ends at its deadline and when asked to stop") {
    CHECK(error_of("127.0.0.1", closed_port(), in(-1s)).code == ErrorCode::timed_out);
    std::stop_source stop;
    stop.request_stop();
    CHECK(error_of("127.0.0.1", closed_port(), in(30s), stop.get_token()).code == ErrorCode::cancelled);
}
