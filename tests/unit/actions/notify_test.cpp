#include <catch2/catch.hpp>

#include "support/small_server.h"
#include "unit/actions/deed_world.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

struct Notices : DeedWorld {
    explicit Notices(Resource notifier) : DeedWorld({{"oncall", std::move(notifier)}}) {}
    ActionList actions = notify_actions(world());
    const Action& send = action_named(actions, "notify.send");
    Json words = {{"to", {{"of", "oncall"}}}, {"text", "recovered \"shop\""}};
};

Resource webhook(Json fields) {
    return {.name = "oncall", .type = "webhook", .fields = std::move(fields)};
}

}  // namespace

TEST_CASE("a webhook gets text, run and step as JSON") {
    SmallServer server([](const std::string&) { return http_answer(200, "ok"); });
    Notices here(webhook({{"url", {{"secret", "hook"}}}, {"headers", {{"X-Team", "dr"}}}}));
    here.secrets.known["hook"] = server.url("/services/T0K3N");
    CHECK(here.run(here.send, here.words) == Json::object());
    REQUIRE(server.requests().size() == 1);
    const std::string request = server.requests()[0];
    CHECK(request.starts_with("POST /services/T0K3N HTTP/1.1\r\n"));
    CHECK(request.find("Content-Type: application/json\r\n") != std::string::npos);
    CHECK(request.find("X-Team: dr\r\n") != std::string::npos);
    CHECK(request.substr(request.find("\r\n\r\n") + 4) ==
          R"({"run":"run-1","step":"step","text":"recovered \"shop\""})");
}

TEST_CASE("R40 a webhook that hangs, refuses or is not there is an error in time, without its URL") {
    SmallServer hanging([](const std::string&) { return std::string(); });
    SmallServer refusing([](const std::string&) { return http_answer(403, "go away\x1b[2J"); });
    SmallServer broken([](const std::string&) { return http_answer(500, ""); });
    const auto error = [](const std::string& url) {
        Notices here(webhook({{"url", {{"secret", "hook"}}}}));
        here.secrets.known["hook"] = url + "T0K3N";
        here.words["within"] = "100ms";
        const Error found = here.error_of(here.send, here.words);
        CHECK(found.full_message().find("T0K3N") == std::string::npos);
        return found;
    };
    CHECK(error(hanging.url()).code == ErrorCode::timed_out);
    const Error refused = error(refusing.url());
    CHECK(refused.code == ErrorCode::denied);
    CHECK(refused.message == "the notifier 'oncall' answered 403: go away\\x1b[2J");
    CHECK(error(broken.url()).message == "the notifier 'oncall' answered 500");
    CHECK(error("http://127.0.0.1:" + std::to_string(closed_port()) + "/").code == ErrorCode::unreachable);
}

TEST_CASE("an outbox keeps a line for each message") {
    ScratchFolder folder;
    const std::string path = folder / "messages.jsonl";
    Notices here({.name = "oncall", .type = "outbox", .fields = {{"path", path}}});
    here.run(here.send, here.words);
    here.words["text"] = "second";
    here.run(here.send, here.words);
    CHECK(read_text(path) ==
          "{\"run\":\"run-1\",\"step\":\"step\",\"text\":\"recovered \\\"shop\\\"\"}\n"
          "{\"run\":\"run-1\",\"step\":\"step\",\"text\":\"second\"}\n");

    Notices nobody({.name = "oncall", .type = "files", .fields = {{"path", path}}});
    CHECK(nobody.error_of(nobody.send, nobody.words).code == ErrorCode::invalid_file);
}
