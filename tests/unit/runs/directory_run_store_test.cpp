#include "runs/directory_run_store.h"

#include <catch2/catch.hpp>
#include <regex>

#include <sys/stat.h>

#include "engine/state.h"
#include "unit/runs/sample.h"

using namespace lifeboat;

namespace {

unsigned mode_of(const std::filesystem::path& path) {
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return status.st_mode & 0777u;
}

std::string message_of(const std::function<void()>& act) {
    try {
        act();
        return "nothing was thrown";
    } catch (const Error& error) {
        return std::string(info(error.code).name) + ": " + error.message;
    }
}

}  // namespace

TEST_CASE("R11 a new run has its plan, runbook, scripts and an empty journal, for its owner alone") {
    const sample::Folder folder;
    const sample::HandClock clock;
    DirectoryRunStore store{folder.path / "state", clock};
    const std::string id = store.create(sample::plan(), clock.now());
    CHECK(std::regex_match(id, std::regex("2026-02-01T02-00-00-database-corruption-[0-9a-f]{4}")));

    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path / "state")) {
        names.push_back(std::filesystem::relative(entry.path(), store.folder(id)).string());
        CHECK(mode_of(entry.path()) == (entry.is_directory() ? 0700u : 0600u));
    }
    std::sort(names.begin(), names.end());
    CHECK(names == std::vector<std::string>{".", "..", "journal.jsonl", "logs", "plan.json", "runbook.yaml", "scripts",
                                            "scripts/count.lua", "scripts/deep", "scripts/deep/er.lua", "steps"});
    CHECK(sample::content(store.folder(id) / "runbook.yaml") == sample::plan().draft.runbook_source);
    CHECK(sample::content(store.folder(id) / "scripts/deep/er.lua") == "return 2\n");

    const RunRecord run = store.read(id);
    CHECK(run.run_id == id);
    CHECK(to_json(run.plan) == to_json(sample::plan()));
    CHECK(run.events.empty());
    CHECK(run.head == std::string(64, '0'));
}

TEST_CASE("runs of one second get ids of their own") {
    const sample::Folder folder;
    const sample::HandClock clock;
    DirectoryRunStore store{folder.path, clock};
    CHECK(store.create(sample::plan(), clock.now()) != store.create(sample::plan(), clock.now()));
}

TEST_CASE("a script of a plan cannot be put outside the run") {
    const sample::Folder folder;
    const sample::HandClock clock;
    DirectoryRunStore store{folder.path / "state", clock};
    for (const char* name : {"../../../escaped.lua", "/tmp/escaped.lua", "a/../../b.lua", ""}) {
        Plan plan = sample::plan();
        plan.draft.scripts = {{name, "x"}};
        CHECK(message_of([&] { store.create(plan, clock.now()); }) ==
              "invalid_file: script '" + std::string(name) + "' is not below 'scripts/'");
    }
    CHECK(store.list().empty());
}

TEST_CASE("R13 what was appended is read back and folds to the same state") {
    const sample::Folder folder;
    const sample::HandClock clock;
    DirectoryRunStore store{folder.path, clock};
    const std::string id = store.create(sample::plan(), clock.now());
    {
        const auto journal = store.open_journal(id);
        journal->append(sample::first_events(4));
    }
    {
        const auto journal = store.open_journal(id);
        const auto all = sample::events();
        journal->append(std::span(all).subspan(4));
    }
    const RunRecord run = store.read(id);
    CHECK(sample::as_json(run.events) == sample::as_json(sample::events()));
    const RunState state = replay(run.plan, run.events);
    CHECK(state.ended);
    CHECK(state.verdict->verdict == Verdict::recovered);
}

TEST_CASE("R13 a torn tail is said, and cut when the run is opened again") {
    const sample::Folder folder;
    const sample::HandClock clock;
    DirectoryRunStore store{folder.path, clock};
    const std::string id = store.create(sample::plan(), clock.now());
    const auto path = store.folder(id) / "journal.jsonl";
    store.open_journal(id)->append(sample::first_events(3));
    const std::string good = sample::content(path);
    sample::put(path, good + R"({"v":1,"seq":4,"at")");
    const RunRecord torn = store.read(id);
    CHECK(torn.events.size() == 3);
    CHECK(torn.torn_tail == "the last record was not written to its end (19 bytes after line 3) and does not count");
    CHECK(sample::content(path) != good);  // reading changes nothing
    store.open_journal(id);
    CHECK(sample::content(path) == good);
}

TEST_CASE("R35 a plan that was approved is good for one run, unless that never began") {
    const sample::Folder folder;
    const sample::HandClock clock;
    DirectoryRunStore store{folder.path, clock};
    const std::string id = store.create(sample::plan(), clock.now(), PlanUse::once);
    try {
        store.create(sample::plan(), clock.now(), PlanUse::once);
        FAIL("the plan was used twice");
    } catch (const Error& error) {
        CHECK(error.code == ErrorCode::stale_plan);
        CHECK(error.message == "the plan was used already, by run '" + id + "'");
    }
    CHECK(store.list().size() == 1);
    CHECK(std::distance(std::filesystem::directory_iterator(folder.path / "runs"), {}) == 1);
    Plan other = sample::plan();
    other.draft.runbook = "other";
    other.digest = digest_of(other);
    store.create(other, clock.now(), PlanUse::once);
    store.create(sample::plan(), clock.now());  // what nobody approved may run as often as it likes
    store.discard(id);
    store.create(sample::plan(), clock.now(), PlanUse::once);
}

