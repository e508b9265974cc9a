#include "stores/azure.h"

#include <catch2/catch.hpp>

#include "base/base64.h"
#include "support/small_server.h"
#include "unit/stores/asked.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

AzureOptions options_for(const SmallServer& server) {
    return {.account = "account",
            .endpoint = server.url("/account"),
            .container = "vault",
            .key = Secret(base64_encoded("canary of the account's key"))};
}

}  // namespace

TEST_CASE("R11 a SAS travels in the URL and stands in no message") {
    SmallServer server(
        [](const std::string&) { return http_answer(403, "<Error><Code>AuthenticationFailed</Code></Error>"); });
    AzureOptions options = options_for(server);
    options.key = {};
    options.sas = Secret("?sv=2020-12-06&sig=canary%3D");
    AzureStore store("vault", options);
    const Error refused = error_of([&] { store.stat("a b", {}); });
    CHECK(refused.code == ErrorCode::denied);
    REQUIRE(server.requests().size() == 1);
    CHECK(server.requests()[0].starts_with("HEAD /account/vault/a%20b?sv=2020-12-06&sig=canary%3D HTTP/1.1\r\n"));
    options.endpoint = "http://127.0.0.1:" + std::to_string(closed_port()) + "/account";
    AzureStore unreachable("vault", options);
    for (const Error& error : {refused, error_of([&] { unreachable.stat("a", {}); }),
                               error_of([&] { read_all(unreachable, "a", Bytes{10}, {}); })}) {
        CHECK(to_json(error).dump().find("canary") == std::string::npos);
        CHECK(to_json(error).dump().find("sig=") == std::string::npos);
    }
}

TEST_CASE("an archived blob says so, and is asked for once") {
    std::string headers = "x-ms-access-tier: Archive\r\n";
    SmallServer server([&](const std::string& request) {
        if (request.starts_with("HEAD "))
            return "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n" + headers + "\r\n";
        if (request.starts_with("PUT ")) return http_answer(202, "");
        return http_answer(409, "", "x-ms-error-code: BlobArchived\r\n");
    });
    AzureOptions options = options_for(server);
    options.thaw.speed = ThawSpeed::expedited;
    AzureStore store("vault", options);
    CHECK(read_of(store, "dump").error->code == ErrorCode::archived);
    CHECK(store.thaw_state("dump", {}).state == Thaw::frozen);
    store.request_thaw("dump", {});
    const std::string asked = server.requests().back();
    CHECK(asked.starts_with("PUT /account/vault/dump?comp=tier HTTP/1.1\r\n"));
    CHECK(asked.find("x-ms-access-tier: Hot\r\n") != std::string::npos);
    CHECK(asked.find("x-ms-rehydrate-priority: High\r\n") != std::string::npos);
    headers += "x-ms-archive-status: rehydrate-pending-to-hot\r\n";
    CHECK(store.thaw_state("dump", {}).state == Thaw::thawing);
    store.request_thaw("dump", {});
    CHECK(server.requests().back().starts_with("HEAD "));
    headers = "x-ms-access-tier: Hot\r\n";
    CHECK(store.thaw_state("dump", {}).state == Thaw::ready);
}

TEST_CASE("a missing container is the store's absence, not the object's") {
    SmallServer server(
        [](const std::string&) { return http_answer(404, "", "x-ms-error-code: ContainerNotFound\r\n"); });
    AzureStore store("vault", options_for(server));
    const Error error = error_of([&] { store.stat("dump", {}); });
    CHECK(error.code == ErrorCode::unreachable);
    CHECK(is_lasting(error));
    CHECK(error.message == "object 'dump' in store 'vault': there is no container 'vault'");
}

TEST_CASE("options of an account that cannot be are refused") {
    const auto code = [](const AzureOptions& options) { return error_of([&] { AzureStore("vault", options); }).code; };
    CHECK(code({.account = "a", .container = ""}) == ErrorCode::invalid_file);
    CHECK(code({.account = "a", .container = "c", .key = Secret("no base64!")}) == ErrorCode::invalid_file);
    CHECK(code({.endpoint = "https://h/?sig=x", .container = "c"}) == ErrorCode::invalid_file);
}
