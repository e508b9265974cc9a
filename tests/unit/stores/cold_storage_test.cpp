// Cold storage of real servers: Azurite's archive tier, and a real S3 server behind our stand-in for Glacier.
#include "stores/cold_storage.h"

#include <fstream>

#include "stores/azure.h"
#include "stores/retry.h"
#include "support/test_server.h"
#include "unit/stores/asked.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

std::map<std::string, std::string> listed_classes(Store& store) {
    std::map<std::string, std::string> classes;
    store.list({},
               [&](std::span<const Listed> page) {
                   for (const Listed& line : page)
                       classes[line.object.key] = line.object.cold_class;
                   return true;
               },
               {});
    return classes;
}

// Skips the test, with the reason, where the server is not installed.
bool is_missing(const std::string& script) {
    const std::string missing = TestServer::missing(script);
    if (!missing.empty()) WARN("SKIPPED: " << script << " needs " << missing);
    return !missing.empty();
}

}  // namespace

TEST_CASE("a blob in Azure's archive tier is listed as such, refused, asked for, and read then") {
    if (is_missing("azurite.sh")) return;
    const TestServer server("azurite.sh");
    AzureOptions options{.account = server["AZURE_ACCOUNT"],
                         .endpoint = server["AZURE_ENDPOINT"],
                         .container = server["AZURE_CONTAINER"],
                         .key = Secret(server["AZURE_KEY"]),
                         .access_tier = "Archive",
                         .link = {.ca_file = server["AZURE_CA"]}};
    options.blocks_above = Bytes{1000};
    options.block_size = Bytes{1000};
    RetryStore store(std::make_shared<AzureStore>("vault", options), RetryPolicy{});
    store.write("dump", content_of("whole"), {}, {});
    store.write("large", content_of(pattern(2500, "large")), {}, {});
    store.write("manifest.json", content_of("{}"), {.at_hand = true}, {});
    CHECK(listed_classes(store) ==
          std::map<std::string, std::string>{{"dump", "Archive"}, {"large", "Archive"}, {"manifest.json", ""}});
    CHECK(read_of(store, "manifest.json").text == "{}");
    const auto refused = read_of(store, "dump").error;
    REQUIRE(refused);
    CHECK(refused->code == ErrorCode::archived);
    CHECK(refused->message == "object 'dump' in store 'vault': it lies in cold storage");
    ColdStorage* cold = store.cold_storage();
    REQUIRE(cold != nullptr);
    CHECK(cold->thaw_state("dump", {}).state == Thaw::frozen);
    CHECK(cold->thaw_state("manifest.json", {}).state == Thaw::ready);
    cold->request_thaw("dump", {});
    cold->request_thaw("large", {});
    cold->request_thaw("dump", {});
    CHECK(cold->thaw_state("dump", {}).state == Thaw::ready);
    CHECK(read_of(store, "dump").text == "whole");
    CHECK(read_of(store, "large").text == pattern(2500, "large"));
}

TEST_CASE("an object in Glacier is listed as such, refused, asked for once, and read when it is there") {
    if (is_missing("radosgw.sh")) return;
    const TestServer server("radosgw.sh", {{"COLD", "1"}});
    S3Options options{.endpoint = server["S3_ENDPOINT"],
                      .bucket = server["S3_BUCKET"],
                      .key_id = server["S3_KEY_ID"],
                      .key = Secret(server["S3_KEY"]),
                      .storage_class = "GLACIER"};
    RetryStore store(std::make_shared<S3Store>("vault", options), RetryPolicy{});
    store.write("a b/dump", content_of("frozen"), {}, {});
    store.write("manifest.json", content_of("{}"), {.at_hand = true}, {});
    CHECK(listed_classes(store) == std::map<std::string, std::string>{{"a b/dump", "GLACIER"}, {"manifest.json", ""}});
    CHECK(read_of(store, "manifest.json").text == "{}");
    CHECK(read_of(store, "a b/dump").error->code == ErrorCode::archived);
    ColdStorage* cold = store.cold_storage();
    REQUIRE(cold != nullptr);
    CHECK(cold->thaw_state("a b/dump", {}).state == Thaw::frozen);
    for (int time = 0; time < 3; ++time)
        cold->request_thaw("a b/dump", {});
    CHECK(cold->thaw_state("a b/dump", {}).state == Thaw::thawing);
    CHECK(read_of(store, "a b/dump").error->code == ErrorCode::archived);
    std::ofstream(server.folder() / "thaw") << "";
    CHECK(cold->thaw_state("a b/dump", {}).state == Thaw::ready);
    CHECK(read_of(store, "a b/dump").text == "frozen");
    std::ifstream restores(server.folder() / "restores");
    CHECK(std::string(std::istreambuf_iterator<char>(restores), {}) == "/vault/a%20b/dump 7 Standard\n");

    S3Options wrong = options;
    wrong.key = Secret("another");
    S3Store stranger("vault", wrong);
    CHECK(error_of([&] { stranger.request_thaw("a b/dump", {}); }).code == ErrorCode::denied);
}