TEST_CASE("a run has one runner at a time, and the second one is told who it is") {
    const sample::Folder folder;
    const sample::HandClock clock;
    DirectoryRunStore store{folder.path, clock};
    const std::string id = store.create(sample::plan(), clock.now());
    CHECK_FALSE(store.runner_of(id));
    {
        const auto journal = store.open_journal(id);
        const Runner me = this_runner();
        CHECK(message_of([&] { store.open_journal(id); }) ==
              "locked: run '" + id + "' is under way: run '" + id + "' of user '" + me.user + "' on host '" + me.host +
                  "' (process " + std::to_string(me.pid) + ") since 2026-02-01 02:00:00Z has it");
        REQUIRE(store.runner_of(id));
        CHECK(store.runner_of(id)->runner.pid == me.pid);
    }
    CHECK_FALSE(store.runner_of(id));
    store.open_journal(id);
}

TEST_CASE("runs are listed newest first with what has become of them") {
    const sample::Folder folder;
    sample::HandClock clock;
    DirectoryRunStore store{folder.path, clock};
    CHECK(store.list().empty());
    const std::string old = store.create(sample::plan(), clock.now());
    store.open_journal(old)->append(sample::events());
    clock.at += std::chrono::hours(1);
    const std::string fresh = store.create(sample::plan(), clock.now());
    std::filesystem::create_directories(folder.path / "runs" / "2026-02-01T09-00-00-half-made-0000");

    const auto runs = store.list();
    REQUIRE(runs.size() == 2);
    CHECK(runs[0].run_id == fresh);
    CHECK(runs[0].runbook == "database-corruption");
    CHECK(runs[0].started_at == clock.at);
    CHECK_FALSE(runs[0].ended);
    CHECK_FALSE(runs[0].verdict);
    CHECK(runs[1].run_id == old);
    CHECK(runs[1].ended);
    CHECK(runs[1].verdict == Verdict::recovered);
}

TEST_CASE("a run that lost its journal does not hide the others") {
    const sample::Folder folder;
    const sample::HandClock clock;
    DirectoryRunStore store{folder.path, clock};
    const std::string broken = store.create(sample::plan(), clock.now());
    store.create(sample::plan(), clock.now());
    std::filesystem::remove(store.folder(broken) / "journal.jsonl");
    CHECK(store.list().size() == 2);
    CHECK(message_of([&] { store.read(broken); }).starts_with("not_found: cannot open"));
}

TEST_CASE("a long name of a runbook fits into the names of files") {
    const sample::Folder folder;
    const sample::HandClock clock;
    DirectoryRunStore store{folder.path, clock};
    Plan plan = sample::plan();
    plan.draft.runbook = std::string(400, 'x');
    plan.digest = digest_of(plan);
    const std::string id = store.create(plan, clock.now());
    CHECK(store.read(id).plan.draft.runbook == plan.draft.runbook);
    CHECK(store.workspace(id, "fetch").path() == store.folder(id) / "steps" / "fetch");
    const auto held = store.lock_targets(id, {{.resource = "a", .declared = "a"}}, sample::runner());
    store.open_journal(id)->append(sample::first_events(2));
    CHECK_FALSE(store.list()[0].ended);
}

TEST_CASE("an unknown run is named, with the one that was probably meant") {
    const sample::Folder folder;
    const sample::HandClock clock;
    DirectoryRunStore store{folder.path, clock};
    std::string id = store.create(sample::plan(), clock.now());
    std::string wrong = id;
    wrong.back() = wrong.back() == 'a' ? 'b' : 'a';
    CHECK(message_of([&] { store.read(wrong); }) ==
          "not_found: there is no run '" + wrong + "' in '" + folder.path.string() + "' (did you mean '" + id + "'?)");
    CHECK(message_of([&] { store.read("../x"); }) ==
          "not_found: there is no run '../x' in '" + folder.path.string() + "'");
}

TEST_CASE("only a run that never began can be discarded") {
    const sample::Folder folder;
    const sample::HandClock clock;
    DirectoryRunStore store{folder.path, clock};
    const std::string begun = store.create(sample::plan(), clock.now());
    store.open_journal(begun)->append(sample::first_events(1));
    CHECK(message_of([&] { store.discard(begun); }) == "refused: run '" + begun + "' has begun, so it is kept");
    const std::string idle = store.create(sample::plan(), clock.now());
    store.discard(idle);
    REQUIRE(store.list().size() == 1);
    CHECK(store.list()[0].run_id == begun);
}

TEST_CASE("a step's workspace stays inside the run, whatever the step is called") {
    const sample::Folder folder;
    const sample::HandClock clock;
    DirectoryRunStore store{folder.path, clock};
    const std::string id = store.create(sample::plan(), clock.now());
    CHECK(store.workspace(id, "fetch").path() == store.folder(id) / "steps" / "fetch");
    CHECK(std::filesystem::is_directory(store.folder(id) / "steps" / "fetch"));
    CHECK(store.workspace(id, "..").path() == store.folder(id) / "steps" / "-..");
    CHECK(store.log_file(id, "a/b") == store.folder(id) / "logs" / "a-b.log");
}
