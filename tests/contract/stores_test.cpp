// What every store promises, run on each of them with its real server (contract/stores_under_test.cpp).
#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sha256.h"
#include "contract/stores_under_test.h"
#include "stores/s3.h"
#include "stores/store.h"
#include "support/test_server.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

// Runs `check` on a store of each kind that nothing has been done with.
void on_every_new_store(const std::function<void(Store&)>& check) {
    for (const StoreUnderTest& tested : all_stores()) {
        DYNAMIC_SECTION(tested.kind) {
            const std::string missing = tested.missing();
            if (!missing.empty()) {
                WARN("SKIPPED: not installed: " << missing);
                return;
            }
            const std::shared_ptr<Store> store = tested.make();
            check(*store);
        }
    }
}

// Runs `check` on an empty store of each kind.
void on_every_store(const std::function<void(Store&)>& check) {
    on_every_new_store([&](Store& store) {
        // the first write makes what has to be made
        store.write("first", content_of("x"), {}, {});
        store.remove("first", {});
        check(store);
    });
}

std::string text_of(Store& store, const std::string& key, const ReadRange& range = {}) {
    std::string text;
    const ReadEnd end = store.read(key, range,
                                   [&](std::span<const std::byte> bytes) {
                                       text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
                                   },
                                   {});
    CHECK(end == ReadEnd::complete);
    return text;
}

std::vector<std::string> keys_of(Store& store, const ListQuery& query = {}) {
    std::vector<std::string> keys;
    store.list(query,
               [&](std::span<const Listed> page) {
                   for (const Listed& line : page) {
                       keys.push_back(line.object.key);
                       CHECK(line.folder == line.object.key.ends_with('/'));
                   }
                   return true;
               },
               {});
    return keys;
}

// Stores whose clock ticks in seconds name a version only when it is some seconds old.
std::string settled_validator(Store& store, const std::string& key) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    for (;;) {
        std::string validator = store.stat(key, {})->validator;
        if (!validator.empty() || std::chrono::steady_clock::now() > give_up) return validator;
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
}

ErrorCode code_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        return error.code;
    }
    return ErrorCode::internal;
}

}  // namespace

TEST_CASE("an object reads as it was written, whatever its key") {
    on_every_store([](Store& store) {
        const std::vector<std::string> keys{"plain",    "with space", "a+b",           "100%",
                                            "a%20b",    "x=y",        "größe/日本.db", "deep/er/path",
                                            "~tilde'q", "semi;colon", "#hash",         "q?x&y"};
        for (const std::string& key : keys) {
            const StoredObject written = store.write(key, content_of("content of " + key), {}, {});
            CHECK(written.key == key);
            CHECK(written.size == Bytes{("content of " + key).size()});
        }
        for (const std::string& key : keys) {
            CHECK(text_of(store, key) == "content of " + key);
            const auto facts = store.stat(key, {});
            REQUIRE(facts);
            CHECK(facts->size == Bytes{("content of " + key).size()});
        }
        std::vector<std::string> sorted = keys;
        std::sort(sorted.begin(), sorted.end());
        CHECK(keys_of(store) == sorted);
    });
}

TEST_CASE("an empty object is an object") {
    on_every_store([](Store& store) {
        store.write("empty", content_of(""), {}, {});
        CHECK(text_of(store, "empty").empty());
        CHECK(store.stat("empty", {})->size == Bytes{0});
        CHECK(keys_of(store) == std::vector<std::string>{"empty"});
    });
}

TEST_CASE("ranges give exactly their bytes, and what is behind the end is incomplete") {
    on_every_store([](Store& store) {
        store.write("digits", content_of("0123456789"), {}, {});
        CHECK(text_of(store, "digits", {.offset = 3, .length = 4}) == "3456");
        CHECK(text_of(store, "digits", {.offset = 7}) == "789");
        CHECK(text_of(store, "digits", {.offset = 10}).empty());
        CHECK(code_of([&] { text_of(store, "digits", {.offset = 11}); }) == ErrorCode::incomplete);
        CHECK(code_of([&] { text_of(store, "digits", {.offset = 8, .length = 3}); }) == ErrorCode::incomplete);
    });
}

