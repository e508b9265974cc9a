#include <catch2/catch.hpp>

#include "stores/http.h"
#include "support/small_server.h"
#include "unit/stores/asked.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

using Keys = std::vector<std::string>;

Keys keys_of(Store& store, const ListQuery& query = {}) {
    Keys keys;
    store.list(query,
               [&](std::span<const Listed> page) {
                   for (const Listed& line : page)
                       keys.push_back(line.object.key + " " + to_text(line.object.size));
                   return true;
               },
               {});
    return keys;
}

}  // namespace

TEST_CASE("a page of Apache is read for what is in its folder, and nothing else") {
    SmallServer server([](const std::string& request) {
        if (request.starts_with("HEAD "))
            return std::string("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1234\r\n\r\n");
        if (!request.starts_with("GET /backups/ ")) return http_answer(404, "");
        return http_answer(200, R"(<html><head><title>Index of /backups</title></head><body><table>
<tr><th><a href="?C=N;O=D">Name</a></th></tr><tr><td><a href="/">Parent Directory</a></td></tr>
<tr><td><a href="a%20b&amp;c.dump">a b&amp;c.dump</a></td><td>1.2K</td></tr>
<tr><td><a href="/backups/absolute">absolute</a></td></tr>
<tr><td><a href="set/">set/</a></td></tr>
<tr><td><a href="../outside">x</a></td></tr><tr><td><a href="%2e%2e/outside">x</a></td></tr>
<tr><td><a href="http://elsewhere.invalid/backups/x">x</a></td></tr>
</table></body></html>)",
                           "Content-Type: text/html;charset=UTF-8\r\n");
    });
    HttpStore store("vault", {.url = server.url("/backups/")});
    CHECK(keys_of(store, {.one_level = true}) == Keys{"a b&c.dump 1234B", "absolute 1234B", "set/ 0B"});
    CHECK_FALSE(store.features().writes);
}

TEST_CASE("an index file lists what it names") {
    const std::string digest(64, 'a');
    SmallServer server([&](const std::string& request) {
        if (request.starts_with("GET /b/SHA256SUMS ")) {
            return http_answer(
                200, digest + "  ./set/1/dump\n" + digest + " *set/1/manifest.json\nset/gone\nplain\n../outside\n");
        }
        if (request.starts_with("HEAD ") && request.find("gone") == std::string::npos)
            return std::string("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 7\r\n\r\n");
        return http_answer(404, "");
    });
    HttpStore store("vault", {.url = server.url("/b"), .listing = HttpOptions::Listing::index});
    CHECK(keys_of(store) == Keys{"plain 7B", "set/1/dump 7B", "set/1/manifest.json 7B"});
    CHECK(keys_of(store, {.prefix = "set/", .one_level = true}) == Keys{"set/1/ 0B"});
}

TEST_CASE("a server that shows no folders says so instead of listing nothing") {
    SmallServer server([](const std::string&) {
        return http_answer(200, "<html><a href=\"x\">welcome</a></html>", "Content-Type: text/html\r\n");
    });
    HttpStore store("vault", {.url = server.url("/")});
    CHECK(error_of([&] { keys_of(store); }).code == ErrorCode::unsupported);
    HttpStore blind("vault", {.url = server.url("/"), .listing = HttpOptions::Listing::nothing});
    CHECK(error_of([&] { keys_of(blind); }).code == ErrorCode::unsupported);
    CHECK(error_of([&] { blind.write("x", content_of("x"), {}, {}); }).code == ErrorCode::unsupported);
}
