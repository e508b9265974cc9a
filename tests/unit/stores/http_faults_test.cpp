// A server that does wrong on purpose: what comes out is exactly one version's bytes, or an error that says what it
// was.
#include <catch2/catch.hpp>

#include "stores/http.h"
#include "stores/retry.h"
#include "unit/stores/asked.h"

using namespace lifeboat;
using namespace lifeboat::test;
using namespace std::chrono_literals;

namespace {

// One object over both kinds of reading stores, with and without retries.
struct Broken {
    ObjectServer server{"vault"};
    std::string before = pattern(3u << 20, "before");
    std::string after = pattern(3u << 20, "after");
    std::shared_ptr<Store> s3 = std::make_shared<S3Store>("vault", options_for(server));
    std::shared_ptr<Store> http =
        std::make_shared<HttpStore>("vault", HttpOptions{.url = server.url() + "/vault/", .link = {.stall = 300ms}});
    std::vector<RetriedAttempt> retried;

    Broken() { server.put("dump", before); }

    std::shared_ptr<Store> patient(const std::shared_ptr<Store>& store, int attempts = 5) {
        return std::make_shared<RetryStore>(store,
                                            RetryPolicy{.attempts = attempts, .first_delay = 1ms, .longest_delay = 5ms},
                                            [this](const RetriedAttempt& attempt) { retried.push_back(attempt); });
    }
};

bool reads_object(const ObjectRequest& request) {
    return request.method == "GET" && !request.key.empty();
}

}  // namespace

TEST_CASE("R15 a read that is cut at any byte goes on there, and gives one version") {
    Broken broken;
    int cuts = 0;
    broken.server.fail([&](const ObjectRequest& request) {
        ObjectFault fault;
        if (reads_object(request) && cuts < 4) fault.cut_after = static_cast<std::uint64_t>(++cuts) * 100'003;
        return fault;
    });
    for (const auto& store : {broken.s3, broken.http}) {
        cuts = 0;
        broken.retried.clear();
        const std::uint64_t served = broken.server.bytes_served();
        const ReadResult read = read_of(*broken.patient(store), "dump");
        REQUIRE(read.end == ReadEnd::complete);
        CHECK(sha256_hex(read.text) == sha256_hex(broken.before));
        CHECK(broken.retried.size() == 4);
        for (const RetriedAttempt& attempt : broken.retried)
            CHECK(attempt.error.code == ErrorCode::connection_lost);
        // nothing is fetched twice
        CHECK(broken.server.bytes_served() - served == broken.before.size());
    }
}

TEST_CASE("R15 an object that is replaced by one of equal size during a read is never spliced") {
    Broken broken;
    for (const auto& store : {broken.s3, broken.http}) {
        broken.server.put("dump", broken.before);
        const std::string validator = store->stat("dump", {})->validator;
        REQUIRE_FALSE(validator.empty());
        bool cut = false;
        broken.server.fail([&](const ObjectRequest& request) {
            ObjectFault fault;
            if (!reads_object(request) || cut) return fault;
            cut = true;
            fault.cut_after = 2u << 20;
            fault.midway = [&] { broken.server.put("dump", broken.after); };
            return fault;
        });
        const ReadResult bound = read_of(*broken.patient(store), "dump", {.validator = validator});
        CHECK(bound.end == ReadEnd::changed);

        // without a version of its own the caller hears of it too
        broken.server.put("dump", broken.before);
        cut = false;
        const ReadResult free = read_of(*broken.patient(store), "dump");
        REQUIRE(free.error);
        CHECK(free.error->code == ErrorCode::moved);

        // in one go it is the version that was opened
        broken.server.put("dump", broken.before);
        broken.server.fail([&](const ObjectRequest&) {
            return ObjectFault{.midway = [&] { broken.server.put("dump", broken.after); }};
        });
        CHECK(read_of(*store, "dump").text == broken.before);
        broken.server.fail({});
    }
}

