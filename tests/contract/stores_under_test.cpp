#include "contract/stores_under_test.h"

#include <atomic>
#include <filesystem>
#include <fstream>

#include "base/base64.h"
#include "base/sha256.h"
#include "contract/sftp_under_test.h"
#include "stores/azure.h"
#include "stores/gcs.h"
#include "stores/http.h"
#include "stores/local.h"
#include "stores/s3.h"
#include "stores/webdav.h"
#include "support/object_server.h"
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

struct LocalInScratch final {
    // in memory where possible: thousands of durable writes
    PrivateDirectory folder{std::filesystem::exists("/dev/shm") ? std::filesystem::path("/dev/shm")
                                                                : std::filesystem::temp_directory_path()};
    LocalStore store{"vault", folder.path() / "root"};
};

void make_sparse_file(const std::filesystem::path& file, std::uint64_t size, const std::string& end) {
    write_text(file, "");
    std::filesystem::resize_file(file, size - end.size());
    std::ofstream out(file, std::ios::binary | std::ios::app);
    out << end;
}

StoreUnderTest local() {
    return {.kind = "local",
            .missing = [] { return std::string(); },
            .make =
                [] {
                    auto held = std::make_shared<LocalInScratch>();
                    return std::shared_ptr<Store>(held, &held->store);
                },
            .make_sparse =
                [](const std::string& key, std::uint64_t size, const std::string& end) {
                    auto held = std::make_shared<LocalInScratch>();
                    make_sparse_file(held->store.root() / key, size, end);
                    return std::shared_ptr<Store>(held, &held->store);
                },
            .make_on_disk =
                [] {
                    auto held = std::make_shared<LocalInScratch>();
                    return StoreUnderTest::OnDisk{.folder = held->store.root(), .open = [held] {
                                                      return std::make_shared<LocalStore>("vault", held->store.root());
                                                  }};
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
        .make_sparse =
            [kind](const std::string& key, std::uint64_t size, const std::string& end) {
                const TestServer& apache = server("apache_dav.sh");
                const std::string folder = fresh_name();
                make_sparse_file(apache["DAV_DATA"] + "/" + folder + "/" + key, size, end);
                WebdavOptions options = apache_options(kind);
                options.url = apache["DAV_URL"] + "/" + kind + "/" + folder + "/";
                return std::make_shared<WebdavStore>("vault", options);
            },
        .make_on_disk =
            [kind] {
                const std::string folder = fresh_name();
                WebdavOptions options = apache_options(kind);
                options.url = server("apache_dav.sh")["DAV_URL"] + "/" + kind + "/" + folder + "/";
                return StoreUnderTest::OnDisk{
                    .folder = server("apache_dav.sh")["DAV_DATA"] + "/" + folder,
                    .open = [options] { return std::make_shared<WebdavStore>("vault", options); }};
            },
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

// A folder that a web server shows: read through it, written to behind it.
class Published final : public Store {
  public:
    Published(LocalStore folder, HttpOptions options)
        : folder_(std::move(folder)), shown_("vault", std::move(options)) {}

    const std::string& name() const override { return shown_.name(); }
    StoreFeatures features() const override { return shown_.features(); }
    void list(const ListQuery& query, const ListedPage& page, const WorkControl& control) override {
        shown_.list(query, page, control);
    }
    std::optional<StoredObject> stat(const std::string& key, const WorkControl& control) override {
        return shown_.stat(key, control);
    }
    ReadEnd read(const std::string& key, const ReadRange& range, const ByteSink& sink,
                 const WorkControl& control) override {
        return shown_.read(key, range, sink, control);
    }
    StoredObject write(const std::string& key, const Content& content, const WriteOptions& options,
                       const WorkControl& control) override {
        return folder_.write(key, content, options, control);
    }
    bool remove(const std::string& key, const WorkControl& control) override { return folder_.remove(key, control); }

  private:
    LocalStore folder_;
    HttpStore shown_;
};

StoreUnderTest http(const std::string& kind, const std::string& path) {
    return {.kind = "http, " + kind,
            .missing = needs("nginx.sh"),
            .make =
                [path] {
                    const TestServer& nginx = server("nginx.sh");
                    const std::string folder = fresh_name();
                    return std::make_shared<Published>(
                        LocalStore("vault", nginx["HTTP_DATA"] + "/" + folder + " of+"),
                        HttpOptions{.url = nginx["HTTP_URL"] + path + folder + "%20of%2B/",
                                    .auth = HttpBasic{nginx["HTTP_USER"], Secret(nginx["HTTP_PASSWORD"])}});
                },
            .make_sparse =
                [path](const std::string& key, std::uint64_t size, const std::string& end) {
                    const TestServer& nginx = server("nginx.sh");
                    const std::string folder = fresh_name();
                    make_sparse_file(nginx["HTTP_DATA"] + "/" + folder + "/" + key, size, end);
                    return std::make_shared<HttpStore>("vault",
                                                       HttpOptions{.url = nginx["HTTP_URL"] + path + folder + "/"});
                },
            .broken =
                [] {
                    const TestServer& nginx = server("nginx.sh");
                    const auto made = [&](const std::string& url, const std::string& password) {
                        return std::make_shared<HttpStore>(
                            "vault", HttpOptions{.url = url, .auth = HttpBasic{"keeper", Secret(password)}});
                    };
                    return std::vector<StoreUnderTest::Broken>{
                        {"wrong password", made(nginx["HTTP_URL"] + "/private/", "wrong"), ErrorCode::denied},
                        {"nobody listens", made("http://127.0.0.1:" + std::to_string(closed_port()) + "/", "secret"),
                         ErrorCode::unreachable},
                    };
                }};
}

AzureOptions azurite_options() {
    const TestServer& azurite = server("azurite.sh");
    return {.account = azurite["AZURE_ACCOUNT"],
            .endpoint = azurite["AZURE_ENDPOINT"],
            .container = azurite["AZURE_CONTAINER"],
            .prefix = fresh_name() + "/sub dir+/",
            .key = Secret(azurite["AZURE_KEY"]),
            .link = {.ca_file = azurite["AZURE_CA"]}};
}

// For the container, for an hour.
Secret shared_access(const AzureOptions& options, const std::string& permissions) {
    const std::string end = to_text(SystemClock().now() + std::chrono::hours(1)).substr(0, 19) + "Z";
    const std::string version = "2020-12-06";
    const std::string text = permissions + "\n\n" + end + "\n/blob/" + options.account + "/" + options.container +
                             "\n\n\nhttps\n" + version + "\nc\n\n\n\n\n\n\n";
    const Digest digest = hmac_sha256(*base64_decoded(options.key.reveal()), text);
    return Secret("sv=" + version + "&sr=c&spr=https&sp=" + permissions + "&se=" + percent_encoded(end) +
                  "&sig=" + percent_encoded(base64_encoded(std::string(digest.begin(), digest.end()))));
}

AzureOptions with_shared_access(AzureOptions options, const std::string& permissions) {
    options.sas = shared_access(options, permissions);
    options.key = {};
    return options;
}

StoreUnderTest azure(const std::string& kind, const std::function<AzureOptions()>& options) {
    return {.kind = "azure, " + kind,
            .missing = needs("azurite.sh"),
            .make = [options] { return std::make_shared<AzureStore>("vault", options()); },
            .broken =
                [options] {
                    const auto changed = [&](const std::function<void(AzureOptions&)>& change) {
                        AzureOptions other = options();
                        change(other);
                        return std::make_shared<AzureStore>("vault", other);
                    };
                    return std::vector<StoreUnderTest::Broken>{
                        {"wrong key", changed([](AzureOptions& o) {
                             o.sas = {};
                             o.key = Secret(base64_encoded("another key"));
                         }),
                         ErrorCode::denied},
                        {"SAS with another signature", changed([](AzureOptions& o) {
                             o.key = Secret(base64_encoded("another key"));
                             o = with_shared_access(o, "rcwdl");
                         }),
                         ErrorCode::denied},
                        {"certificate of another CA",
                         changed([](AzureOptions& o) { o.link.ca_file = server("azurite.sh")["AZURE_WRONG_CA"]; }),
                         ErrorCode::denied},
                        {"nobody listens", changed([](AzureOptions& o) {
                             o.endpoint = "https://127.0.0.1:" + std::to_string(closed_port());
                         }),
                         ErrorCode::unreachable},
                    };
                }};
}

// Google offers no server to run: this is a stand-in, written by us, which checks the token only. Its XML interface
// with HMAC keys is S3's.
struct GoogleStandIn {
    ObjectServer server{"vault", "ya29.token-of-the-test"};
    S3Store store;

    explicit GoogleStandIn(const std::function<void(GcsOptions&)>& change = [](GcsOptions&) {})
        : store("vault", options(server, change)) {}

    static S3Options options(const ObjectServer& server, const std::function<void(GcsOptions&)>& change) {
        GcsOptions google{.bucket = "vault",
                          .prefix = "sub dir+/",
                          .token = Secret("ya29.token-of-the-test"),
                          .endpoint = server.url()};
        change(google);
        return s3_options(google);
    }
};

StoreUnderTest google() {
    const auto make = [](const std::function<void(GcsOptions&)>& change) {
        auto held = std::make_shared<GoogleStandIn>(change);
        return std::shared_ptr<Store>(held, &held->store);
    };
    return {
        .kind = "gcs, on a stand-in",
        .missing = [] { return std::string(); },
        .make = [make] { return make([](GcsOptions&) {}); },
        .broken =
            [make] {
                return std::vector<StoreUnderTest::Broken>{
                    {"wrong token", make([](GcsOptions& o) { o.token = Secret("ya29.another"); }), ErrorCode::denied},
                    {"missing bucket", make([](GcsOptions& o) { o.bucket = "no-such-bucket"; }),
                     ErrorCode::unreachable},
                };
            }};
}

}  // namespace

const std::vector<StoreUnderTest>& all_stores() {
    static const std::vector<StoreUnderTest> all = [] {
        std::vector<StoreUnderTest> stores{
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
            http("listed in JSON", "/json/"),
            http("listed in HTML", "/html/"),
            azure("with a shared key", [] { return azurite_options(); }),
            azure("with a SAS, in blocks",
                  [] {
                      AzureOptions options = with_shared_access(azurite_options(), "rcwdl");
                      options.blocks_above = Bytes{1u << 20};
                      options.block_size = Bytes{1u << 20};
                      return options;
                  }),
            google(),
        };
        const auto sftp = sftp_stores();
        stores.insert(stores.end(), sftp.begin(), sftp.end());
        return stores;
    }();
    return all;
}

}  // namespace lifeboat::test