TEST_CASE("R15 a read bound to a version never gives another one") {
    on_every_store([](Store& store) {
        store.write("object", content_of("first."), {}, {});
        const std::string before = settled_validator(store, "object");
        REQUIRE_FALSE(before.empty());
        CHECK(text_of(store, "object", {.validator = before}) == "first.");
        store.write("object", content_of("second"), {}, {});
        const ReadEnd end =
            store.read("object", {.validator = before}, [](auto) { FAIL("bytes of another version"); }, {});
        CHECK(end == ReadEnd::changed);
    });
}

TEST_CASE("a listing is in the order of the bytes of whole keys, by prefix, and folds one level") {
    on_every_store([](Store& store) {
        for (const char* key : {"a/b", "a-b", "a.b", "a/c/d", "ab", "b/x", "a0"})
            store.write(key, content_of("x"), {}, {});
        using Keys = std::vector<std::string>;
        CHECK(keys_of(store) == Keys{"a-b", "a.b", "a/b", "a/c/d", "a0", "ab", "b/x"});
        CHECK(keys_of(store, {.prefix = "a/"}) == Keys{"a/b", "a/c/d"});
        CHECK(keys_of(store, {.prefix = "a"}) == Keys{"a-b", "a.b", "a/b", "a/c/d", "a0", "ab"});
        CHECK(keys_of(store, {.prefix = "a/c/d"}) == Keys{"a/c/d"});
        CHECK(keys_of(store, {.prefix = "nothing/"}).empty());
        CHECK(keys_of(store, {.one_level = true}) == Keys{"a-b", "a.b", "a/", "a0", "ab", "b/"});
        CHECK(keys_of(store, {.prefix = "a/", .one_level = true}) == Keys{"a/b", "a/c/"});
    });
}

TEST_CASE("R18 a listing of 2,500 keys comes in pages, whole and in order, and can be ended") {
    on_every_store([](Store& store) {
        std::vector<int> numbers(2500);
        for (std::size_t i = 0; i < numbers.size(); ++i)
            numbers[i] = static_cast<int>(10000 + i);
        std::vector<std::string> wanted;
        for (const int number : numbers)
            wanted.push_back("set/" + std::to_string(number));
        std::shuffle(numbers.begin(), numbers.end(), std::mt19937(7));
        {
            std::vector<std::jthread> writers;
            for (std::size_t first = 0; first < 4; ++first)
                writers.emplace_back([&, first] {
                    for (std::size_t i = first; i < numbers.size(); i += 4)
                        store.write("set/" + std::to_string(numbers[i]), content_of("x"), {}, {});
                });
        }
        CHECK(keys_of(store, {.prefix = "set/"}) == wanted);

        std::size_t pages = 0;
        std::size_t seen = 0;
        store.list({.prefix = "set/"},
                   [&](std::span<const Listed> page) {
                       ++pages;
                       seen += page.size();
                       return false;
                   },
                   {});
        CHECK(pages == 1);
        CHECK(seen < 2500);
    });
}

TEST_CASE("an exclusive write never replaces, another one does as a whole") {
    on_every_store([](Store& store) {
        store.write("object", content_of("first"), {.exclusive = true}, {});
        CHECK(code_of([&] { store.write("object", content_of("second"), {.exclusive = true}, {}); }) ==
              ErrorCode::already_exists);
        CHECK(text_of(store, "object") == "first");
        store.write("object", content_of("3"), {}, {});
        CHECK(text_of(store, "object") == "3");
        CHECK(keys_of(store) == std::vector<std::string>{"object"});
    });
}

TEST_CASE("of many exclusive writers of one key one wins") {
    on_every_store([](Store& store) {
        std::atomic<int> won = 0;
        std::atomic<int> lost = 0;
        {
            std::vector<std::jthread> writers;
            for (int i = 0; i < 8; ++i)
                writers.emplace_back([&, i] {
                    try {
                        store.write("claim", content_of(std::to_string(i)), {.exclusive = true}, {});
                        ++won;
                    } catch (const Error& error) {
                        if (error.code == ErrorCode::already_exists) ++lost;
                    }
                });
        }
        CHECK(won + lost == 8);
        CHECK(won >= 1);
        if (store.features().exclusive_writes) CHECK(won == 1);
        CHECK(keys_of(store) == std::vector<std::string>{"claim"});
    });
}

