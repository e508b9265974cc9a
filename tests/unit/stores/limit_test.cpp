#include "stores/limit.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <thread>

#include "stores/local.h"
#include "stores/measure.h"
#include "unit/stores/asked.h"
#include "world/files.h"

using namespace lifeboat;
using namespace lifeboat::test;
using namespace std::chrono_literals;

namespace {

struct Vault {
    PrivateDirectory folder{std::filesystem::temp_directory_path()};
    std::shared_ptr<Store> store = std::make_shared<LocalStore>("vault", folder.path() / "root");
};

}  // namespace

TEST_CASE("a limit is never exceeded, by all threads and both directions together") {
    Vault vault;
    vault.store->write("object", content_of(std::string(100'000, 'x')), {}, {});
    const auto limit = std::make_shared<RateLimit>(Bytes{1'000'000});
    LimitStore one(vault.store, limit);
    LimitStore two(vault.store, limit);
    const SteadyTime start = in(0s);
    {
        std::jthread reader([&] { CHECK(read_of(one, "object").text.size() == 100'000); });
        std::jthread writer([&] { two.write("other", content_of(std::string(200'000, 'y')), {}, {}); });
    }
    // 300,000 bytes, of which a tenth of a second's worth may come at once
    CHECK(in(0s) - start >= 200ms);
    CHECK(one.stat("other", {})->size == Bytes{200'000});
}

TEST_CASE("waiting for a limit ends when asked to stop, and at the deadline") {
    Vault vault;
    vault.store->write("object", content_of(std::string(1u << 20, 'x')), {}, {});
    LimitStore store(vault.store, std::make_shared<RateLimit>(Bytes{10}));
    CHECK(read_of(store, "object", {}, {.deadline = in(50ms)}).error->code == ErrorCode::timed_out);
    std::stop_source stop;
    std::jthread stopper([&] {
        std::this_thread::sleep_for(50ms);
        stop.request_stop();
    });
    CHECK(read_of(store, "object", {}, {.stop = stop.get_token()}).error->code == ErrorCode::cancelled);
}

TEST_CASE("what goes through a store is measured") {
    Vault vault;
    MeasureStore store(vault.store);
    store.write("object", content_of(std::string(1000, 'x')), {}, {});
    read_of(store, "object", {.offset = 100});
    read_of(store, "missing");
    store.stat("object", {});
    store.remove("object", {});
    const StoreMeasure measured = store.measured();
    using Counts = std::map<std::string, std::uint64_t>;
    CHECK(measured.calls == Counts{{"read", 2}, {"remove", 1}, {"stat", 1}, {"write", 1}});
    CHECK(measured.failures == Counts{{"read", 1}});
    CHECK(measured.bytes_read == 900);
    CHECK(measured.bytes_written == 1000);
    CHECK(measured.first_bytes == 1);
    CHECK(measured.first_byte_longest <= measured.reading);
}
