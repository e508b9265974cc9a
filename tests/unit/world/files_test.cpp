#include "world/files.h"

#include <catch2/catch.hpp>
#include <fstream>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "base/sha256.h"
#include "world/file_lock.h"
#include "world/tree.h"

using namespace lifeboat;
namespace fs = std::filesystem;

namespace {

struct Sandbox {
    PrivateDirectory folder{fs::temp_directory_path(), "lifeboat-files-test-"};
    fs::path operator/(const std::string& name) const { return folder.path() / name; }
};

void put(const fs::path& path, const std::string& content) {
    std::ofstream{path, std::ios::binary} << content;
}

std::string get(const fs::path& path) {
    return read_small_file(path, {64u << 20});
}

ErrorCode code_of(const std::function<void()>& act) {
    try {
        act();
    } catch (const Error& error) {
        return error.code;
    }
    FAIL("no error was thrown");
    return ErrorCode::internal;
}

// A tree with everything a configuration folder may hold.
void make_tree(const fs::path& root) {
    fs::create_directories(root / "conf.d" / "empty");
    put(root / "app.conf", "port = 80\n");
    put(root / "conf.d" / "10-a.conf", std::string(3 << 20, 'a'));
    put(root / "conf.d" / "name with blanks \xc3\xa9", "x");
    fs::create_symlink("../app.conf", root / "conf.d" / "link");
    fs::permissions(root / "app.conf", fs::perms{0640});
    fs::permissions(root / "conf.d" / "empty", fs::perms{0500});
    fs::permissions(root / "conf.d", fs::perms{02750});
    if (::geteuid() == 0) REQUIRE(::chown((root / "app.conf").c_str(), 1234, 4321) == 0);
    const timespec times[2] = {{.tv_sec = 1'000'000'000, .tv_nsec = 5}, {.tv_sec = 1'000'000'000, .tv_nsec = 5}};
    REQUIRE(::utimensat(AT_FDCWD, (root / "app.conf").c_str(), times, 0) == 0);
}

}  // namespace

TEST_CASE("a durable write replaces the whole file and leaves nothing beside it") {
    const Sandbox sandbox;
    write_durably(sandbox / "a", "first");
    write_durably(sandbox / "a", "second", 0644);
    CHECK(get(sandbox / "a") == "second");
    CHECK((fs::status(sandbox / "a").permissions() & fs::perms::mask) == fs::perms{0644});
    CHECK(std::distance(fs::directory_iterator{sandbox.folder.path()}, fs::directory_iterator{}) == 1);
    CHECK(code_of([&] { write_durably(sandbox / "no/such/folder", "x"); }) == ErrorCode::not_found);
}

TEST_CASE("a small file that is not small is refused") {
    const Sandbox sandbox;
    put(sandbox / "a", std::string(1000, 'x'));
    CHECK(read_small_file(sandbox / "a", {1000}).size() == 1000);
    CHECK(code_of([&] { read_small_file(sandbox / "a", {999}); }) == ErrorCode::limit_exceeded);
    CHECK(code_of([&] { read_small_file(sandbox / "b"); }) == ErrorCode::not_found);
}

TEST_CASE("an object keeps its identity when it is renamed, and another under its name has another") {
    const Sandbox sandbox;
    put(sandbox / "a", "a");
    fs::create_directory(sandbox / "b");
    const auto a = identity_of(sandbox / "a");
    const auto b = identity_of(sandbox / "b");
    REQUIRE((a && b));
    CHECK_FALSE(same_object(*a, *b));
    CHECK(same_object(*a, file_identity_from_json(to_json(*a))));
    exchange(sandbox / "a", sandbox / "b");
    CHECK(same_object(*a, *identity_of(sandbox / "b")));
    CHECK(same_object(*b, *identity_of(sandbox / "a")));
    CHECK(fs::is_directory(sandbox / "a"));
    CHECK_FALSE(identity_of(sandbox / "c"));
    CHECK(code_of([&] { exchange(sandbox / "a", sandbox / "c"); }) == ErrorCode::not_found);
}