TEST_CASE("readers never see a torn object while writers replace it and folders come and go") {
    on_every_store([](Store& store) {
        constexpr std::size_t size = 3u << 20;
        const auto block = [](char letter) { return std::string(size, letter); };
        store.write("set/object", content_of(block('a')), {}, {});
        std::atomic<bool> over = false;
        std::atomic<int> failures = 0;
        std::vector<std::jthread> writers;
        for (const char letter : {'b', 'c'})
            writers.emplace_back([&, letter] {
                for (int i = 0; i < 10; ++i)
                    store.write("set/object", content_of(block(letter)), {}, {});
            });
        writers.emplace_back([&] {
            for (int i = 0; i < 50; ++i) {
                store.write("set/other/x", content_of("x"), {}, {});
                store.remove("set/other/x", {});
            }
        });
        std::jthread reader([&] {
            while (!over) {
                std::string text;
                const ReadEnd end =
                    store.read("set/object", {},
                               [&](std::span<const std::byte> bytes) {
                                   text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
                               },
                               {});
                if (end != ReadEnd::complete || text.size() != size || text != std::string(size, text.front()))
                    ++failures;
            }
        });
        writers.clear();
        over = true;
        reader.join();
        CHECK(failures == 0);
    });
}

TEST_CASE("a source that fails, or gives another size than it said, writes nothing") {
    on_every_store([](Store& store) {
        const Content failing{.size = 10, .open = [](std::uint64_t) -> ByteSource {
                                  return [given = false](std::span<std::byte> into) mutable -> std::size_t {
                                      if (given) throw Error{ErrorCode::io_failed, "the source broke"};
                                      given = true;
                                      into[0] = std::byte{'x'};
                                      return 1;
                                  };
                              }};
        CHECK(code_of([&] { store.write("object", failing, {}, {}); }) == ErrorCode::io_failed);
        Content lying = content_of("four");
        lying.size = 5;
        CHECK(code_of([&] { store.write("object", lying, {}, {}); }) == ErrorCode::incomplete);
        CHECK_FALSE(store.stat("object", {}));
        CHECK(keys_of(store).empty());
    });
}

TEST_CASE("a sink's own error ends the read and comes through unchanged") {
    on_every_store([](Store& store) {
        store.write("object", content_of("x"), {}, {});
        const auto read = [&] {
            const ReadEnd end = store.read("object", {}, [](auto) { throw Error{ErrorCode::disk_full, "mine"}; }, {});
            (void)end;
        };
        CHECK(code_of(read) == ErrorCode::disk_full);
    });
}

TEST_CASE("removing says whether there was something, and a removed object is gone") {
    on_every_store([](Store& store) {
        store.write("set/a/x", content_of("x"), {}, {});
        store.write("set/b", content_of("x"), {}, {});
        CHECK(store.remove("set/a/x", {}));
        CHECK_FALSE(store.remove("set/a/x", {}));
        CHECK_FALSE(store.remove("never/was", {}));
        CHECK_FALSE(store.stat("set/a/x", {}));
        CHECK(code_of([&] { text_of(store, "set/a/x"); }) == ErrorCode::not_found);
        CHECK(keys_of(store, {.prefix = "set/", .one_level = true}) == std::vector<std::string>{"set/b"});
    });
}

TEST_CASE("hostile keys are refused by every call") {
    on_every_store([](Store& store) {
        using namespace std::string_literals;
        for (const std::string& key : {""s, "../x"s, "/x"s, "a/../../x"s, "a\0b"s, "a\nb"s, "a//b"s, "a/"s}) {
            CHECK(code_of([&] { store.write(key, content_of("x"), {}, {}); }) == ErrorCode::refused);
            CHECK(code_of([&] { text_of(store, key); }) == ErrorCode::refused);
            CHECK(code_of([&] { store.stat(key, {}); }) == ErrorCode::refused);
            CHECK(code_of([&] { store.remove(key, {}); }) == ErrorCode::refused);
        }
        CHECK(keys_of(store).empty());
    });
}

