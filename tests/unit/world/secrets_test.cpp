#include "world/secrets.h"

#include <catch2/catch.hpp>
#include <cstdlib>

#include <sys/stat.h>

#include "base/error.h"
#include "support/scratch_folder.h"

using namespace lifeboat;
using namespace lifeboat::test;
using Kind = SecretPlace::Kind;

namespace {

Error error_of(SecretSource& secrets, const std::string& name) {
    try {
        secrets.fetch(name);
    } catch (const Error& error) {
        return error;
    }
    FAIL("no error was thrown");
    throw;
}

}  // namespace

TEST_CASE("a secret comes from the environment, a file or a command, and the redactor knows it") {
    const ScratchFolder folder;
    write_text(folder / "key", "from-a-file\r\n");
    ::chmod((folder / "key").c_str(), 0600);
    ::setenv("LIFEBOAT_TEST_SECRET", "from-the-environment", 1);
    Redactor redactor;
    FetchedSecrets secrets(
        {{"env", {.text = "LIFEBOAT_TEST_SECRET"}},
         {"file", {.kind = Kind::file, .text = folder / "key"}},
         {"command", {.kind = Kind::command, .command = {"sh", "-c", "echo $LIFEBOAT_TEST_SECRET-by-command"}}}},
        redactor);
    CHECK(redactor.redact("from-a-file") == "from-a-file");
    CHECK(secrets.fetch("env").reveal() == "from-the-environment");
    CHECK(secrets.fetch("file").reveal() == "from-a-file");
    CHECK(secrets.fetch("command").reveal() == "from-the-environment-by-command");
    CHECK(redactor.redact("x from-a-file y") == "x ***file*** y");
    ::unsetenv("LIFEBOAT_TEST_SECRET");
    CHECK(secrets.fetch("env").reveal() == "from-the-environment");  // fetched once
}

TEST_CASE("R11 a file that others may read is refused") {
    const ScratchFolder folder;
    const std::string path = folder / "key";
    write_text(path, "value");
    Redactor redactor;
    FetchedSecrets secrets({{"key", {.kind = Kind::file, .text = path}}}, redactor);
    for (const mode_t mode : {0640u, 0604u, 0666u, 0610u}) {
        ::chmod(path.c_str(), mode);
        CHECK(error_of(secrets, "key").code == ErrorCode::secret_missing);
    }
    ::chmod(path.c_str(), 0644);
    const Error error = error_of(secrets, "key");
    CHECK(error.message == "cannot fetch the secret 'key': others may read '" + path + "' (its mode is 0644)");
    CHECK(error.hint == "Make it readable for its owner only: chmod 0600 " + path + ".");
    ::chmod(path.c_str(), 0400);
    CHECK(secrets.fetch("key").reveal() == "value");
}

TEST_CASE("a secret that cannot be fetched says where it should be") {
    const ScratchFolder folder;
    write_text(folder / "empty", "\n");
    ::chmod((folder / "empty").c_str(), 0600);
    ::mkfifo((folder / "fifo").c_str(), 0600);
    Redactor redactor;
    FetchedSecrets secrets({{"unset", {.text = "LIFEBOAT_NO_SUCH_VARIABLE"}},
                            {"absent", {.kind = Kind::file, .text = "/no/such/file"}},
                            {"fifo", {.kind = Kind::file, .text = folder / "fifo"}},
                            {"empty", {.kind = Kind::file, .text = folder / "empty"}},
                            {"failing", {.kind = Kind::command, .command = {"sh", "-c", "echo sealed >&2; exit 2"}}},
                            {"missing", {.kind = Kind::command, .command = {"no-such-vault"}}},
                            {"talking", {.kind = Kind::command, .command = {"sh", "-c", "yes | head -c 100000"}}}},
                           redactor);
    const auto message = [&](const std::string& name) {
        const Error error = error_of(secrets, name);
        CHECK(error.code == ErrorCode::secret_missing);
        return error.message;
    };
    CHECK(message("unset") ==
          "cannot fetch the secret 'unset': the environment variable 'LIFEBOAT_NO_SUCH_VARIABLE' is not set");
    CHECK(message("absent") ==
          "cannot fetch the secret 'absent': cannot open '/no/such/file': No such file or directory");
    CHECK(message("fifo") == "cannot fetch the secret 'fifo': '" + (folder / "fifo").string() + "' is no regular file");
    CHECK(message("empty") == "cannot fetch the secret 'empty': it is empty");
    CHECK(message("failing") == "cannot fetch the secret 'failing': 'sh' ended with exit code 2: sealed");
    CHECK(message("missing") == "cannot fetch the secret 'missing': there is no program 'no-such-vault' in PATH");
    CHECK(message("talking") == "cannot fetch the secret 'talking': 'sh' printed more than 64 KiB");
    CHECK(message("failin") == "there is no secret 'failin' (did you mean 'failing'?)");
}