TEST_CASE("a move never replaces what is there") {
    const Sandbox sandbox;
    put(sandbox / "a", "a");
    put(sandbox / "b", "b");
    CHECK(code_of([&] { move_durably(sandbox / "a", sandbox / "b"); }) == ErrorCode::already_exists);
    CHECK(get(sandbox / "b") == "b");
    move_durably(sandbox / "a", sandbox / "c");
    CHECK(get(sandbox / "c") == "a");
    CHECK(remove_file(sandbox / "c"));
    CHECK_FALSE(remove_file(sandbox / "c"));
}

TEST_CASE("a copy is hashed on the way, small, large, empty and with holes") {
    const Sandbox sandbox;
    const std::size_t size =
        GENERATE(std::size_t{0}, std::size_t{10}, std::size_t{1u << 20}, std::size_t{(8u << 20) + 12345});
    std::string content(size, '\0');
    for (std::size_t i = 0; i < size; ++i)
        content[i] = static_cast<char>(i * 31 + i / 977);
    put(sandbox / "a", content);
    std::uint64_t moved = 0;
    WorkControl control;
    control.moved = [&](std::uint64_t bytes) { moved += bytes; };
    const HashedFile copied = copy_and_hash(sandbox / "a", sandbox / "b", control, 0640);
    CHECK(copied.size == size);
    CHECK(copied.sha256 == sha256_hex(content));
    CHECK(moved == size);
    CHECK(get(sandbox / "b") == content);
    CHECK(hash_file(sandbox / "b").sha256 == copied.sha256);
    CHECK(code_of([&] { copy_and_hash(sandbox / "a", sandbox / "b", {}); }) == ErrorCode::already_exists);

    put(sandbox / "holes", "");
    fs::resize_file(sandbox / "holes", 64u << 20);
    const HashedFile sparse = copy_and_hash(sandbox / "holes", sandbox / "holes2", {});
    CHECK(sparse.sha256 == sha256_hex(std::string(64u << 20, '\0')));
    struct stat status {};
    REQUIRE(::stat((sandbox / "holes2").c_str(), &status) == 0);
    CHECK(status.st_size == 64 << 20);
    CHECK(status.st_blocks * 512 < 1 << 20);
}

TEST_CASE("a copy ends when asked to stop or at its deadline, and leaves nothing") {
    const Sandbox sandbox;
    put(sandbox / "a", std::string(20 << 20, 'a'));
    std::stop_source source;
    WorkControl stopping{.stop = source.get_token(), .moved = [&](std::uint64_t) { source.request_stop(); }};
    CHECK(code_of([&] { copy_and_hash(sandbox / "a", sandbox / "b", stopping); }) == ErrorCode::cancelled);
    WorkControl late{.deadline = SteadyTime{}};
    CHECK(code_of([&] { copy_and_hash(sandbox / "a", sandbox / "b", late); }) == ErrorCode::timed_out);
    CHECK_FALSE(identity_of(sandbox / "b"));
}

TEST_CASE("R4 containment is by components, not by prefix") {
    CHECK(lies_within("/a/pg", "/a/pg"));
    CHECK(lies_within("/a/pg/base", "/a/pg"));
    CHECK(lies_within("/a/pg/base", "/a/pg/"));
    CHECK(lies_within("/a/pg", "/"));
    CHECK_FALSE(lies_within("/a/pg_tblspc", "/a/pg"));
    CHECK_FALSE(lies_within("/a/pg/../x", "/a/pg"));
    CHECK_FALSE(lies_within("/a", "/a/pg"));
}

TEST_CASE("R5 a path that names nothing definite is refused") {
    for (const auto* path :
         {"", "/", "//", ".", "..", "etc/app", "/etc/*", "/etc/a?", "/etc/../x", "/etc/./x", "/etc/x\ny"}) {
        CAPTURE(path);
        CHECK(code_of([&] { require_definite_path(path, "the path"); }) == ErrorCode::invalid_file);
    }
    CHECK_NOTHROW(require_definite_path("/etc/app", "the path"));
    CHECK_NOTHROW(require_definite_path("/etc/app/", "the path"));
}

