// The SFTP store against a real sshd: what the checks of every store (tests/contract) do not reach.
#include "stores/sftp.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <random>
#include <thread>

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sha256.h"
#include "support/sshd.h"

using namespace lifeboat;
using namespace lifeboat::test;
using std::chrono::seconds;

namespace {

#define NEEDS_SSHD()                                                     \
    if (const std::string missing = Sshd::missing(); !missing.empty()) { \
        WARN("SKIPPED: " << missing);                                    \
        return;                                                          \
    }

constexpr SshTransport both[] = {SshTransport::program, SshTransport::library};

const char* name_of(SshTransport transport) {
    return transport == SshTransport::program ? "program" : "library";
}

SftpOptions options_of(const Sshd& sshd, SshTransport transport = SshTransport::program) {
    SftpOptions options;
    options.server.host = Sshd::host;
    options.server.port = sshd.port();
    options.server.user = sshd.user();
    options.server.key_file = sshd.user_key();
    options.server.known_hosts = sshd.known_hosts();
    options.transport = transport;
    options.path = sshd.home().string();
    return options;
}

SteadyTime now() {
    return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
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

std::vector<std::string> keys_of(Store& store) {
    std::vector<std::string> keys;
    store.list({},
               [&](std::span<const Listed> page) {
                   for (const Listed& line : page)
                       keys.push_back(line.object.key);
                   return true;
               },
               {});
    return keys;
}

Error error_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        return error;
    }
    return Error{ErrorCode::internal, "no error"};
}

std::string random_text(std::size_t size) {
    std::mt19937_64 random(5);
    std::string text(size, '\0');
    for (std::size_t at = 0; at + 8 <= size; at += 8) {
        const std::uint64_t value = random();
        std::copy_n(reinterpret_cast<const char*>(&value), 8, text.begin() + static_cast<std::ptrdiff_t>(at));
    }
    return text;
}

void overwrite(const std::filesystem::path& file, char letter, std::size_t size, int older_by_seconds) {
    write_text(file, std::string(size, letter));
    std::filesystem::last_write_time(file, std::filesystem::file_time_type::clock::now() - seconds(older_by_seconds));
}

}  // namespace

TEST_CASE("R15 an object replaced in mid-transfer is never spliced") {
    NEEDS_SSHD();
    const Sshd sshd;
    constexpr std::size_t size = 24u << 20;
    for (const SshTransport transport : both) {
        CAPTURE(name_of(transport));
        SftpStore store("nas", options_of(sshd, transport));
        const auto file = sshd.home() / "object";
        const auto read_and = [&](const std::function<void()>& half_way, std::string& text) {
            overwrite(file, 'a', size, 100);
            const std::string validator = store.stat("object", {})->validator;
            CHECK_FALSE(validator.empty());
            return store.read("object", {.validator = validator},
                              [&](std::span<const std::byte> bytes) {
                                  if (text.empty()) half_way();
                                  text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
                              },
                              {});
        };
        std::string text;
        CHECK(read_and([] {}, text) == ReadEnd::complete);
        CHECK(text == std::string(size, 'a'));

        // written over in place: both versions may have been read
        text.clear();
        CHECK(read_and([&] { overwrite(file, 'b', size, 50); }, text) == ReadEnd::changed);

        // replaced by a new file: what was opened is read to its end, and nothing of the new one with its validator
        text.clear();
        std::string validator;
        CHECK(read_and(
                  [&] {
                      validator = store.stat("object", {})->validator;
                      overwrite(sshd.home() / "new", 'b', size, 50);
                      std::filesystem::rename(sshd.home() / "new", file);
                  },
                  text) == ReadEnd::complete);
        CHECK(text == std::string(size, 'a'));
        CHECK(store.read("object", {.offset = size / 2, .validator = validator},
                         [](auto) { FAIL("bytes of another version"); }, {}) == ReadEnd::changed);

        // replaced while the connection breaks: the next one does not go on with the other version
        text.clear();
        CHECK(read_and(
                  [&] {
                      overwrite(sshd.home() / "new", 'b', size, 50);
                      std::filesystem::rename(sshd.home() / "new", file);
                      sshd.cut();
                  },
                  text) == ReadEnd::changed);
        CHECK(text.find('b') == std::string::npos);
    }
}

TEST_CASE("a version of equal size written within the same second has another validator") {
    NEEDS_SSHD();
    const Sshd sshd;
    SftpStore store("nas", options_of(sshd));
    std::vector<std::string> validators;
    for (const char* text : {"first", "secnd", "third"})
        validators.push_back(store.write("object", content_of(text), {}, {}).validator);
    CHECK(store.stat("object", {})->validator == validators.back());
    std::sort(validators.begin(), validators.end());
    CHECK(std::unique(validators.begin(), validators.end()) == validators.end());
}

