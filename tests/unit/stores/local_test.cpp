#include "stores/local.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "world/files.h"

using namespace lifeboat;
namespace fs = std::filesystem;

namespace {

struct Vault {
    PrivateDirectory folder{fs::temp_directory_path()};
    LocalStore store{"vault", folder.path() / "root"};

    void put(const std::string& key, const std::string& text) { store.write(key, content_of(text), {}, {}); }
    std::vector<std::string> keys(const std::string& prefix = {}) {
        std::vector<std::string> found;
        store.list(ListQuery{.prefix = prefix},
                   [&](std::span<const Listed> page) {
                       for (const Listed& line : page)
                           found.push_back(line.object.key);
                       return true;
                   },
                   {});
        return found;
    }
};

ErrorCode code_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        return error.code;
    }
    return ErrorCode::internal;
}

}  // namespace

TEST_CASE("symbolic links in a local store are neither listed nor followed") {
    Vault vault;
    vault.put("a/b", "inside");
    const fs::path root = vault.store.root();
    std::ofstream(vault.folder.path() / "secret") << "outside";
    fs::create_symlink("../secret", root / "link");
    fs::create_directory_symlink("..", root / "up");
    fs::create_symlink("a/b", root / "near");

    CHECK(vault.keys() == std::vector<std::string>{"a/b"});
    CHECK_FALSE(vault.store.stat("link", {}));
    CHECK_FALSE(vault.store.stat("up/secret", {}));
    CHECK(code_of([&] { read_all(vault.store, "link", Bytes{100}, {}); }) == ErrorCode::not_found);
    CHECK(code_of([&] { read_all(vault.store, "up/secret", Bytes{100}, {}); }) == ErrorCode::not_found);
    CHECK(code_of([&] { vault.put("up/secret", "overwritten"); }) == ErrorCode::refused);
    CHECK_FALSE(vault.store.remove("link", {}));
    CHECK_FALSE(vault.store.remove("up/secret", {}));
    CHECK(read_small_file(vault.folder.path() / "secret") == "outside");

    // a link in the place of an object is replaced, not written through
    vault.put("link", "own");
    CHECK(read_all(vault.store, "link", Bytes{100}, {}) == "own");
    CHECK(read_small_file(vault.folder.path() / "secret") == "outside");
}

TEST_CASE("what is neither a file nor a folder is no object in a local store") {
    Vault vault;
    vault.put("a", "x");
    REQUIRE(::mkfifo((vault.store.root() / "fifo").c_str(), 0600) == 0);
    std::ofstream(vault.store.root() / "bad\nname") << "x";
    CHECK(vault.keys() == std::vector<std::string>{"a"});
    CHECK_FALSE(vault.store.stat("fifo", {}));
    CHECK(code_of([&] { read_all(vault.store, "fifo", Bytes{100}, {}); }) == ErrorCode::not_found);
}

TEST_CASE("a writer that is killed leaves no object, and its file goes with the folder") {
    Vault vault;
    vault.put("set/other/x", "x");
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        const Content endless{.size = 10, .open = [](std::uint64_t) -> ByteSource {
                                  return [](std::span<std::byte>) -> std::size_t {
                                      ::kill(::getpid(), SIGKILL);
                                      return 0;
                                  };
                              }};
        vault.store.write("set/id/shop/shop.dump", endless, {}, {});
        ::_exit(1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));

    CHECK(vault.keys() == std::vector<std::string>{"set/other/x"});
    CHECK_FALSE(fs::is_empty(vault.store.root() / "set/id/shop"));
    vault.put("set/id/claim", "x");
    CHECK(vault.store.remove("set/id/claim", {}));
    CHECK_FALSE(fs::exists(vault.store.root() / "set/id"));
    CHECK(vault.keys() == std::vector<std::string>{"set/other/x"});
}

TEST_CASE("temporary names are out of reach") {
    Vault vault;
    vault.put("a", "x");
    std::ofstream(vault.store.root() / ".lifeboat-writing-1-2") << "half";
    CHECK(vault.keys() == std::vector<std::string>{"a"});
    CHECK_FALSE(vault.store.stat(".lifeboat-writing-1-2", {}));
    CHECK(code_of([&] { read_all(vault.store, ".lifeboat-writing-1-2", Bytes{9}, {}); }) == ErrorCode::not_found);
    CHECK(code_of([&] { vault.put("b/.lifeboat-writing-1-2", "x"); }) == ErrorCode::refused);
}

TEST_CASE("a store whose directory is missing is unreachable, and only its last folder is ever made") {
    PrivateDirectory folder(fs::temp_directory_path());
    LocalStore store("nas", folder.path() / "mnt" / "backups");
    const auto look = [&] { store.list({}, [](auto) { return true; }, {}); };
    CHECK(code_of(look) == ErrorCode::unreachable);
    CHECK(code_of([&] { store.write("a", content_of("x"), {}, {}); }) == ErrorCode::unreachable);
    fs::create_directory(folder.path() / "mnt");
    CHECK(code_of(look) == ErrorCode::unreachable);
    store.write("a", content_of("x"), {}, {});
    CHECK(read_all(store, "a", Bytes{10}, {}) == "x");
    CHECK((fs::status(store.root()).permissions() & fs::perms::mask) == fs::perms::owner_all);
}

TEST_CASE("a full file system is told apart and leaves nothing behind") {
    // /dev/full answers ENOSPC to writes, but cannot be renamed into a store: a file size limit gives EFBIG, classified
    // alike
    Vault vault;
    vault.put("a", "x");
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{4096, 4096};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        const ErrorCode code = code_of([&] { vault.put("b", std::string(100000, 'x')); });
        ::_exit(code == ErrorCode::disk_full ? 0 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(std::distance(fs::directory_iterator(vault.store.root()), fs::directory_iterator()) == 1);
}

TEST_CASE("an error names the store and the key") {
    Vault vault;
    vault.put("a", "x");
    try {
        read_all(vault.store, "set/gone", Bytes{10}, {});
        FAIL("not missing");
    } catch (const Error& error) {
        CHECK(error.message == "object 'set/gone' in store 'vault': there is no such object");
        CHECK(error.details == Json{{"store", "vault"}, {"key", "set/gone"}});
    }
}
