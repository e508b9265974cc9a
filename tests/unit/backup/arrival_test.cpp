#include "backup/arrival.h"

#include <atomic>

#include "backup/ordered_read.h"
#include "sample.h"
#include "world/files.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

// A local store that says how much it has served, and can be cut or have its object replaced on the way.
class Watched final : public Store {
  public:
    Watched(std::shared_ptr<LocalStore> store, std::size_t parallel) : store_(std::move(store)), parallel_(parallel) {}

    const std::string& name() const override { return store_->name(); }
    StoreFeatures features() const override {
        StoreFeatures features = store_->features();
        features.parallel_reads = parallel_;
        return features;
    }
    void list(const ListQuery& query, const ListedPage& page, const WorkControl& control) override {
        store_->list(query, page, control);
    }
    std::optional<StoredObject> stat(const std::string& key, const WorkControl& control) override {
        return store_->stat(key, control);
    }
    ReadEnd read(const std::string& key, const ReadRange& range, const ByteSink& sink,
                 const WorkControl& control) override {
        if (before_read) before_read();
        std::uint64_t at = range.offset;
        return store_->read(
            key, range,
            [&](std::span<const std::byte> bytes) {
                if (at + bytes.size() > cut_from)
                    throw store_error(ErrorCode::unreachable, name(), key, "the line is cut");
                at += bytes.size();
                served += bytes.size();
                sink(bytes);
            },
            control);
    }
    StoredObject write(const std::string& key, const Content& content, const WriteOptions& options,
                       const WorkControl& control) override {
        return store_->write(key, content, options, control);
    }
    bool remove(const std::string& key, const WorkControl& control) override { return store_->remove(key, control); }

    std::atomic<std::uint64_t> served = 0;
    std::uint64_t cut_from = UINT64_MAX;  // this byte of an object is never served
    std::function<void()> before_read;

  private:
    std::shared_ptr<LocalStore> store_;
    std::size_t parallel_;
};

constexpr std::size_t object_size = (22u << 20) + 12345;  // five ranges and a piece

std::string content_of(char seed) {
    std::string content(object_size, '\0');
    std::uint32_t state = static_cast<unsigned char>(seed);
    for (char& byte : content) {
        state = state * 1664525 + 1013904223;
        byte = static_cast<char>(state >> 24);
    }
    return content;
}

struct Arrival : Bench {
    const std::string content = content_of('a');
    const ManifestObject expected{.key = "db/db.dump", .size = Bytes{content.size()}, .sha256 = sha256_hex(content)};
    const std::filesystem::path to = folder / "to/db.dump";
    const std::filesystem::path part = folder / "part";
    ByteProgress progress{bench_work_, "fetching", std::nullopt};

    Arrival() { nas->write("x", lifeboat::content_of(content), {}, {}); }
    void fetch(Store& store) { fetch_object(store, "x", expected, {}, to, part, progress, {}); }

  private:
    BackupWork bench_work_ = work();
};

}  // namespace

TEST_CASE("an object's ranges that travel side by side arrive in their order") {
    Arrival arrival;
    for (const std::size_t parallel : {std::size_t{1}, std::size_t{2}, std::size_t{4}, std::size_t{16}}) {
        Watched store(arrival.nas, parallel);
        const std::string validator = store.stat("x", {})->validator;
        for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{9u << 20},
                                           std::uint64_t{object_size - 1}, std::uint64_t{object_size}}) {
            std::string arrived;
            const ReadEnd end =
                read_in_order(store, "x", offset, object_size, validator,
                              [&arrived](std::span<const std::byte> bytes) {
                                  arrived.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
                              },
                              {});
            CHECK(end == ReadEnd::complete);
            CHECK((arrived == arrival.content.substr(offset)));
        }
        CHECK(store.served <= 2 * object_size + object_size);
    }
}

TEST_CASE("what one range or the sink throws ends the whole read") {
    Arrival arrival;
    Watched store(arrival.nas, 4);
    const std::string validator = store.stat("x", {})->validator;
    const auto read = [&](const ByteSink& sink) {
        return read_in_order(store, "x", 0, object_size, validator, sink, {});
    };
    CHECK_THROWS_AS(read([](std::span<const std::byte>) { throw std::runtime_error("no more"); }), std::runtime_error);
    store.served = 0;
    store.cut_from = 9u << 20;
    CHECK(error_of([&] { static_cast<void>(read([](std::span<const std::byte>) {})); }).code == ErrorCode::unreachable);
}

TEST_CASE("R15 a fetch that was cut goes on where it stopped, whatever the store serves at a time") {
    for (const std::size_t parallel : {std::size_t{1}, std::size_t{4}}) {
        Arrival arrival;
        Watched store(arrival.nas, parallel);
        store.cut_from = 17u << 20;
        CHECK_THROWS_AS(arrival.fetch(store), SourceTrouble);
        CHECK_FALSE(std::filesystem::exists(arrival.to));
        const std::uint64_t kept = std::filesystem::file_size(arrival.part);
        CHECK(kept >= 16u << 20);

        store.cut_from = UINT64_MAX;
        store.served = 0;
        arrival.fetch(store);
        CHECK(store.served == object_size - kept);
        CHECK((bytes_of(arrival.to) == arrival.content));
        CHECK_FALSE(std::filesystem::exists(arrival.part));
    }
}

TEST_CASE("R15 two versions of an object are never spliced") {
    Arrival arrival;
    Watched store(arrival.nas, 1);
    store.cut_from = 17u << 20;
    CHECK_THROWS_AS(arrival.fetch(store), SourceTrouble);
    store.cut_from = UINT64_MAX;
    // another of equal size takes its place, and is replaced by the right one while it is read
    arrival.nas->write("x", lifeboat::content_of(content_of('b')), {}, {});
    int reads = 0;
    store.before_read = [&] {
        if (++reads == 1) arrival.nas->write("x", lifeboat::content_of(arrival.content), {}, {});
    };
    arrival.fetch(store);
    CHECK(reads == 2);
    CHECK((bytes_of(arrival.to) == arrival.content));

    store.before_read = {};
    arrival.nas->write("x", lifeboat::content_of(content_of('b')), {}, {});
    std::filesystem::remove(arrival.to);
    CHECK_THROWS_AS(arrival.fetch(store), SourceTrouble);
    CHECK_FALSE(std::filesystem::exists(arrival.to));
    CHECK_FALSE(std::filesystem::exists(arrival.part));
}

TEST_CASE("a part that was spoilt on this disk is fetched again") {
    Arrival arrival;
    Watched store(arrival.nas, 4);
    store.cut_from = 17u << 20;
    CHECK_THROWS_AS(arrival.fetch(store), SourceTrouble);
    store.cut_from = UINT64_MAX;
    std::string part = bytes_of(arrival.part);
    part[5] = static_cast<char>(part[5] ^ 1);
    overwrite(arrival.part, part);
    arrival.fetch(store);
    CHECK((bytes_of(arrival.to) == arrival.content));
}
