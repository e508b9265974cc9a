#include "world/http.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <thread>

#include "base/error.h"
#include "support/object_server.h"
#include "support/small_server.h"

using namespace lifeboat;
using namespace lifeboat::test;
using namespace std::chrono_literals;

namespace {

SteadyTime in(Duration duration) {
    return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()) + duration;
}

Error error_of(const HttpRequest& request) {
    try {
        http_request(request);
    } catch (const Error& error) {
        return error;
    }
    FAIL("no error was thrown");
    throw;
}

HttpRequest get(const std::string& url) {
    return {.url = Secret(url), .deadline = in(30s)};
}

}  // namespace

TEST_CASE("a request is sent as given and its response comes back") {
    SmallServer server([](const std::string&) { return http_answer(201, "made", "X-Kind: Test\r\nx-kind: two\r\n"); });
    HttpRequest request = get(server.url("/things?a=b"));
    request.method = "POST";
    request.headers = {{"Content-Type", Secret("application/json")}, {"X-Empty", Secret("")}};
    request.body = R"({"text":"hello"})";
    const HttpResponse response = http_request(request);
    CHECK(response.status == 201);
    CHECK(response.body == "made");
    CHECK_FALSE(response.cut);
    CHECK(response.headers.count("x-kind") == 2);
    CHECK(response.headers.find("x-kind")->second == "Test");
    REQUIRE(server.requests().size() == 1);
    CHECK(server.requests()[0] == "POST /things?a=b HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(server.port()) +
                                      "\r\nUser-Agent: lifeboat\r\nAccept: */*\r\nContent-Type: application/json\r\n"
                                      "X-Empty:\r\nContent-Length: 16\r\n\r\n{\"text\":\"hello\"}");
}

TEST_CASE("HEAD has no body, and any status is a response") {
    SmallServer server(
        [](const std::string&) { return "HTTP/1.1 503 No\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"; });
    HttpRequest request = get(server.url());
    request.method = "HEAD";
    CHECK(http_request(request).status == 503);
}

TEST_CASE("R38 of a long body only the first bytes are kept") {
    SmallServer server([](const std::string&) { return http_answer(200, std::string(3'000'000, 'x')); });
    HttpRequest request = get(server.url());
    const HttpResponse response = http_request(request);
    CHECK(response.body.size() == 1u << 20);
    CHECK(response.cut);
}

TEST_CASE("nobody listening is unreachable, and the message does not hold the URL's path") {
    const std::string origin = "http://127.0.0.1:" + std::to_string(closed_port());
    const Error error = error_of(get(origin + "/hook/very-secret-token"));
    CHECK(error.code == ErrorCode::unreachable);
    CHECK(error.message.starts_with("cannot ask '" + origin + "': "));
    CHECK(error.message.find("very-secret-token") == std::string::npos);

    CHECK(error_of(get("http://no-such-host.invalid/")).code == ErrorCode::unreachable);
}

TEST_CASE("R10 a server that never answers is left at the deadline") {
    SmallServer server([](const std::string&) { return std::string(); });
    HttpRequest request = get(server.url());
    request.deadline = in(100ms);
    const Error error = error_of(request);
    CHECK(error.code == ErrorCode::timed_out);
    CHECK(error.message ==
          "cannot ask 'http://127.0.0.1:" + std::to_string(server.port()) + "': no complete answer in time");
}

TEST_CASE("R10 a stop interrupts a request at once") {
    SmallServer server([](const std::string&) { return std::string(); });
    std::stop_source stop;
    HttpRequest request = get(server.url());
    request.deadline = in(300s);
    request.stop = stop.get_token();
    std::thread asker([&] {
        while (server.requests().empty())
            std::this_thread::sleep_for(5ms);
        stop.request_stop();
    });
    CHECK(error_of(request).code == ErrorCode::cancelled);
    asker.join();
    CHECK(error_of(request).code == ErrorCode::cancelled);
}

