#include "stores/s3.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "stores/gcs.h"
#include "stores/http.h"
#include "stores/signature_v4.h"
#include "stores/webdav.h"
#include "support/small_server.h"
#include "unit/stores/asked.h"

using namespace lifeboat;
using namespace lifeboat::test;
using namespace std::chrono_literals;

namespace {

std::string signature_of(HttpRequest request, const std::string& body_digest) {
    const SigningKey key{.region = "us-east-1",
                         .key_id = "AKIAIOSFODNN7EXAMPLE",
                         .key = Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")};
    sign_v4(request, key, body_digest, *parse_timestamp("2013-05-24T00:00:00Z"));
    return request.headers.back().value.reveal();
}

const std::string no_body = sha256_hex("");

}  // namespace

TEST_CASE("R33 signatures are those of Amazon's published examples") {
    const std::string host = "https://examplebucket.s3.amazonaws.com";
    const std::string credential =
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,";
    CHECK(signature_of({.url = Secret(host + "/test.txt"), .headers = {{"Range", Secret("bytes=0-9")}}}, no_body) ==
          credential +
              "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
              "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    CHECK(signature_of({.method = "PUT",
                        .url = Secret(host + "/test%24file.text"),
                        .headers = {{"Date", Secret("Fri, 24 May 2013 00:00:00 GMT")},
                                    {"x-amz-storage-class", Secret("REDUCED_REDUNDANCY")}}},
                       sha256_hex("Welcome to Amazon S3.")) ==
          credential +
              "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,"
              "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
    CHECK(signature_of({.url = Secret(host + "/?lifecycle=")}, no_body) ==
          credential +
              "SignedHeaders=host;x-amz-content-sha256;x-amz-date,"
              "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    CHECK(signature_of({.url = Secret(host + "/?max-keys=2&prefix=J")}, no_body) ==
          credential +
              "SignedHeaders=host;x-amz-content-sha256;x-amz-date,"
              "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST_CASE("R33 a redirect to another host is refused before it sees anything") {
    SmallServer elsewhere([](const std::string&) { return http_answer(200, "stolen"); });
    for (const int status : {301, 302, 307, 308}) {
        ObjectServer server("vault");
        server.put("dump", "right");
        server.fail([&](const ObjectRequest&) {
            return ObjectFault{.answer = canned(status, "Location: " + elsewhere.url("/vault/dump") + "\r\n")};
        });
        S3Store store("vault", options_for(server));
        const ReadResult read = read_of(store, "dump");
        REQUIRE(read.error);
        CHECK(read.error->code == ErrorCode::refused);
        CHECK(read.text.empty());
        CHECK(error_of([&] { store.write("dump", content_of("x"), {}, {}); }).code == ErrorCode::refused);
        WebdavStore dav("vault", {.url = server.url() + "/vault/", .auth = HttpBasic{"keeper", Secret("canary")}});
        CHECK(error_of([&] { dav.write("dump", content_of("x"), {}, {}); }).code == ErrorCode::refused);
        CHECK(read_of(dav, "dump").error->code == ErrorCode::refused);
    }
    CHECK(elsewhere.requests().empty());
}

TEST_CASE("R33 a redirect within the endpoint is signed again for its new host") {
    ObjectServer server("vault");
    server.put("dump", "right");
    const HttpUrl endpoint(server.url());
    const std::string here = "localhost:" + endpoint.port();
    const std::string there = "eu.localhost:" + endpoint.port();
    server.fail([&](const ObjectRequest& request) {
        if (request.headers.at("host") == there) return ObjectFault{};
        return ObjectFault{.answer = canned(307, "Location: http://" + there + "/vault/dump\r\n")};
    });
    S3Options options = options_for(server);
    options.endpoint = "http://" + here;
    options.link.connect_to = {"::127.0.0.1:" + endpoint.port()};
    S3Store store("vault", options);
    CHECK(read_of(store, "dump").text == "right");
    const std::vector<ObjectRequest> requests = server.requests();
    REQUIRE(requests.size() == 2);
    CHECK(requests[0].headers.at("authorization") != requests[1].headers.at("authorization"));
    CHECK(requests[1].headers.at("authorization").find("SignedHeaders=accept-encoding;host;") != std::string::npos);
}

TEST_CASE("R33 reads of a web server follow redirects, its credentials do not") {
    ObjectServer elsewhere("vault");
    elsewhere.put("dump", "mirrored");
    SmallServer server(
        [&](const std::string&) { return http_answer(302, "", "Location: " + elsewhere.url() + "/vault/dump\r\n"); });
    for (HttpOptions options :
         {HttpOptions{.auth = HttpBasic{"keeper", Secret("canary")}}, HttpOptions{.bearer = Secret("canary")}}) {
        options.url = server.url("/backups/");
        HttpStore store("vault", options);
        CHECK(read_of(store, "dump").text == "mirrored");
        CHECK(store.stat("dump", {})->size == Bytes{8});
    }
    for (const std::string& request : server.requests())
        CHECK(request.find("Authorization: ") != std::string::npos);
    for (const ObjectRequest& request : elsewhere.requests())
        CHECK_FALSE(request.headers.contains("authorization"));
    CHECK(elsewhere.requests().size() == 4);
}

TEST_CASE("R19 a signature that is refused for its time is made again with the server's clock") {
    ObjectServer server("vault");
    server.put("dump", "right");
    server.clock_seconds = -7200;
    const auto limit = std::chrono::minutes(15);
    server.fail([&](const ObjectRequest& request) {
        const std::string& date = request.headers.at("x-amz-date");
        const auto when = parse_timestamp(date.substr(0, 4) + "-" + date.substr(4, 2) + "-" + date.substr(6, 5) + ":" +
                                          date.substr(11, 2) + ":" + date.substr(13, 3));
        const Timestamp now = SystemClock().now() - 2h;
        if (when && std::chrono::abs(*when - now) < limit) return ObjectFault{};
        return ObjectFault{.answer = canned(403, "Date: " + to_http_date(now) + "\r\n",
                                            "<Error><Code>RequestTimeTooSkewed</Code></Error>")};
    });
    S3Store store("vault", options_for(server));
    CHECK(read_of(store, "dump").text == "right");
    CHECK(server.requests().size() == 2);
    CHECK(store.clock_offset() < -119min);
    CHECK(store.stat("dump", {})->size == Bytes{5});
    CHECK(server.requests().size() == 3);
}

TEST_CASE("credentials, encryption and storage class travel as headers that are signed") {
    ObjectServer server("vault");
    S3Options options = options_for(server);
    options.session_token = Secret("canary-of-the-session");
    options.encryption = "aws:kms";
    options.kms_key = "alias/backups";
    options.storage_class = "STANDARD_IA";
    S3Store store("vault", options);
    store.write("a b+c", content_of("text"), {}, {});
    const ObjectRequest put = server.requests().back();
    CHECK(put.key == "a b+c");
    CHECK(put.headers.at("x-amz-security-token") == "canary-of-the-session");
    CHECK(put.headers.at("x-amz-server-side-encryption") == "aws:kms");
    CHECK(put.headers.at("x-amz-server-side-encryption-aws-kms-key-id") == "alias/backups");
    CHECK(put.headers.at("x-amz-storage-class") == "STANDARD_IA");
    CHECK(put.headers.at("x-amz-content-sha256") == sha256_hex("text"));
    CHECK(put.headers.at("authorization")
              .find("SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token;"
                    "x-amz-server-side-encryption;x-amz-server-side-encryption-aws-kms-key-id;x-amz-storage-class,") !=
          std::string::npos);
}

TEST_CASE("parts that cannot be completed are given back, and nothing is visible before") {
    ObjectServer server("vault");
    S3Options options = options_for(server);
    options.multipart_above = Bytes{1u << 20};
    options.part_size = Bytes{5u << 20};
    S3Store store("vault", options);
    const std::string text = pattern(12u << 20, "large");
    server.fail([&](const ObjectRequest& request) {
        CHECK(server.keys().empty());
        const auto part = request.query.find("partNumber");
        return part != request.query.end() && part->second == "3" ? ObjectFault{.answer = canned(507)} : ObjectFault{};
    });
    CHECK(error_of([&] { store.write("large", content_of(text), {}, {}); }).code == ErrorCode::disk_full);
    CHECK(server.open_uploads() == 0);
    // a success that turns out to be none in its body
    server.fail([&](const ObjectRequest& request) {
        const bool completes = request.method == "POST" && request.query.contains("uploadId");
        return completes ? ObjectFault{.answer = canned(200, "", "<Error><Code>InternalError</Code></Error>")}
                         : ObjectFault{};
    });
    CHECK(error_of([&] { store.write("large", content_of(text), {}, {}); }).code == ErrorCode::unreachable);
    CHECK(server.open_uploads() == 0);
    CHECK(server.keys().empty());
    server.fail({});
    const StoredObject written = store.write("large", content_of(text), {}, {});
    const std::optional<StoredObject> found = store.stat("large", {});
    REQUIRE(found);
    CHECK(written.validator == found->validator);
    CHECK(server.content("large") == text);
}

TEST_CASE("what is written is read once, in parts and whole") {
    ObjectServer server("vault");
    S3Options options = options_for(server);
    options.part_size = Bytes{5u << 20};
    for (const std::size_t size : {0U, 1U, 3U << 20, 21U << 20}) {
        S3Store store("vault", options);
        const std::string text = pattern(size, "large");
        std::uint64_t given = 0;
        std::size_t opened = 0;
        const Content counted{.size = size, .open = [&](std::uint64_t offset) -> ByteSource {
                                  ++opened;
                                  return [&, offset](std::span<std::byte> into) mutable {
                                      const std::size_t count =
                                          std::min<std::size_t>(into.size(), size - static_cast<std::size_t>(offset));
                                      std::memcpy(into.data(), text.data() + offset, count);
                                      offset += count;
                                      given += count;
                                      return count;
                                  };
                              }};
        store.write("large", counted, {}, {});
        CHECK(server.content("large") == text);
        CHECK(given == size);
        CHECK(opened == (size > (16U << 20) ? 5 : 1));
    }
}

TEST_CASE("an object in cold storage says so, and is asked for once") {
    ObjectServer server("vault");
    server.put("dump", "frozen");
    server.extra_headers = "x-amz-storage-class: DEEP_ARCHIVE\r\n";
    server.fail([](const ObjectRequest& request) {
        return request.method == "GET"
                   ? ObjectFault{.answer = canned(403, "", "<Error><Code>InvalidObjectState</Code></Error>")}
                   : ObjectFault{};
    });
    S3Options options = options_for(server);
    options.thaw = {.speed = ThawSpeed::bulk, .days = 3};
    S3Store store("vault", options);
    CHECK(read_of(store, "dump").error->code == ErrorCode::archived);
    ColdStorage* cold = static_cast<Store&>(store).cold_storage();
    REQUIRE(cold != nullptr);
    CHECK(cold->thaw_state("dump", {}).state == Thaw::frozen);
    cold->request_thaw("dump", {});
    const ObjectRequest asked = server.requests().back();
    CHECK(asked.method == "POST");
    CHECK(asked.query.contains("restore"));
    CHECK(asked.body ==
          "<RestoreRequest><Days>3</Days><GlacierJobParameters><Tier>Bulk</Tier></GlacierJobParameters>"
          "</RestoreRequest>");
    server.extra_headers += "x-amz-restore: ongoing-request=\"true\"\r\n";
    CHECK(cold->thaw_state("dump", {}).state == Thaw::thawing);
    cold->request_thaw("dump", {});
    CHECK(server.requests().back().method == "HEAD");
    server.extra_headers =
        "x-amz-storage-class: GLACIER\r\n"
        "x-amz-restore: ongoing-request=\"false\", expiry-date=\"Fri, 21 Dec 2012 00:00:00 GMT\"\r\n";
    const ThawState thawed = cold->thaw_state("dump", {});
    CHECK(thawed.state == Thaw::ready);
    CHECK(thawed.until == parse_timestamp("2012-12-21T00:00:00Z"));
}

TEST_CASE("how long it takes to thaw an object is what the service states, unless the site knows better") {
    const auto hours = [](ThawTerms terms, std::string_view cold_class) {
        S3Options options{.bucket = "vault"};
        options.thaw = terms;
        return to_text(S3Store("vault", options).thaw_takes(cold_class));
    };
    CHECK(hours({.speed = ThawSpeed::bulk}, "GLACIER") == "12h");
    CHECK(hours({}, "GLACIER") == "5h");
    CHECK(hours({.speed = ThawSpeed::expedited}, "GLACIER") == "5m");
    CHECK(hours({.speed = ThawSpeed::bulk}, "DEEP_ARCHIVE") == "2d");
    CHECK(hours({}, "DEEP_ARCHIVE") == "12h");
    CHECK(hours({.speed = ThawSpeed::bulk, .takes = std::chrono::hours(3)}, "DEEP_ARCHIVE") == "3h");
}

TEST_CASE("what has to stay at hand never goes into cold storage") {
    ObjectServer server("vault");
    const auto class_of_write = [&](const std::string& storage_class, bool at_hand, std::size_t size) {
        S3Options options = options_for(server);
        options.storage_class = storage_class;
        options.multipart_above = Bytes{100};
        S3Store("vault", options).write("key", content_of(std::string(size, 'x')), {.at_hand = at_hand}, {});
        std::string seen;
        for (const ObjectRequest& request : server.requests())
            if (request.method == "PUT" || request.query.contains("uploads")) {
                const auto found = request.headers.find("x-amz-storage-class");
                if (!request.query.contains("partNumber")) seen = found == request.headers.end() ? "" : found->second;
            }
        return seen;
    };
    for (const std::size_t size : {std::size_t{10}, std::size_t{1000}}) {
        CHECK(class_of_write("GLACIER", false, size) == "GLACIER");
        CHECK(class_of_write("GLACIER", true, size).empty());
        CHECK(class_of_write("DEEP_ARCHIVE", true, size).empty());
        CHECK(class_of_write("STANDARD_IA", true, size) == "STANDARD_IA");
    }
}

TEST_CASE("a service without conditional writes is told apart, and still does not replace what was there") {
    ObjectServer server("vault");
    server.fail([](const ObjectRequest& request) {
        return request.headers.contains("if-none-match") ? ObjectFault{.answer = canned(501)} : ObjectFault{};
    });
    S3Store store("vault", options_for(server));
    CHECK(store.features().exclusive_writes);
    store.write("claim", content_of("first"), {.exclusive = true}, {});
    CHECK_FALSE(store.features().exclusive_writes);
    CHECK(error_of([&] { store.write("claim", content_of("second"), {.exclusive = true}, {}); }).code ==
          ErrorCode::already_exists);
    CHECK(server.content("claim") == "first");

    const S3Options signed_google = s3_options({.bucket = "vault", .key_id = "GOOG", .key = Secret("x")});
    CHECK(signed_google.endpoint == "https://storage.googleapis.com");
    CHECK_FALSE(S3Store("vault", signed_google).features().exclusive_writes);
}

TEST_CASE("options that cannot be are refused") {
    const auto code = [](const S3Options& options) { return error_of([&] { S3Store("vault", options); }).code; };
    CHECK(code({.bucket = ""}) == ErrorCode::invalid_file);
    CHECK(code({.endpoint = "ftp://host", .bucket = "b"}) == ErrorCode::invalid_file);
    CHECK(code({.endpoint = "https://user:pw@host", .bucket = "b"}) == ErrorCode::invalid_file);
    CHECK(code({.bucket = "b", .prefix = "no-slash"}) == ErrorCode::invalid_file);
}
