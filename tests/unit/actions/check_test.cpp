#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "support/small_server.h"
#include "unit/actions/deed_world.h"

using namespace lifeboat;
using namespace lifeboat::test;
using namespace std::chrono_literals;

namespace {

struct Checks : DeedWorld {
    ActionList actions = check_actions(world());
    const Action& http = action_named(actions, "http.check");
    const Action& tcp = action_named(actions, "tcp.check");
};

}  // namespace

TEST_CASE("http.check asks until the answer is right") {
    std::atomic<int> asked = 0;
    SmallServer server([&](const std::string&) {
        ++asked;
        if (asked < 3) return http_answer(503, "not yet");
        return http_answer(200, asked < 4 ? "warming up" : "all is well");
    });
    Checks here;
    const Outputs outputs = here.run(
        here.http, {{"url", server.url("/health")}, {"contains", "well"}, {"within", "30s"}, {"interval", "10ms"}});
    CHECK(outputs == Json{{"status", 200}, {"attempts", 4}});
    CHECK(here.log == std::vector<std::string>{"'" + server.url("/health") + "': answered 503 instead of 200",
                                               "'" + server.url("/health") + "': answered 503 instead of 200",
                                               "'" + server.url("/health") + "': answered 200 without 'well'"});
}

TEST_CASE("http.check gives up with the last answer") {
    SmallServer server([](const std::string&) { return http_answer(500, ""); });
    Checks here;
    const Error error =
        here.error_of(here.http, {{"url", server.url("/health")}, {"within", "50ms"}, {"interval", "100ms"}});
    CHECK(error.code == ErrorCode::not_healthy);
    CHECK(error.message == "'" + server.url("/health") + "' was not well within " + to_human(50ms) +
                               " (asked 1 time): answered 500 instead of 200");

    const std::string nowhere = "http://127.0.0.1:" + std::to_string(closed_port()) + "/";
    CHECK(here.error_of(here.http, {{"url", nowhere}, {"within", "30ms"}, {"interval", "10ms"}}).code ==
          ErrorCode::not_healthy);
    CHECK(here.error_of(here.http, {{"url", "ftp://x/"}}).code == ErrorCode::invalid_file);
}

TEST_CASE("R10 http.check leaves a server that hangs when its time is over, and when asked to stop") {
    SmallServer server([](const std::string&) { return std::string(); });
    Checks here;
    CHECK(here.error_of(here.http, {{"url", server.url()}, {"within", "50ms"}}).code == ErrorCode::not_healthy);

    Context context = here.context(here.http, {{"url", server.url()}, {"within", "300s"}});
    context.deadline = std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()) + 50ms;
    try {
        here.http.run(here.http.prepare(context), context);
        FAIL("no error");
    } catch (const Error& error) {
        CHECK(error.code == ErrorCode::timed_out);
    }

    std::thread asker([&] {
        while (server.requests().size() < 3)
            std::this_thread::sleep_for(5ms);
        here.stop.request_stop();
    });
    CHECK(here.error_of(here.http, {{"url", server.url()}, {"within", "300s"}}).code == ErrorCode::cancelled);
    asker.join();
}

TEST_CASE("R11 a secret in a header reaches the server and no log") {
    SmallServer server([](const std::string& request) {
        return http_answer(request.find("X-Token: t0ps3cret\r\n") != std::string::npos ? 204 : 401, "");
    });
    Checks here;
    here.secrets.known["token"] = "t0ps3cret";
    const Json arguments = {{"url", {{"secret", {server.url("/") + "?key=", {{"secret", "token"}}}}}},
                            {"headers", {{"X-Token", {{"secret", "token"}}}}},
                            {"within", "50ms"},
                            {"interval", "50ms"}};
    Json right = arguments;
    right["status"] = 204;
    CHECK(here.run(here.http, right).at("attempts") == 1);
    const Error error = here.error_of(here.http, arguments);
    CHECK(error.message.find("t0ps3cret") == std::string::npos);
    for (const std::string& line : here.log)
        CHECK(line.find("t0ps3cret") == std::string::npos);
}

TEST_CASE("tcp.check waits until the port accepts") {
    SmallServer server([](const std::string&) { return http_answer(200, ""); });
    Checks here;
    CHECK(here.run(here.tcp, {{"host", "127.0.0.1"}, {"port", server.port()}}) == Json{{"attempts", 1}});
    const int port = closed_port();
    const Error error =
        here.error_of(here.tcp, {{"host", "127.0.0.1"}, {"port", port}, {"within", "50ms"}, {"interval", "10ms"}});
    CHECK(error.code == ErrorCode::not_healthy);
    CHECK(error.message.starts_with("'127.0.0.1' port " + std::to_string(port) + " was not well within "));
    CHECK(here.error_of(here.tcp, {{"host", "127.0.0.1"}, {"port", 0}}).code == ErrorCode::invalid_file);
}
