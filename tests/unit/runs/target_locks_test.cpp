#include <catch2/catch.hpp>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sha256.h"
#include "runs/directory_run_store.h"
#include "unit/runs/sample.h"

using namespace lifeboat;

namespace {

TargetIdentity target(const std::string& name, std::optional<std::string> measured = std::nullopt) {
    return {.resource = name, .declared = "postgres db1:5432/" + name, .measured = std::move(measured)};
}

std::string refusal(const std::function<void()>& act) {
    try {
        act();
        return "taken";
    } catch (const Error& error) {
        return std::string(info(error.code).name) + ": " + error.message;
    }
}

struct World {
    sample::Folder folder;
    sample::HandClock clock;
    DirectoryRunStore store{folder.path, clock};

    std::string begin() {
        const std::string id = store.create(sample::plan(), clock.now());
        store.open_journal(id)->append(sample::first_events(3));
        return id;
    }
    void end(const std::string& id) {
        const auto all = sample::events();
        store.open_journal(id)->append(std::span(all).subspan(3));
    }
    std::unique_ptr<Held> lock(const std::string& id, const std::vector<TargetIdentity>& targets) {
        return store.lock_targets(id, targets, sample::runner());
    }
    std::size_t claims() {
        std::size_t count = 0;
        for (const auto& entry : std::filesystem::directory_iterator(folder.path / "claims"))
            count += entry.exists() ? 1u : 0u;
        return count;
    }
};

constexpr const char* whose = "of user 'ops' on host 'db1' (process 4711) since 2026-02-01 02:00:00Z";

}  // namespace

TEST_CASE("R14 the second of two runs on one target is refused and told who has it") {
    World world;
    const std::string first = world.begin();
    const std::string second = world.begin();
    const auto held = world.lock(first, {target("shop")});
    CHECK(refusal([&] { world.lock(second, {target("shop")}); }) ==
          "locked: target 'shop' is held by run '" + first + "' " + whose);
}

TEST_CASE("R14 runs on two targets do not hinder each other") {
    World world;
    const auto one = world.lock(world.begin(), {target("shop")});
    const auto two = world.lock(world.begin(), {target("billing")});
    CHECK((one && two));
}

TEST_CASE("R14 the measured identity closes the door too, whatever the target is called") {
    World world;
    const std::string first = world.begin();
    const auto held = world.lock(first, {target("shop", "postgres system 7301 primary, database shop")});
    CHECK(refusal([&] {
              world.lock(world.begin(), {target("alias", "postgres system 7301 primary, database shop")});
          }) == "locked: target 'alias' is held by run '" + first + "' " + whose);
    CHECK(refusal([&] { world.lock(world.begin(), {target("shop")}); }) ==
          "locked: target 'shop' is held by run '" + first + "' " + whose);
}

TEST_CASE("R14 a refused run keeps nothing: neither locks nor claims") {
    World world;
    const std::string first = world.begin();
    const std::string second = world.begin();
    const std::string third = world.begin();
    const auto held = world.lock(first, {target("m")});
    for (const auto& targets : {std::vector{target("a"), target("m")}, std::vector{target("m"), target("z")}}) {
        CHECK(refusal([&] { world.lock(second, targets); }).starts_with("locked: target 'm' is held"));
    }
    CHECK(world.claims() == 1);
    CHECK(world.lock(third, {target("a"), target("z")}));
}

