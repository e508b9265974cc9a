#include "contract/stores_under_test.h"

#include <atomic>

#include "stores/local.h"
#include "stores/s3.h"
#include "stores/webdav.h"
#include "support/small_server.h"
#include "support/test_server.h"
#include "world/files.h"

namespace lifeboat::test {

namespace {

// Started at the first use, ended with the program.
const TestServer& server(const std::string& script) {
    static std::map<std::string, std::unique_ptr<TestServer>> started;
    std::unique_ptr<TestServer>& one = started[script];
    if (!one) one = std::make_unique<TestServer>(script);
    return *one;
}

// A name that no other store of this program has.
std::string fresh_name() {
    static std::atomic<int> count = 0;
    return "t" + std::to_string(++count);
}

std::function<std::string()> needs(const std::string& script) {
    return [script] { return TestServer::missing(script); };
}

// Deletes its folder behind the store.
struct LocalInScratch final {
    // in memory where possible: thousands of durable writes
    PrivateDirectory folder{std::filesystem::exists("/dev/shm") ? std::filesystem::path("/dev/shm")
                                                                : std::filesystem::temp_directory_path()};
    LocalStore store{"vault", folder.path() / "root"};
};

StoreUnderTest local() {
    return {.kind = "local",
            .missing = [] { return std::string(); },
            .make =
                [] {
                    auto held = std::make_shared<LocalInScratch>();
                    return std::shared_ptr<Store>(held, &held->store);
                },
            .broken =
                [] {
                    return std::vector<StoreUnderTest::Broken>{
                        {"missing root", std::make_shared<LocalStore>("vault", "/nonexistent/root"),
                         ErrorCode::unreachable}};
                }};
}

S3Options radosgw_options() {
    const TestServer& rgw = server("radosgw.sh");
    return {.endpoint = rgw["S3_ENDPOINT"],
            .region = "default",
            .bucket = rgw["S3_BUCKET"],
            .prefix = fresh_name() + "/sub dir+/",
            .key_id = rgw["S3_KEY_ID"],
            .key = Secret(rgw["S3_KEY"])};
}

std::vector<StoreUnderTest::Broken> broken_s3(const S3Options& good) {
    const auto changed = [&](const std::function<void(S3Options&)>& change) {
        S3Options options = good;
        change(options);
        return std::make_shared<S3Store>("vault", options);
    };
    return {
        {"wrong key", changed([](S3Options& o) { o.key = Secret("wrong"); }), ErrorCode::denied},
        {"unknown key id", changed([](S3Options& o) { o.key_id = "NOBODY"; }), ErrorCode::denied},
        {"no credentials", changed([](S3Options& o) { o.key_id.clear(); }), ErrorCode::denied},
        {"missing bucket", changed([](S3Options& o) { o.bucket = "no-such-bucket"; }), ErrorCode::unreachable},
        {"nobody listens",
         changed([](S3Options& o) { o.endpoint = "http://127.0.0.1:" + std::to_string(closed_port()); }),
         ErrorCode::unreachable},
    };
}

StoreUnderTest s3(const std::string& kind, const std::function<void(S3Options&)>& change) {
    return {.kind = kind,
            .missing = needs("radosgw.sh"),
            .make =
                [change] {
                    S3Options options = radosgw_options();
                    change(options);
                    return std::make_shared<S3Store>("vault", options);
                },
            .broken = [] { return broken_s3(radosgw_options()); }};
}

WebdavOptions apache_options(const std::string& kind) {
    const TestServer& apache = server("apache_dav.sh");
    const std::string user = apache["DAV_USER"];
    const Secret password(apache["DAV_PASSWORD"]);
    return {.url = apache["DAV_URL"] + "/" + kind + "/" + fresh_name() + "%20of%2B/",
            .auth = kind == "basic" ? HttpAuth(HttpBasic{user, password}) : HttpAuth(HttpDigest{user, password}),
            .link = {.ca_file = apache["DAV_CA"]}};
}

StoreUnderTest webdav(const std::string& kind) {
    return {
        .kind = "webdav over TLS, " + kind,
        .missing = needs("apache_dav.sh"),
        .make = [kind] { return std::make_shared<WebdavStore>("vault", apache_options(kind)); },
        .broken =
            [kind] {
                const auto changed = [&](const std::function<void(WebdavOptions&)>& change) {
                    WebdavOptions options = apache_options(kind);
                    change(options);
                    return std::make_shared<WebdavStore>("vault", options);
                };
                const std::string other = kind == "basic" ? "digest" : "basic";
                return std::vector<StoreUnderTest::Broken>{
                    {"wrong password", changed([&](WebdavOptions& o) {
                         o.auth = kind == "basic" ? HttpAuth(HttpBasic{"keeper", Secret("wrong")})
                                                  : HttpAuth(HttpDigest{"keeper", Secret("wrong")});
                     }),
                     ErrorCode::denied},
                    {"another way to log in than the server's",
                     changed([&](WebdavOptions& o) { o.auth = apache_options(other).auth; }), ErrorCode::denied},
                    {"no credentials", changed([](WebdavOptions& o) { o.auth = {}; }), ErrorCode::denied},
                    {"certificate of another CA",
                     changed([](WebdavOptions& o) { o.link.ca_file = server("apache_dav.sh")["DAV_WRONG_CA"]; }),
                     ErrorCode::denied},
                    {"the system's CAs", changed([](WebdavOptions& o) { o.link.ca_file.clear(); }), ErrorCode::denied},
                    {"missing collection", changed([](WebdavOptions& o) { o.url += "missing/deeper/"; }),
                     ErrorCode::unreachable},
                    {"nobody listens", changed([](WebdavOptions& o) {
                         o.url = "https://127.0.0.1:" + std::to_string(closed_port()) + "/";
                     }),
                     ErrorCode::unreachable},
                };
            }};
}

}  // namespace

const std::vector<StoreUnderTest>& all_stores() {
    static const std::vector<StoreUnderTest> all{
        local(),
        s3("s3", [](S3Options&) {}),
        s3("s3 with the bucket in the host's name, in parts",
           [](S3Options& options) {
               const HttpUrl endpoint(options.endpoint);
               options.endpoint = "http://localhost:" + endpoint.port();
               options.virtual_hosts = true;
               const std::string port = ":" + endpoint.port();
               options.link.connect_to = {options.bucket + ".localhost" + port + ":127.0.0.1" + port};
               options.multipart_above = Bytes{1u << 20};
               options.part_size = Bytes{5u << 20};
           }),
        webdav("basic"),
        webdav("digest"),
    };
    return all;
}

}  // namespace lifeboat::test
