#include "drill/isolation.h"

#include <catch2/catch.hpp>

#include "actions/family.h"
#include "support/scratch_folder.h"

namespace lifeboat {

namespace {

namespace fs = std::filesystem;

// A sandbox, a drill and a runbook about which there is no doubt; a test spoils one thing.
struct Bench {
    test::ScratchFolder scratch;
    fs::path folder = fs::canonical(scratch.path()) / "lifeboat-drill-1";
    Specs specs = all_specs();
    Site sandbox;
    Drill drill;
    Runbook runbook;

    Bench() {
        fs::create_directories(folder);
        sandbox.state = folder / "state";
        sandbox.drill = DrillMark{.drill = "1", .nonces = {{"db", "n1"}, {"pg", "n2"}}};
        sandbox.resources["db"] = {
            .name = "db", .type = "sqlite", .fields = {{"path", (folder / "resources/db/db.db").string()}}};
        sandbox.resources["pg"] = {
            .name = "pg", .type = "postgres", .fields = {{"host", "127.0.0.1"}, {"port", 40000}}};
        runbook.requires_ = {{.name = "db", .kind = "sqlite", .span = {}}};
    }

    std::vector<std::string> doubts(const Site* real = nullptr) const {
        return doubts_about_definitions(
            {.sandbox = sandbox, .folder = folder, .drill = drill, .runbook = runbook, .real = real, .specs = specs});
    }
    void add_step(const std::string& action, const Json& arguments) {
        Step step{.id = "act"};
        step.deed.action = action;
        step.deed.arguments = arguments;
        runbook.steps.push_back(std::move(step));
    }
};

}  // namespace

TEST_CASE("R39 a sandbox with nothing outside of itself is isolated") {
    Bench bench;
    bench.add_step("http.check", {{"url", "http://127.0.0.1:8080/health"}});
    bench.add_step("http.check", {{"url", "${{ resources.pg.host }}"}});
    CHECK(bench.doubts() == std::vector<std::string>{});
}

TEST_CASE("R39 a path that only begins like the sandbox lies outside") {
    Bench bench;
    bench.sandbox.resources["db"].fields["path"] = bench.folder.string() + "-live/db.db";
    REQUIRE(bench.doubts().size() == 1);
    CHECK(bench.doubts().front().find("lies outside of the sandbox") != std::string::npos);
}

TEST_CASE("R39 a path that leaves the sandbox by a link lies outside") {
    Bench bench;
    fs::create_directories(bench.scratch.path() / "live");
    fs::create_directories(bench.folder / "resources");
    fs::create_directory_symlink(bench.scratch.path() / "live", bench.folder / "resources" / "db");
    REQUIRE(bench.doubts().size() == 1);
    CHECK(bench.doubts().front().find("lies outside of the sandbox") != std::string::npos);
}

TEST_CASE("R39 a link among the files leads nowhere else") {
    Bench bench;
    const fs::path config = bench.folder / "resources" / "config";
    fs::create_directories(config / "below");
    fs::create_symlink("../below", config / "below" / "inside");
    bench.sandbox.resources["config"] = {.name = "config", .type = "files", .fields = {{"path", config.string()}}};
    bench.sandbox.drill->nonces["config"] = "n3";
    CHECK(bench.doubts().empty());
    fs::create_symlink("/etc", config / "below" / "outside");
    REQUIRE(bench.doubts().size() == 1);
    CHECK(bench.doubts().front().find("leads out of the sandbox") != std::string::npos);
}

TEST_CASE("R39 only loopback is a host of a sandbox") {
    Bench bench;
    bench.sandbox.resources["pg"].fields["host"] = "db1";
    REQUIRE(bench.doubts().size() == 1);
    CHECK(bench.doubts().front() == "'pg' (host): 'db1' is not this machine's loopback");
}

TEST_CASE("R39 a URL written into the runbook is a host as well") {
    Bench bench;
    bench.add_step("http.check", {{"url", "https://user@shop.example.com:8443/health"}});
    bench.drill.never_touch_hosts = {"*.example.COM"};
    CHECK(bench.doubts() ==
          std::vector<std::string>{
              "runbook's step 'act' (url): 'shop.example.com' is not this machine's loopback",
              "runbook's step 'act' (url): 'shop.example.com' may never be touched ('*.example.COM')"});
}

TEST_CASE("R39 a host that comes from an input is looked up") {
    Bench bench;
    bench.runbook.inputs = {{.name = "where", .default_value = "db1"}};
    bench.add_step("tcp.check", {{"host", "${{ inputs.where }}"}, {"port", 5432}});
    REQUIRE(bench.doubts().size() == 1);
    bench.drill.inputs = {{"where", "localhost"}};
    CHECK(bench.doubts().empty());
}

TEST_CASE("R39 the sandbox and the real site's resources are apart") {
    Bench bench;
    Site real;
    real.file = (bench.scratch.path() / "lifeboat.yaml").string();
    real.resources["files"] = {
        .name = "files", .type = "files", .fields = {{"path", bench.folder.parent_path().string()}}};
    REQUIRE(bench.doubts(&real).size() == 1);
    CHECK(bench.doubts(&real).front().find("are not apart") != std::string::npos);
    real.resources["files"].fields["path"] = (bench.folder / "resources" / "db" / "db.db").string();
    CHECK(bench.doubts(&real).size() == 1);
    real.resources["files"].fields["path"] = bench.folder.string() + "-live";
    CHECK(bench.doubts(&real).empty());
}

TEST_CASE("R39 the real site's server is not the sandbox's") {
    Bench bench;
    Site real;
    real.file = "/etc/lifeboat/lifeboat.yaml";
    real.resources["live"] = {.name = "live", .type = "postgres", .fields = {{"host", "localhost"}, {"port", 40000}}};
    REQUIRE(bench.doubts(&real).size() == 1);
    CHECK(bench.doubts(&real).front() == "'pg' would be the server of 'live' in '/etc/lifeboat/lifeboat.yaml'");
    real.resources["live"].fields["port"] = 5432;
    CHECK(bench.doubts(&real).empty());
}

TEST_CASE("R39 code of the runbook's own has to say that it is safe") {
    Bench bench;
    bench.add_step("run", {{"argv", {"rm", "-rf", "/srv"}}});
    REQUIRE(bench.doubts().size() == 1);
    CHECK(bench.doubts().front().find("does not say `drill: safe`") != std::string::npos);
    bench.runbook.steps.front().safe_in_drill = true;
    CHECK(bench.doubts().empty());
}

TEST_CASE("R39 a resource without a nonce, and a name that the sandbox does not bind, are doubts") {
    Bench bench;
    bench.sandbox.drill->nonces.erase("pg");
    bench.runbook.requires_.push_back({.name = "app", .kind = "service", .span = {}});
    CHECK(bench.doubts() == std::vector<std::string>{"'pg' has no nonce",
                                                     "'app', which the runbook requires, is not bound by the sandbox"});
    bench.sandbox.drill.reset();
    CHECK(bench.doubts().front() == "the sandbox's site carries no drill's mark");
}

TEST_CASE("hosts are found in URLs of every form") {
    CHECK(host_in("http://a.example/x?y=http://b") == "a.example");
    CHECK(host_in("https://me:pw@[::1]:8443/") == "::1");
    CHECK(host_in("127.0.0.1") == "127.0.0.1");
    CHECK(is_loopback("127.8.9.1"));
    CHECK(is_loopback("::1"));
    CHECK_FALSE(is_loopback("127.0.0.1.example.com"));
    CHECK_FALSE(is_loopback("10.0.0.1"));
    CHECK_FALSE(is_loopback(""));
    CHECK(matches_pattern("*.example.com", "a.b.EXAMPLE.com"));
    CHECK(matches_pattern("db*", "db1"));
    CHECK_FALSE(matches_pattern("*.example.com", "example.com"));
    CHECK_FALSE(matches_pattern("db1", "db12"));
}

}  // namespace lifeboat