TEST_CASE("R17 free space is told with the file system's name, also for what does not exist yet") {
    const Sandbox sandbox;
    const FileSystemSpace here = space_at(sandbox / "not/there/yet");
    CHECK(here.mount_point == space_at(sandbox.folder.path()).mount_point);
    CHECK(here.total > Bytes{0});
    CHECK(here.free <= here.total);
    const FileSystemSpace proc = space_at("/proc/self");
    CHECK(proc.mount_point == "/proc");
    CHECK(proc.type == "proc");
    CHECK_FALSE(same_filesystem("/proc", sandbox.folder.path()));
    CHECK(same_filesystem(sandbox / "x", sandbox / "y/z"));
    CHECK(mounts_within(sandbox.folder.path()).empty());
    CHECK_FALSE(mounts_within("/proc").empty());
}

TEST_CASE("a lock excludes other processes, tells who holds it, and is gone with its holder") {
    const Sandbox sandbox;
    const fs::path path = sandbox / "locks/a.lock";
    int ready[2];
    int hold[2];
    REQUIRE(::pipe(ready) == 0);
    REQUIRE(::pipe(hold) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        ::close(hold[1]);
        FileLock lock = FileLock::take(path);
        lock.write_note("run r1 on host h");
        char byte = 'x';
        if (::write(ready[1], &byte, 1) != 1) ::_exit(1);
        (void)!::read(hold[0], &byte, 1);
        ::_exit(0);
    }
    char byte = 0;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    CHECK_FALSE(FileLock::try_take(path));
    try {
        FileLock::take(path);
        FAIL("the lock was taken twice");
    } catch (const Error& error) {
        CHECK(error.code == ErrorCode::locked);
        CHECK(error.hint == "Held by run r1 on host h.");
    }
    REQUIRE(::kill(child, SIGKILL) == 0);
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    CHECK(FileLock::try_take(path));
    for (const int end : {ready[0], ready[1], hold[0], hold[1]})
        ::close(end);
}