TEST_CASE("R14 a killed holder is taken over from at once: the lock dies with its process, the claim with its run") {
    World world;
    const std::string killed = world.begin();
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    const pid_t holder = ::fork();
    if (holder == 0) {
        const auto held = world.lock(killed, {target("shop")});
        const auto journal = world.store.open_journal(killed);
        if (::write(ready[1], "x", 1) != 1) ::_exit(1);
        while (true)
            ::pause();
    }
    char byte = 0;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    const std::string other = world.begin();
    CHECK(refusal([&] { world.lock(other, {target("shop")}); }) ==
          "locked: target 'shop' is held by run '" + killed + "' " + whose);
    CHECK(refusal([&] { world.store.open_journal(killed); }).starts_with("locked: run '" + killed + "' is under way"));

    ::kill(holder, SIGKILL);
    int status = 0;
    REQUIRE(::waitpid(holder, &status, 0) == holder);
    // another run still finds the claim of what is not finished
    CHECK(refusal([&] { world.lock(other, {target("shop")}); }) ==
          "locked: target 'shop' is claimed by run '" + killed + "' " + whose);
    // the same run goes on at once, and when it has ended the other one may
    {
        const auto held = world.lock(killed, {target("shop")});
        world.end(killed);
        world.store.release_claims(killed);
    }
    CHECK(world.lock(other, {target("shop")}));
    ::close(ready[0]);
    ::close(ready[1]);
}

TEST_CASE("R14 the wall clock decides nothing") {
    World world;
    const std::string first = world.begin();
    const std::string second = world.begin();
    auto held = world.lock(first, {target("shop")});
    for (const auto jump : {std::chrono::hours(24 * 365), std::chrono::hours(-48 * 365)}) {
        world.clock.at += jump;
        CHECK(refusal([&] { world.lock(second, {target("shop")}); }) ==
              "locked: target 'shop' is held by run '" + first + "' " + whose);
    }
    held.reset();
    for (const auto jump : {std::chrono::hours(48 * 365), std::chrono::hours(-48 * 365)}) {
        world.clock.at += jump;
        CHECK(refusal([&] { world.lock(second, {target("shop")}); }) ==
              "locked: target 'shop' is claimed by run '" + first + "' " + whose);
    }
}

TEST_CASE("R2 an unfinished run keeps its targets closed to others until its claims are released") {
    World world;
    const std::string first = world.begin();
    const std::string second = world.begin();
    world.lock(first, {target("shop", "measured"), target("billing")}).reset();
    CHECK(world.claims() == 3);
    try {
        world.lock(second, {target("billing")});
        FAIL("taken");
    } catch (const Error& error) {
        CHECK(error.message == "target 'billing' is claimed by run '" + first + "' " + whose);
        CHECK(error.hint == "That run has not ended: 'lifeboat resume " + first + "', 'lifeboat rollback " + first +
                                "' or 'lifeboat abandon " + first + "' first.");
        CHECK(error.details["run"] == first);
    }
    CHECK(world.lock(first, {target("shop"), target("billing")}));
    world.store.release_claims(first);
    CHECK(world.claims() == 0);
    CHECK(world.lock(second, {target("billing")}));
}

TEST_CASE("claims of runs that ended, never began or are gone are ignored and replaced") {
    World world;
    const std::string second = world.begin();
    std::string first;
    SECTION("ended") {
        first = world.begin();
        world.end(first);
    }
    SECTION("never began") {
        first = world.store.create(sample::plan(), world.clock.now());
    }
    SECTION("gone") {
        first = world.begin();
        std::filesystem::remove_all(world.store.folder(first));
    }
    world.lock(first, {target("shop"), target("billing")}).reset();
    CHECK(world.claims() == 2);
    CHECK(world.lock(second, {target("shop")}));
    const Json claim =
        Json::parse(sample::content(world.folder.path / "claims" / (sha256_hex("postgres db1:5432/shop") + ".json")));
    CHECK(claim == Json{{"run", second},
                        {"host", "db1"},
                        {"user", "ops"},
                        {"pid", 4711},
                        {"start_ticks", 99},
                        {"boot_id", "b00t"},
                        {"version", "0.1.0"},
                        {"since", "2026-02-01T02:00:00.000000Z"},
                        {"identity", "postgres db1:5432/shop"}});
}

TEST_CASE("a claim that cannot be read closes the target") {
    World world;
    const std::string first = world.begin();
    world.lock(first, {target("shop")}).reset();
    const auto claim = world.folder.path / "claims" / (sha256_hex("postgres db1:5432/shop") + ".json");
    sample::put(claim, "{");
    CHECK(refusal([&] { world.lock(first, {target("shop")}); }) ==
          "locked: target 'shop' is claimed, but '" + claim.string() + "' cannot be read");
}