TEST_CASE("broken answers are told apart") {
    std::string answer;
    SmallServer server([&](const std::string&) { return answer; });
    answer = "nonsense\r\n\r\n";
    CHECK(error_of(get(server.url())).code == ErrorCode::protocol_failed);
    answer = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort";
    CHECK(error_of(get(server.url())).code == ErrorCode::connection_lost);
    answer = "HTTP/1.1 200 OK\r\nX-Long: " + std::string(400'000, 'x') + "\r\n\r\n";
    CHECK(error_of(get(server.url())).code == ErrorCode::limit_exceeded);
    answer = "HTTP/1.1 200 OK\r\n";
    for (int i = 0; i < 5000; ++i)
        answer += "X-Many: " + std::string(90, 'x') + "\r\n";
    CHECK(error_of(get(server.url())).code == ErrorCode::protocol_failed);
    // a TLS handshake with a server that speaks none
    answer = http_answer(200, "");
    CHECK(error_of(get("https://127.0.0.1:" + std::to_string(server.port()) + "/")).code == ErrorCode::protocol_failed);
}

TEST_CASE("only http and https URLs are asked, and headers are one line") {
    for (const std::string url : {"file:///etc/passwd", "ftp://127.0.0.1/", "gopher://x/", "not a url", "", "/path"})
        CHECK(error_of(get(url)).code == ErrorCode::invalid_file);
    HttpRequest request = get("http://127.0.0.1:1/");
    request.headers = {{"X-Split", Secret("a\r\nX-Evil: b")}};
    const Error error = error_of(request);
    CHECK(error.code == ErrorCode::invalid_file);
    CHECK(error.message == "the header 'X-Split' is not one line");
}

TEST_CASE("R33 a redirect to another host carries no header of ours, one to the same host does") {
    SmallServer other([](const std::string&) { return http_answer(200, "other"); });
    SmallServer server([&](const std::string& request) {
        if (request.starts_with("GET /away ")) return http_answer(302, "", "Location: " + other.url("/there") + "\r\n");
        if (request.starts_with("GET /near ")) return http_answer(307, "", "Location: here\r\n");
        if (request.starts_with("GET /loop ")) return http_answer(302, "", "Location: /loop\r\n");
        return http_answer(200, "same");
    });
    HttpRequest request = get(server.url("/away"));
    request.headers = {{"Authorization", Secret("Bearer token")}, {"X-Api-Key", Secret("key")}};
    CHECK(http_request(request).status == 302);  // not followed unless asked
    CHECK(other.requests().empty());

    request.redirects = 3;
    CHECK(http_request(request).body == "other");
    REQUIRE(other.requests().size() == 1);
    CHECK(other.requests()[0].find("Bearer") == std::string::npos);
    CHECK(other.requests()[0].find("X-Api-Key") == std::string::npos);

    request.url = Secret(server.url("/near"));
    CHECK(http_request(request).body == "same");
    CHECK(server.requests().back().starts_with("GET /here HTTP/1.1\r\n"));
    CHECK(server.requests().back().find("Authorization: Bearer token\r\n") != std::string::npos);

    request.url = Secret(server.url("/loop"));
    CHECK(error_of(request).message ==
          "'http://127.0.0.1:" + std::to_string(server.port()) + "' redirects more than 3 times");
}

TEST_CASE("R6 proxies of the environment are ignored") {
    SmallServer server([](const std::string&) { return http_answer(200, "direct"); });
    const std::string nowhere = "http://127.0.0.1:" + std::to_string(closed_port());
    ::setenv("http_proxy", nowhere.c_str(), 1);
    ::setenv("ALL_PROXY", nowhere.c_str(), 1);
    const HttpResponse response = http_request(get(server.url()));
    ::unsetenv("http_proxy");
    ::unsetenv("ALL_PROXY");
    CHECK(response.body == "direct");
}

TEST_CASE("an origin is scheme, host and a port that is not the standard one") {
    CHECK(origin_of("https://user:pw@example.com/token?x=1") == "https://example.com");
    CHECK(origin_of("http://example.com:8080/") == "http://example.com:8080");
    CHECK(origin_of("http://[::1]:80/a") == "http://[::1]");
}

TEST_CASE("bodies stream both ways over one connection, and what sink and source throw comes through unchanged") {
    ObjectServer server("vault");
    server.put("there", std::string(3u << 20, 'x'));
    HttpClient client;
    HttpRequest request = get(server.url() + "/vault/there");
    std::uint64_t taken = 0;
    int answered = 0;
    request.answered = [&](const HttpResponse& head) {
        ++answered;
        CHECK(head.status == 200);
        CHECK(head.header("content-length") == std::to_string(3u << 20));
    };
    request.sink = [&](std::span<const std::byte> bytes) { taken += bytes.size(); };
    CHECK(client.send(request).body.empty());
    CHECK(taken == 3u << 20);
    CHECK(answered == 1);

    HttpRequest put = get(server.url() + "/vault/new");
    put.method = "PUT";
    put.upload = HttpUpload{.size = 2u << 20, .open = [](std::uint64_t) -> ByteSource {
                                return [left = std::size_t{2u << 20}](std::span<std::byte> into) mutable {
                                    const std::size_t count = std::min(left, into.size());
                                    std::fill_n(into.begin(), count, std::byte{'y'});
                                    left -= count;
                                    return count;
                                };
                            }};
    CHECK(client.send(put).status == 200);
    CHECK(server.content("new") == std::string(2u << 20, 'y'));
    CHECK(server.connections() == 1);

    struct Mine {};
    request.sink = [](auto) { throw Mine{}; };
    CHECK_THROWS_AS(client.send(request), Mine);
    put.upload->open = [](std::uint64_t) -> ByteSource { throw Mine{}; };
    CHECK_THROWS_AS(client.send(put), Mine);
    for (const std::size_t size : {(2u << 20) - 1, (2u << 20) + 1}) {
        put.upload->open = [size](std::uint64_t) -> ByteSource {
            return [left = size](std::span<std::byte> into) mutable {
                const std::size_t count = std::min(left, into.size());
                left -= count;
                return count;
            };
        };
        try {
            client.send(put);
            FAIL("no error was thrown");
        } catch (const Error& error) {
            CHECK(error.code == ErrorCode::incomplete);
        }
    }
    CHECK(server.content("new") == std::string(2u << 20, 'y'));
}
