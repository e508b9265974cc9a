#include "cli/places.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>

#include "base/error.h"
#include "support/scratch_folder.h"

using namespace lifeboat;
using lifeboat::test::ScratchFolder;
namespace fs = std::filesystem;

namespace {

void write(const fs::path& path, const std::string& text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
}

// Another current folder and environment while it lives.
class Elsewhere {
  public:
    explicit Elsewhere(const fs::path& folder) : before_(fs::current_path()) {
        fs::current_path(folder);
        ::unsetenv("LIFEBOAT_SITE");
    }
    ~Elsewhere() {
        fs::current_path(before_);
        ::unsetenv("LIFEBOAT_SITE");
    }

  private:
    fs::path before_;
};

}  // namespace

TEST_CASE("the site is found by option, environment, then here or above") {
    const ScratchFolder scratch;
    write(scratch.path() / "lifeboat.yaml", "");
    write(scratch.path() / "other.yaml", "");
    fs::create_directories(scratch.path() / "a/b");
    const Elsewhere elsewhere(scratch.path() / "a/b");
    CHECK(fs::equivalent(find_site(std::nullopt).value(), scratch.path() / "lifeboat.yaml"));
    ::setenv("LIFEBOAT_SITE", "../../other.yaml", 1);
    CHECK(fs::equivalent(find_site(std::nullopt).value(), scratch.path() / "other.yaml"));
    CHECK(fs::equivalent(find_site("../../lifeboat.yaml").value(), scratch.path() / "lifeboat.yaml"));
    ::setenv("LIFEBOAT_SITE", "gone.yaml", 1);
    CHECK_THROWS_AS(find_site(std::nullopt), Error);
}

TEST_CASE("a runbook is found by its name beside the site, then here") {
    const ScratchFolder scratch;
    write(scratch.path() / "site/lifeboat.yaml", "");
    write(scratch.path() / "site/runbooks/one.yaml", "");
    write(scratch.path() / "here/runbooks/one.yaml", "");
    write(scratch.path() / "here/runbooks/two.yml", "");
    const Elsewhere elsewhere(scratch.path() / "here");
    const fs::path site = scratch.path() / "site/lifeboat.yaml";
    CHECK(fs::equivalent(find_runbook("one", site), scratch.path() / "site/runbooks/one.yaml"));
    CHECK(fs::equivalent(find_runbook("one", std::nullopt), scratch.path() / "here/runbooks/one.yaml"));
    CHECK(fs::equivalent(find_runbook("two", site), scratch.path() / "here/runbooks/two.yml"));
    CHECK(fs::equivalent(find_runbook("runbooks/two.yml", site), scratch.path() / "here/runbooks/two.yml"));
    CHECK(runbooks_around(site).size() == 3);
    try {
        find_runbook("tow", site);
        FAIL("it was found");
    } catch (const Error& error) {
        CHECK(error.code == ErrorCode::usage);
        CHECK(error.message == "there is no runbook 'tow' (did you mean 'two'?)");
        CHECK(error.hint == "Runbooks found: one, two.");
    }
}

TEST_CASE("runs are kept where the site says, relative to its own file") {
    CHECK(state_folder({.file = "/etc/lifeboat/lifeboat.yaml", .state = "../runs"}) == "/etc/runs");
    CHECK(state_folder({.file = "/etc/lifeboat/lifeboat.yaml", .state = "/var/lib/lifeboat"}) == "/var/lib/lifeboat");
    ::setenv("XDG_STATE_HOME", "/x/state", 1);
    CHECK(state_folder({}) == "/x/state/lifeboat");
    ::setenv("XDG_STATE_HOME", "relative", 1);
    ::setenv("HOME", "/home/x", 1);
    CHECK(state_folder({}) == "/home/x/.local/state/lifeboat");
    ::unsetenv("XDG_STATE_HOME");
}

TEST_CASE("what is no readable text file is refused as a mistake of usage") {
    const ScratchFolder scratch;
    CHECK_THROWS_AS(read_text_file(scratch.path() / "gone"), Error);
    CHECK_THROWS_AS(read_text_file(scratch.path()), Error);
    write_text_file(scratch.path() / "text", "some\ntext");
    CHECK(read_text_file(scratch.path() / "text") == "some\ntext");
    CHECK_FALSE(fs::exists(scratch.path() / "text.new"));
}