TEST_CASE("R28 a copied tree is the tree: content, modes, owners, times, links, attributes") {
    const Sandbox sandbox;
    make_tree(sandbox / "a");
    const bool attributes = ::setxattr((sandbox / "a/app.conf").c_str(), "user.kept", "yes", 3, 0) == 0;
    const TreeListing read = copy_tree(sandbox / "a", sandbox / "b");
    CHECK(differences(list_tree(sandbox / "a"), list_tree(sandbox / "b"), Owners::compare).empty());
    CHECK(read == list_tree(sandbox / "a"));
    CHECK(fingerprint(read) == fingerprint_tree(sandbox / "b"));
    CHECK(read.size() == 7);
    CHECK(read.at("conf.d/link").target == "../app.conf");
    struct stat status {};
    REQUIRE(::stat((sandbox / "b/app.conf").c_str(), &status) == 0);
    CHECK(status.st_mtim.tv_sec == 1'000'000'000);
    CHECK(status.st_mtim.tv_nsec == 5);
    if (attributes) {
        char value[8] = {};
        CHECK(::getxattr((sandbox / "b/app.conf").c_str(), "user.kept", value, sizeof value) == 3);
    }
    CHECK(measure_tree(sandbox / "b").bytes == size_of(read).bytes);
    CHECK(code_of([&] { copy_tree(sandbox / "a", sandbox / "b"); }) == ErrorCode::already_exists);
}

TEST_CASE("a tree of many files is copied whole") {
    const Sandbox sandbox;
    fs::create_directory(sandbox / "a");
    for (int i = 0; i < 300; ++i)
        put(sandbox / ("a/" + std::to_string(i)), std::to_string(i));
    copy_tree(sandbox / "a", sandbox / "b");
    CHECK(fingerprint_tree(sandbox / "a") == fingerprint_tree(sandbox / "b"));
}

TEST_CASE("a single file and a link are trees too") {
    const Sandbox sandbox;
    put(sandbox / "a", "content");
    fs::create_symlink("/nowhere", sandbox / "l");
    CHECK(copy_tree(sandbox / "a", sandbox / "b").size() == 1);
    CHECK(get(sandbox / "b") == "content");
    copy_tree(sandbox / "l", sandbox / "m");
    CHECK(fs::read_symlink(sandbox / "m") == "/nowhere");
}

TEST_CASE("every kind of difference between trees has its line and changes the fingerprint") {
    const Sandbox sandbox;
    make_tree(sandbox / "a");
    const TreeListing wanted = list_tree(sandbox / "a");
    const auto lines = [&](const std::function<void(TreeListing&)>& change) {
        TreeListing found = wanted;
        change(found);
        CHECK(fingerprint(found) != fingerprint(wanted));
        return differences(wanted, found, Owners::compare);
    };
    using Lines = std::vector<std::string>;
    CHECK(lines([](auto& t) { t.erase("app.conf"); }) == Lines{"'app.conf' is missing"});
    CHECK(lines([](auto& t) { t["extra"] = {}; }) == Lines{"'extra' is there and should not be"});
    CHECK(lines([](auto& t) { t["app.conf"].mode = 0600; }) == Lines{"'app.conf' has mode 0600 instead of 0640"});
    CHECK(lines([](auto& t) { t["app.conf"].size = 1; }) == Lines{"'app.conf' has 1 bytes instead of 10"});
    CHECK(lines([](auto& t) { t["app.conf"].sha256 = "0"; }) == Lines{"'app.conf' has another content"});
    CHECK(lines([](auto& t) { t["conf.d/link"].target = "x"; }) ==
          Lines{"'conf.d/link' leads to 'x' instead of '../app.conf'"});
    CHECK(lines([](auto& t) { t["app.conf"].type = EntryType::link; }) ==
          Lines{"'app.conf' is a link instead of a file"});
    TreeListing other_owner = wanted;
    other_owner["app.conf"].owner += 1;
    CHECK(differences(wanted, other_owner, Owners::ignore).empty());
    CHECK(differences(wanted, other_owner, Owners::compare).size() == 1);
    CHECK(fingerprint(wanted, Owners::ignore) == fingerprint(other_owner, Owners::ignore));
}

TEST_CASE("removing a tree does not follow its links") {
    const Sandbox sandbox;
    make_tree(sandbox / "a");
    put(sandbox / "outside", "stays");
    fs::create_directory(sandbox / "folder");
    put(sandbox / "folder/stays", "too");
    fs::create_symlink(sandbox / "folder", sandbox / "a/out");
    fs::create_symlink(sandbox / "folder", sandbox / "link");
    CHECK(remove_tree(sandbox / "a"));
    CHECK(remove_tree(sandbox / "link"));
    CHECK_FALSE(remove_tree(sandbox / "a"));
    CHECK(get(sandbox / "outside") == "stays");
    CHECK(get(sandbox / "folder/stays") == "too");
}

TEST_CASE("a tree with another file system mounted in it is not removed") {
    const Sandbox sandbox;
    fs::create_directories(sandbox / "a/mnt");
    put(sandbox / "a/first", "x");
    if (::mount("tmpfs", (sandbox / "a/mnt").c_str(), "tmpfs", 0, "size=1m") != 0) {
        WARN("SKIPPED: mounting a tmpfs needs root");
        return;
    }
    put(sandbox / "a/mnt/inner", "y");
    CHECK(code_of([&] { remove_tree(sandbox / "a"); }) == ErrorCode::busy);
    CHECK(get(sandbox / "a/first") == "x");
    CHECK(get(sandbox / "a/mnt/inner") == "y");
    REQUIRE(::umount((sandbox / "a/mnt").c_str()) == 0);
}

TEST_CASE("a copy onto a full file system is told as such") {
    const Sandbox sandbox;
    fs::create_directories(sandbox / "small");
    put(sandbox / "big", std::string(3 << 20, 'x'));
    if (::mount("tmpfs", (sandbox / "small").c_str(), "tmpfs", 0, "size=1m") != 0) {
        WARN("SKIPPED: mounting a tmpfs needs root");
        return;
    }
    CHECK(code_of([&] { copy_and_hash(sandbox / "big", sandbox / "small/copy", {}); }) == ErrorCode::disk_full);
    CHECK_FALSE(identity_of(sandbox / "small/copy"));
    CHECK(space_at(sandbox / "small/x").mount_point == fs::canonical(sandbox / "small"));
    REQUIRE(::umount((sandbox / "small").c_str()) == 0);
}

TEST_CASE("devices and FIFOs are not copied, sockets are left out") {
    const Sandbox sandbox;
    fs::create_directory(sandbox / "a");
    REQUIRE(::mkfifo((sandbox / "a/fifo").c_str(), 0600) == 0);
    CHECK(code_of([&] { copy_tree(sandbox / "a", sandbox / "b"); }) == ErrorCode::unsupported);
    CHECK(list_tree(sandbox / "a").at("fifo").type == EntryType::other);
}