TEST_CASE("a broken connection is made anew, and a transfer goes on where it was") {
    NEEDS_SSHD();
    const Sshd sshd;
    const std::string content = random_text(24u << 20);
    for (const SshTransport transport : both) {
        CAPTURE(name_of(transport));
        SftpStore store("nas", options_of(sshd, transport));
        write_text(sshd.home() / "object", content);
        std::string text;
        int cuts = 0;
        const ReadEnd end = store.read("object", {},
                                       [&](std::span<const std::byte> bytes) {
                                           text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
                                           if (text.size() > static_cast<std::size_t>(cuts + 1) * (5u << 20)) {
                                               ++cuts;
                                               sshd.cut();
                                           }
                                       },
                                       {});
        CHECK(end == ReadEnd::complete);
        CHECK(cuts == 4);
        CHECK(sha256_hex(text) == sha256_hex(content));

        // idle connections that have died
        sshd.cut();
        CHECK(store.stat("object", {}));

        Content breaking = content_of(content);
        std::atomic<int> opened = 0;
        breaking.open = [&, whole = breaking.open](std::uint64_t offset) -> ByteSource {
            return [&, source = whole(offset), first = ++opened == 1,
                    given = std::size_t{0}](std::span<std::byte> into) mutable {
                const std::size_t count = source(into);
                given += count;
                if (first && given > (4u << 20)) {
                    first = false;
                    sshd.cut();
                }
                return count;
            };
        };
        store.write("written", breaking, {}, {});
        CHECK(opened == 2);
        CHECK(sha256_hex(read_text(sshd.home() / "written")) == sha256_hex(content));
        std::size_t names = 0;
        for ([[maybe_unused]] const auto& each : std::filesystem::directory_iterator(sshd.home()))
            ++names;
        CHECK(names == 2);
        store.remove("written", {});
    }
}

TEST_CASE("R32 a large object survives key exchanges in its midst, both ways") {
    NEEDS_SSHD();
    const bool deep = std::getenv("LIFEBOAT_DEEP") != nullptr;
    const std::size_t size = deep ? 1u << 30 : 64u << 20;
    const Sshd sshd({.config = deep ? "RekeyLimit 64M" : "RekeyLimit 8M"});
    const std::string content = random_text(size);
    const std::string wanted = sha256_hex(content);
    for (const SshTransport transport : both) {
        CAPTURE(name_of(transport));
        SftpStore store("nas", options_of(sshd, transport));
        store.write("large", content_of(content), {}, {});
        {
            Sha256 written;
            std::ifstream in(sshd.home() / "large", std::ios::binary);
            std::vector<char> block(1u << 20);
            while (in.read(block.data(), static_cast<std::streamsize>(block.size())) || in.gcount() > 0)
                written.update(std::string_view(block.data(), static_cast<std::size_t>(in.gcount())));
            const Digest digest = written.finish();
            CHECK(to_hex(digest) == wanted);
        }
        Sha256 got;
        CHECK(store.read("large", {}, [&](std::span<const std::byte> bytes) { got.update(bytes); }, {}) ==
              ReadEnd::complete);
        const Digest digest = got.finish();
        CHECK(to_hex(digest) == wanted);
        store.remove("large", {});
    }
}

TEST_CASE("R32 a server that stands still is given up at the deadline, or when its silence lasts too long") {
    NEEDS_SSHD();
    const Sshd sshd;
    write_text(sshd.home() / "object", std::string(24u << 20, 'x'));
    for (const SshTransport transport : both) {
        CAPTURE(name_of(transport));
        const auto stalled = [&](Duration patience, const std::function<WorkControl()>& control) {
            SftpOptions options = options_of(sshd, transport);
            options.tuning.patience = patience;
            SftpStore store("nas", options);
            store.stat("object", {});
            const auto began = now();
            const Error error = error_of([&] {
                bool first = true;
                const ReadEnd end = store.read(
                    "object", {},
                    [&](auto) {
                        if (std::exchange(first, false)) sshd.pause();
                    },
                    control());
                (void)end;
            });
            CHECK(now() - began < seconds(4));
            sshd.resume();
            return error.code;
        };
        CHECK(stalled(seconds(60), [] { return WorkControl{.deadline = now() + seconds(1)}; }) == ErrorCode::timed_out);
        CHECK(stalled(seconds(1), [] { return WorkControl{}; }) == ErrorCode::slow);
        std::stop_source stop;
        std::jthread stopper([&] {
            std::this_thread::sleep_for(seconds(1));
            stop.request_stop();
        });
        CHECK(stalled(seconds(60), [&] { return WorkControl{.stop = stop.get_token()}; }) == ErrorCode::cancelled);
    }
}

TEST_CASE("without OpenSSH's extensions the store works on") {
    NEEDS_SSHD();
    const Sshd sshd({.config = "Subsystem sftp internal-sftp -P posix-rename,hardlink,fsync,limits,statvfs"});
    for (const SshTransport transport : both) {
        CAPTURE(name_of(transport));
        SftpStore store("nas", options_of(sshd, transport));
        const std::string content = random_text(3u << 20);
        store.write("set/object", content_of("first"), {}, {});
        store.write("set/object", content_of(content), {}, {});
        CHECK(text_of(store, "set/object") == content);
        CHECK(error_of([&] { store.write("set/object", content_of("x"), {.exclusive = true}, {}); }).code ==
              ErrorCode::already_exists);
        CHECK(keys_of(store) == std::vector<std::string>{"set/object"});
        std::size_t names = 0;
        for ([[maybe_unused]] const auto& each : std::filesystem::directory_iterator(sshd.home() / "set"))
            ++names;
        CHECK(names == 1);
        CHECK(store.remove("set/object", {}));
    }
}