TEST_CASE("R15 a server that ignores ranges still gives exactly the range, one that ignores conditions is found out") {
    Broken broken;
    for (const auto& store : {broken.s3, broken.http}) {
        broken.server.fail([](const ObjectRequest&) { return ObjectFault{.ignore_range = true}; });
        const ReadResult part = read_of(*store, "dump", {.offset = 1'000'000, .length = 70'000});
        REQUIRE(part.end == ReadEnd::complete);
        CHECK(part.text == broken.before.substr(1'000'000, 70'000));
        CHECK(read_of(*store, "dump", {.offset = 3'000'000}).text == broken.before.substr(3'000'000));
        CHECK(read_of(*store, "dump", {.offset = 1u << 22}).error->code == ErrorCode::incomplete);

        broken.server.fail([](const ObjectRequest&) { return ObjectFault{.ignore_conditions = true}; });
        const ReadResult other = read_of(*store, "dump", {.offset = 5, .validator = "\"another version\""});
        CHECK(other.end == ReadEnd::changed);
        CHECK(other.text.empty());
    }
}

TEST_CASE("R15 412 is another version, 416 is an object that ends too early") {
    Broken broken;
    for (const auto& store : {broken.s3, broken.http}) {
        CHECK(read_of(*store, "dump", {.validator = "\"old\""}).end == ReadEnd::changed);
        CHECK(read_of(*store, "dump", {.offset = 1u << 30}).error->code == ErrorCode::incomplete);
        CHECK(read_of(*store, "dump", {.offset = 3u << 20}).end == ReadEnd::complete);
        CHECK(read_of(*store, "dump", {.offset = 3u << 20, .length = 0}).end == ReadEnd::complete);
        CHECK(read_of(*store, "dump", {.offset = (3u << 20) - 1, .length = 2}).error->code == ErrorCode::incomplete);
    }
}

TEST_CASE("R16 a byte that is flipped on its way is seen by whoever knows the digest, and only there") {
    Broken broken;
    broken.server.fail([](const ObjectRequest&) { return ObjectFault{.flip_at = 1'500'000}; });
    const ReadResult read = read_of(*broken.s3, "dump");
    CHECK(read.end == ReadEnd::complete);
    CHECK(read.text.size() == broken.before.size());
    CHECK(sha256_hex(read.text) != sha256_hex(broken.before));
}

TEST_CASE("R10 a server that stalls is slow after the limit, one that trickles ends at the deadline") {
    Broken broken;
    const std::shared_ptr<Store> hasty_s3 = std::make_shared<S3Store>("vault", options_for(broken.server, 300ms));
    const std::shared_ptr<Store> hasty_http = std::make_shared<HttpStore>(
        "vault", HttpOptions{.url = broken.server.url() + "/vault/", .link = {.stall = 300ms}});
    for (const auto& store : {hasty_s3, hasty_http}) {
        broken.server.fail([](const ObjectRequest&) { return ObjectFault{.stall_after = 70'000}; });
        const ReadResult stalled = read_of(*store, "dump");
        REQUIRE(stalled.error);
        CHECK(stalled.error->code == ErrorCode::slow);
        CHECK(stalled.text == broken.before.substr(0, 70'000));

        broken.server.fail([](const ObjectRequest&) { return ObjectFault{.bytes_per_second = 20'000}; });
        const ReadResult slow = read_of(*store, "dump", {}, {.deadline = in(500ms)});
        REQUIRE(slow.error);
        CHECK(slow.error->code == ErrorCode::timed_out);
    }
}

TEST_CASE("R22 each status has one meaning, and no message holds a secret") {
    Broken broken;
    struct Expected {
        int status;
        ErrorCode code;
        bool transient;
    };
    const std::vector<Expected> table{
        {401, ErrorCode::denied, false},         {403, ErrorCode::denied, false},  {404, ErrorCode::not_found, false},
        {413, ErrorCode::limit_exceeded, false}, {429, ErrorCode::slow, true},     {500, ErrorCode::unreachable, true},
        {502, ErrorCode::unreachable, true},     {503, ErrorCode::slow, true},     {507, ErrorCode::disk_full, false},
        {400, ErrorCode::io_failed, false},      {302, ErrorCode::refused, false},
    };
    for (const auto& store : {broken.s3, broken.http}) {
        for (const Expected& expected : table) {
            INFO(expected.status);
            broken.server.fail([&](const ObjectRequest&) {
                return ObjectFault{.answer = canned(expected.status, "Retry-After: 7\r\n")};
            });
            const ReadResult read = read_of(*store, "dump");
            REQUIRE(read.error);
            // without a word of the service's a missing object may be a missing bucket
            CHECK(read.error->code == expected.code);
            CHECK(info(read.error->code).transient == expected.transient);
            CHECK(read.error->full_message().find("canary") == std::string::npos);
            CHECK(read.error->message.find("object 'dump' in store 'vault': ") == 0);
            if (expected.status == 503) CHECK(read.error->details.at("retry_after") == 7);
        }
    }
}

TEST_CASE("R22 what may go away is tried again, a bounded number of times, at growing distances") {
    Broken broken;
    const auto answer = [&](int status, int times) {
        auto left = std::make_shared<std::atomic<int>>(times);
        broken.server.fail([left, status](const ObjectRequest&) {
            return (*left)-- > 0 ? ObjectFault{.answer = canned(status)} : ObjectFault{};
        });
    };
    for (const int status : {429, 500, 503}) {
        INFO(status);
        answer(status, 2);
        broken.retried.clear();
        CHECK(broken.patient(broken.s3)->stat("dump", {})->size == Bytes{broken.before.size()});
        REQUIRE(broken.retried.size() == 2);
        CHECK(broken.retried[0].call == "stat");
        CHECK(broken.retried[1].attempt == 2);
        CHECK(broken.retried[0].delay >= 500us);
        CHECK(broken.retried[0].delay <= 1ms);
        CHECK(broken.retried[1].delay >= 1ms);
        CHECK(broken.retried[1].delay <= 2ms);

        answer(status, 100);
        const std::size_t asked = broken.server.requests().size();
        CHECK(info(error_of([&] { broken.patient(broken.s3, 3)->stat("dump", {}); }).code).transient);
        CHECK(broken.server.requests().size() - asked == 3);
    }
    for (const int status : {403, 400, 501}) {
        INFO(status);
        answer(status, 100);
        const std::size_t asked = broken.server.requests().size();
        error_of([&] { broken.patient(broken.s3)->stat("dump", {}); });
        CHECK(broken.server.requests().size() - asked == 1);
    }
}

TEST_CASE("R22 each attempt is signed anew") {
    Broken broken;
    std::atomic<int> left = 1;
    broken.server.fail([&](const ObjectRequest&) {
        // the date is given in seconds
        if (left-- <= 0) return ObjectFault{};
        std::this_thread::sleep_for(1100ms);
        return ObjectFault{.answer = canned(503)};
    });
    broken.patient(broken.s3)->stat("dump", {});
    const std::vector<ObjectRequest> requests = broken.server.requests();
    REQUIRE(requests.size() == 2);
    CHECK(requests[0].headers.at("x-amz-date") != requests[1].headers.at("x-amz-date"));
    CHECK(requests[0].headers.at("authorization") != requests[1].headers.at("authorization"));
}

TEST_CASE("R22 a write is sent again whole, and an exclusive one whose answer was lost is not taken for another's") {
    Broken broken;
    const std::shared_ptr<Store> store = broken.patient(broken.s3);
    std::atomic<int> left = 2;
    broken.server.fail([&](const ObjectRequest& request) {
        ObjectFault fault;
        fault.lose_answer = request.method == "PUT" && left-- > 0;
        return fault;
    });
    store->write("new", content_of(broken.after), {.exclusive = true}, {});
    CHECK(broken.server.content("new") == broken.after);
    CHECK(broken.retried.size() == 1);

    // but one that was there stays
    left = 0;
    CHECK(error_of([&] { store->write("dump", content_of(broken.after), {.exclusive = true}, {}); }).code ==
          ErrorCode::already_exists);
    CHECK(broken.server.content("dump") == broken.before);
}

TEST_CASE("R22 what the caller's own sink or source throws is never tried again") {
    Broken broken;
    int calls = 0;
    const auto failing = [&](auto) {
        ++calls;
        throw Error{ErrorCode::connection_lost, "mine"};
    };
    CHECK(error_of([&] { static_cast<void>(broken.patient(broken.s3)->read("dump", {}, failing, {})); }).message ==
          "mine");
    CHECK(calls == 1);
    const Content content{.size = 5, .open = [&](std::uint64_t) -> ByteSource {
                              ++calls;
                              throw Error{ErrorCode::connection_lost, "mine too"};
                          }};
    CHECK(error_of([&] { broken.patient(broken.s3)->write("x", content, {}, {}); }).message == "mine too");
    CHECK(calls == 2);
}

TEST_CASE("R22 a pause between attempts ends when asked to stop, and at the deadline") {
    Broken broken;
    broken.server.fail(
        [](const ObjectRequest&) { return ObjectFault{.answer = canned(503, "Retry-After: 3600\r\n")}; });
    std::stop_source stop;
    RetryStore store(broken.s3, {.longest_delay = std::chrono::hours(2)}, [&](const RetriedAttempt& attempt) {
        CHECK(attempt.delay == std::chrono::hours(1));
        stop.request_stop();
    });
    CHECK(error_of([&] { store.stat("dump", {.stop = stop.get_token()}); }).code == ErrorCode::cancelled);
    RetryStore hasty(broken.s3, {.longest_delay = std::chrono::hours(2)});
    CHECK(error_of([&] { hasty.stat("dump", {.deadline = in(200ms)}); }).code == ErrorCode::timed_out);
}