TEST_CASE("a call that was asked to stop, or is out of time, ends and leaves nothing") {
    on_every_store([](Store& store) {
        store.write("object", content_of(std::string(5u << 20, 'x')), {}, {});
        std::stop_source stop;
        const WorkControl control{.stop = stop.get_token()};
        std::uint64_t taken = 0;
        CHECK(code_of([&] {
                  const ReadEnd end = store.read(
                      "object", {},
                      [&](std::span<const std::byte> bytes) {
                          taken += bytes.size();
                          stop.request_stop();
                      },
                      control);
                  (void)end;
              }) == ErrorCode::cancelled);
        CHECK(taken < (5u << 20));
        CHECK(code_of([&] { store.write("late", content_of("x"), {}, control); }) == ErrorCode::cancelled);
        const WorkControl over{.deadline = SteadyTime{}};
        CHECK(code_of([&] { store.write("late", content_of("x"), {}, over); }) == ErrorCode::timed_out);
        CHECK_FALSE(store.stat("late", {}));
    });
}

TEST_CASE("a writer that is killed leaves nothing that can be seen, and one that comes after it succeeds") {
    // the writer is a child process, so the store must not have been used before: connections are not shared
    on_every_new_store([](Store& store) {
        const std::string text(8u << 20, 'x');
        std::array<int, 2> ends{};
        REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
        const pid_t writer = ::fork();
        REQUIRE(writer >= 0);
        if (writer == 0) {
            std::uint64_t sent = 0;
            WorkControl control;
            control.moved = [&](std::uint64_t bytes) {
                sent += bytes;
                if (sent < (2u << 20)) return;
                if (::write(ends[1], "x", 1) != 1) ::_exit(1);
                for (;;)
                    ::pause();
            };
            try {
                store.write("set/killed", content_of(text), {}, control);
            } catch (...) {
                ::_exit(2);
            }
            ::_exit(0);
        }
        ::close(ends[1]);
        pollfd half_way{.fd = ends[0], .events = POLLIN, .revents = 0};
        const int polled = ::poll(&half_way, 1, 30'000);
        char said = 0;
        const ssize_t count = polled > 0 ? ::read(ends[0], &said, 1) : 0;
        ::kill(writer, SIGKILL);
        ::waitpid(writer, nullptr, 0);
        ::close(ends[0]);
        REQUIRE(count == 1);
        CHECK_FALSE(store.stat("set/killed", {}));
        CHECK(keys_of(store).empty());
        store.write("set/killed", content_of("whole"), {}, {});
        CHECK(text_of(store, "set/killed") == "whole");
        CHECK(keys_of(store) == std::vector<std::string>{"set/killed"});
    });
}

TEST_CASE("what a writer that died has left goes when it is a day old, and nothing else does") {
    for (const StoreUnderTest& tested : all_stores()) {
        if (!tested.make_on_disk) continue;
        DYNAMIC_SECTION(tested.kind) {
            const std::string missing = tested.missing();
            if (!missing.empty()) {
                WARN("SKIPPED: not installed: " << missing);
                return;
            }
            const StoreUnderTest::OnDisk disk = tested.make_on_disk();
            const auto leave = [&](const std::string& name, std::chrono::hours age) {
                std::ofstream(disk.folder / name) << "half";
                std::filesystem::last_write_time(disk.folder / name,
                                                 std::filesystem::file_time_type::clock::now() - age);
            };
            const auto there = [&](const std::string& name) { return std::filesystem::exists(disk.folder / name); };
            const std::string mark = "set/.lifeboat-writing-";
            disk.open()->write("set/first", content_of("x"), {}, {});
            disk.open()->write("gone/only", content_of("x"), {}, {});
            disk.open()->write("stays/only", content_of("x"), {}, {});
            leave(mark + "4711-0123456789abcdef", std::chrono::hours(25));
            leave(mark + "4711-0123456789abcde0", std::chrono::hours(23));
            for (const char* no_name_of_ours : {"old-.lifeboat-writing-4711-0123456789abcdef", "4711",
                                                "4711-0123456789ABCDEF", "4711-0123456789abcdef0", "-0123456789abcdef"})
                leave(mark + no_name_of_ours, std::chrono::hours(1000));
            leave("set/an object", std::chrono::hours(1000));
            leave("gone/.lifeboat-writing-1-0123456789abcdef", std::chrono::hours(25));
            leave("stays/.lifeboat-writing-1-0123456789abcdef", std::chrono::hours(25));
            leave("stays/.lifeboat-writing-of-another-kind", std::chrono::hours(25));

            const std::shared_ptr<Store> store = disk.open();
            store->write("set/second", content_of("y"), {}, {});
            CHECK_FALSE(there(mark + "4711-0123456789abcdef"));
            CHECK(there(mark + "4711-0123456789abcde0"));
            for (const char* no_name_of_ours : {"old-.lifeboat-writing-4711-0123456789abcdef", "4711",
                                                "4711-0123456789ABCDEF", "4711-0123456789abcdef0", "-0123456789abcdef"})
                CHECK(there(mark + no_name_of_ours));
            CHECK(keys_of(*store, {.prefix = "set/"}) ==
                  std::vector<std::string>{"set/an object", "set/first", "set/second"});

            CHECK(store->remove("gone/only", {}));
            CHECK_FALSE(there("gone"));
            CHECK(store->remove("stays/only", {}));
            if (tested.kind != "local") CHECK(there("stays/.lifeboat-writing-of-another-kind"));
        }
    }
}

TEST_CASE("a large object streams through and can be opened at any offset") {
    on_every_store([](Store& store) {
        constexpr std::uint64_t size = (5u << 20) + 17;
        std::string text(size, '\0');
        std::mt19937 random(3);
        for (char& byte : text)
            byte = static_cast<char>(random());
        store.write("large", content_of(text), {}, {});
        CHECK(sha256_hex(text_of(store, "large")) == sha256_hex(text));
        CHECK(text_of(store, "large", {.offset = (1u << 20) - 1, .length = 2}) == text.substr((1u << 20) - 1, 2));
        CHECK(code_of([&] { read_all(store, "large", Bytes{100}, {}); }) == ErrorCode::limit_exceeded);
    });
}

TEST_CASE("a store that cannot work says why, in every call") {
    for (const StoreUnderTest& tested : all_stores()) {
        DYNAMIC_SECTION(tested.kind) {
            const std::string missing = tested.missing();
            if (!missing.empty()) {
                WARN("SKIPPED: not installed: " << missing);
                return;
            }
            for (const StoreUnderTest::Broken& broken : tested.broken()) {
                INFO(broken.how);
                Store& store = *broken.store;
                CHECK(code_of([&] { text_of(store, "object"); }) == broken.code);
                CHECK(code_of([&] { store.stat("object", {}); }) == broken.code);
                CHECK(code_of([&] { keys_of(store); }) == broken.code);
                const ErrorCode changing = store.features().writes ? broken.code : ErrorCode::unsupported;
                CHECK(code_of([&] { store.remove("object", {}); }) == changing);
                CHECK(code_of([&] { store.write("object", content_of("x"), {}, {}); }) == changing);
            }
        }
    }
}

TEST_CASE("an object beyond 4 GiB is listed with its size and read at its end") {
    for (const StoreUnderTest& tested : all_stores()) {
        DYNAMIC_SECTION(tested.kind) {
            // sparse files: only where the server's files are at hand
            if (!tested.make_sparse) return;
            const std::string missing = tested.missing();
            if (!missing.empty()) {
                WARN("SKIPPED: not installed: " << missing);
                return;
            }
            constexpr std::uint64_t size = (5ULL << 30) + 3;
            const std::shared_ptr<Store> store = tested.make_sparse("huge", size, "end");
            CHECK(store->stat("huge", {})->size == Bytes{size});
            CHECK(text_of(*store, "huge", {.offset = size - 5}) == std::string(2, '\0') + "end");
            CHECK(text_of(*store, "huge", {.offset = 4ULL << 30, .length = 3}) == std::string(3, '\0'));
            store->list({},
                        [&](std::span<const Listed> page) {
                            CHECK(page.front().object.size == Bytes{size});
                            return true;
                        },
                        {});
        }
    }
}

TEST_CASE("R19 S3 is reached although the clocks differ by two hours") {
    if (const std::string missing = TestServer::missing("radosgw.sh"); !missing.empty()) {
        WARN("SKIPPED: not installed: " << missing);
        return;
    }
    const TestServer server("radosgw.sh", {{"CLOCK", "-2 hours"}});
    S3Store store("vault", {.endpoint = server["S3_ENDPOINT"],
                            .region = "default",
                            .bucket = server["S3_BUCKET"],
                            .key_id = server["S3_KEY_ID"],
                            .key = Secret(server["S3_KEY"])});
    store.write("object", content_of("text"), {}, {});
    CHECK(text_of(store, "object") == "text");
    CHECK(store.clock_offset() < -std::chrono::minutes(119));
    CHECK(store.clock_offset() > -std::chrono::minutes(121));
}