TEST_CASE("a server that only serves refuses writes as denied") {
    NEEDS_SSHD();
    const Sshd sshd({.config = "Subsystem sftp internal-sftp -R"});
    write_text(sshd.home() / "object", "x");
    SftpStore store("nas", options_of(sshd));
    CHECK(text_of(store, "object") == "x");
    const Error error = error_of([&] { store.write("new", content_of("x"), {}, {}); });
    CHECK(error.code == ErrorCode::denied);
    CHECK(error.message.starts_with("object 'new' in store 'nas': cannot make '"));
    CHECK(error.details["store"] == "nas");
    CHECK(error_of([&] { store.remove("object", {}); }).code == ErrorCode::denied);
}

TEST_CASE("a full disk on the server is said to be one, and nothing is left") {
    NEEDS_SSHD();
    const Sshd sshd;
    if (::mount("tmpfs", sshd.home().c_str(), "tmpfs", 0, "size=8m") != 0) {
        WARN("SKIPPED: mounting a tmpfs needs root");
        return;
    }
    {
        SftpStore store("nas", options_of(sshd));
        const Error error = error_of([&] { store.write("large", content_of(random_text(16u << 20)), {}, {}); });
        CHECK(error.code == ErrorCode::disk_full);
        CHECK(std::filesystem::is_empty(sshd.home()));
        store.write("small", content_of("x"), {}, {});
    }
    ::umount2(sshd.home().c_str(), MNT_DETACH);
}

TEST_CASE("symbolic links, pipes and temporary files are no objects") {
    NEEDS_SSHD();
    const Sshd sshd;
    write_text(sshd.folder() / "outside" / "secret", "x");
    write_text(sshd.home() / "plain", "x");
    write_text(sshd.home() / ".lifeboat-writing-1-2", "x");
    std::filesystem::create_symlink(sshd.folder() / "outside" / "secret", sshd.home() / "link");
    std::filesystem::create_directory_symlink(sshd.folder() / "outside", sshd.home() / "folder");
    REQUIRE(::mkfifo((sshd.home() / "pipe").c_str(), 0600) == 0);
    SftpStore store("nas", options_of(sshd));
    CHECK(keys_of(store) == std::vector<std::string>{"plain"});
    for (const char* key : {"link", "folder/secret", "folder", "pipe", ".lifeboat-writing-1-2"}) {
        CAPTURE(key);
        CHECK_FALSE(store.stat(key, {}));
        CHECK(error_of([&] { text_of(store, key); }).code == ErrorCode::not_found);
        CHECK_FALSE(store.remove(key, {}));
    }
    CHECK(error_of([&] { store.write("folder/new", content_of("x"), {}, {}); }).code == ErrorCode::refused);
    CHECK_FALSE(std::filesystem::exists(sshd.folder() / "outside" / "new"));
    // but the store's own folder may be reached by one
    SftpOptions options = options_of(sshd);
    options.path = (sshd.home() / "folder").string() + "/";
    SftpStore linked("nas", options);
    CHECK(keys_of(linked) == std::vector<std::string>{"secret"});
}

TEST_CASE("calls side by side share the connections, and one inside another does not wait for itself") {
    NEEDS_SSHD();
    const Sshd sshd;
    write_text(sshd.home() / "object", std::string(1u << 20, 'x'));
    SftpOptions options = options_of(sshd);
    options.connections = 2;
    SftpStore store("nas", options);
    CHECK(store.features().parallel_reads == 2);
    std::atomic<int> done = 0;
    {
        std::vector<std::jthread> readers;
        for (int i = 0; i < 8; ++i)
            readers.emplace_back([&] {
                const ReadEnd end = store.read("object", {}, [](auto) {}, {});
                if (end == ReadEnd::complete) ++done;
            });
    }
    CHECK(done == 8);
    // each has two processes at most: the privileged one and the user's
    CHECK(sshd.connections() <= 4);

    options.connections = 1;
    SftpStore narrow("nas", options);
    bool nested = false;
    const WorkControl control{.deadline = now() + seconds(20)};
    const ReadEnd end = narrow.read(
        "object", {}, [&](auto) { nested = narrow.stat("object", control).has_value(); }, control);
    CHECK(end == ReadEnd::complete);
    CHECK(nested);
}

TEST_CASE("a store says which transport it takes") {
    SftpOptions options;
    options.server.host = "nas";
    options.server.user = "dr";
    options.server.known_hosts = "/etc/known";
    options.transport = SshTransport::library;
    CHECK(SftpStore("nas", options).transport().why.starts_with("the built-in libssh2 "));
    options.server.host = "-oProxyCommand=x";
    CHECK(error_of([&] { SftpStore("nas", options); }).code == ErrorCode::refused);
}
