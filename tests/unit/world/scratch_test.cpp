#include "world/scratch.h"

#include <catch2/catch.hpp>
#include <fstream>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "world/process_table.h"

using namespace lifeboat;
namespace fs = std::filesystem;

namespace {

struct Folder {
    Folder() {
        char pattern[] = "/tmp/lifeboat-scratch-test-XXXXXX";
        REQUIRE(mkdtemp(pattern) != nullptr);
        path = pattern;
    }
    ~Folder() {
        std::error_code ignored;
        for (const auto& entry : fs::directory_iterator(path, ignored))
            destroy_scratch_postgres(entry.path());
        fs::remove_all(path, ignored);
    }
    fs::path path;
};

bool process_exists(int pid) {
    const auto row = process_row(pid);
    return row && !row->dead();
}

}  // namespace

TEST_CASE("a throw-away cluster shows its nonce, is found again, and goes without a trace") {
    const Folder folder;
    const ScratchPostgres made = start_scratch_postgres({.folder = folder.path / "pg", .nonce = "nonce-1"});
    {
        PostgresConnection session(made.target());
        CHECK(session.value("show cluster_name") == "nonce-1");
        CHECK(session.value("show port") == std::to_string(made.port));
    }
    PostgresTarget by_socket = made.target();
    by_socket.host = made.socket;
    // the socket's folder is the server's own: root may enter it
    if (geteuid() == 0) CHECK(PostgresConnection(by_socket).value("select 1") == "1");

    const ScratchPostgres found = attach_scratch_postgres(folder.path / "pg");
    CHECK(found.port == made.port);
    CHECK(found.pid == made.pid);
    CHECK(found.nonce == "nonce-1");

    try {
        start_scratch_postgres({.folder = folder.path / "pg", .nonce = "other"});
        FAIL("a second cluster was started in the same folder");
    } catch (const Error& error) {
        CHECK(error.code == ErrorCode::already_exists);
    }

    CHECK(destroy_scratch_postgres(folder.path / "pg"));
    CHECK_FALSE(process_exists(made.pid));
    CHECK_FALSE(fs::exists(made.place));
    CHECK_FALSE(fs::exists(folder.path / "pg"));
    CHECK_FALSE(destroy_scratch_postgres(folder.path / "pg"));
    CHECK_THROWS_AS(attach_scratch_postgres(folder.path / "pg"), Error);
}

TEST_CASE("a cluster with a password lets nobody in without it") {
    const Folder folder;
    const ScratchPostgres made =
        start_scratch_postgres({.folder = folder.path / "pg", .nonce = "n", .password = Secret("pa'ss:w\\ord")});
    CHECK(PostgresConnection(made.target()).value("select 1") == "1");
    PostgresTarget without = made.target();
    without.password = Secret();
    try {
        const PostgresConnection session(without);
        FAIL("let in without a password");
    } catch (const Error& error) {
        CHECK(error.code == ErrorCode::denied);
        CHECK(sqlstate_of(error) == "28P01");
        CHECK(error.message.find("asks for a password and the resource has none") != std::string::npos);
    }
}

TEST_CASE("a cluster outlives the process that made it, and is destroyed by another") {
    const Folder folder;
    const pid_t maker = fork();
    REQUIRE(maker >= 0);
    if (maker == 0) {
        try {
            start_scratch_postgres({.folder = folder.path / "pg", .nonce = "orphan"});
        } catch (...) {
            _exit(1);
        }
        kill(getpid(), SIGKILL);
    }
    int status = 0;
    REQUIRE(waitpid(maker, &status, 0) == maker);
    REQUIRE(WIFSIGNALED(status));
    const ScratchPostgres found = attach_scratch_postgres(folder.path / "pg");
    CHECK(PostgresConnection(found.target()).value("show cluster_name") == "orphan");
    CHECK(destroy_scratch_postgres(folder.path / "pg"));
    CHECK_FALSE(process_exists(found.pid));
}

TEST_CASE("what a killed start left half made is removed and made again") {
    const Folder folder;
    const pid_t maker = fork();
    REQUIRE(maker >= 0);
    if (maker == 0) {
        alarm(0);
        // ended in the middle of initdb
        signal(SIGALRM, SIG_DFL);
        ualarm(150'000, 0);
        try {
            start_scratch_postgres({.folder = folder.path / "pg", .nonce = "half"});
        } catch (...) {
            _exit(1);
        }
        _exit(0);
    }
    int status = 0;
    REQUIRE(waitpid(maker, &status, 0) == maker);
    const ScratchPostgres made = [&] {
        destroy_scratch_postgres(folder.path / "pg");
        return start_scratch_postgres({.folder = folder.path / "pg", .nonce = "whole"});
    }();
    CHECK(PostgresConnection(made.target()).value("show cluster_name") == "whole");
}

TEST_CASE("a nonce that could be a path or an option is refused") {
    const Folder folder;
    for (const char* nonce :
         {"", "a b", "../x", "x'y", "0123456789012345678901234567890123456789012345678901234567890123"}) {
        CHECK_THROWS_AS(start_scratch_postgres({.folder = folder.path / "pg", .nonce = nonce}), Error);
    }
    CHECK_FALSE(fs::exists(folder.path / "pg"));
}
