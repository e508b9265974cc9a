#include "runs/history.h"

#include <catch2/catch.hpp>

#include "runs/directory_run_store.h"
#include "unit/runs/sample.h"

using namespace lifeboat;

namespace {

struct Past {
    sample::Folder folder;
    sample::HandClock clock;
    DirectoryRunStore store{folder.path, clock};

    std::string add(const Plan& plan, const std::vector<Event>& events) {
        clock.at += std::chrono::hours(1);
        const std::string id = store.create(plan, clock.now());
        store.open_journal(id)->append(events);
        return id;
    }
    std::optional<StepHistory> of(const std::string& step) { return history_of(store, "database-corruption")(step); }
};

}  // namespace

TEST_CASE("a runbook that never ran has no history") {
    Past past;
    CHECK_FALSE(past.of("fetch"));
}

TEST_CASE("estimates are the median and the ninth decile of what past runs took") {
    Past past;
    for (const int took : {9, 1, 2, 3, 4, 5, 6, 7, 8, 30})
        past.add(sample::plan(), sample::events(took, 2));
    const auto fetch = past.of("fetch");
    REQUIRE(fetch);
    CHECK(fetch->runs == 10);
    CHECK(fetch->p50 == std::chrono::seconds(5));
    CHECK(fetch->p90 == std::chrono::seconds(9));
    CHECK_FALSE(fetch->bytes_p50);
    CHECK(past.of("restore")->p90 == std::chrono::seconds(2));
    CHECK_FALSE(past.of("unknown"));
}

TEST_CASE("bytes moved come from the plans of those runs") {
    Past past;
    for (const std::uint64_t bytes : {100u, 300u, 200u}) {
        Plan plan = sample::plan();
        plan.surveys[0].bytes = Bytes{bytes};
        past.add(plan, sample::events());
    }
    CHECK(past.of("fetch")->bytes_p50 == Bytes{200});
}

TEST_CASE("only whole, undisturbed, real runs of the same runbook count") {
    Past past;
    past.add(sample::plan(), sample::events(5, 5));

    auto unfinished = sample::events(100, 100);
    unfinished.resize(9);
    past.add(sample::plan(), unfinished);

    Plan other = sample::plan();
    other.draft.runbook = "quickstart";
    past.add(other, sample::events(200, 200));

    Plan drilled = sample::plan();
    drilled.draft.drill = DrillMark{.drill = "d"};
    drilled.digest = digest_of(drilled);
    past.add(drilled, sample::events(300, 300));

    // its first step went on through a pause; the second did not
    auto paused = sample::events(400, 7);
    const auto at = paused[2].at;
    paused.insert(paused.begin() + 3, {.at = at, .body = Paused{}});
    paused.insert(paused.begin() + 4, {.at = at, .body = RunResumed{.runner = sample::runner()}});
    for (std::size_t i = 0; i < paused.size(); ++i)
        paused[i].seq = i + 1;
    past.add(sample::plan(), paused);

    const std::string damaged = past.add(sample::plan(), sample::events(500, 500));
    const auto journal = past.store.folder(damaged) / "journal.jsonl";
    sample::put(journal, "{}\n" + sample::content(journal));

    CHECK(past.of("fetch")->runs == 1);
    CHECK(past.of("fetch")->p90 == std::chrono::seconds(5));
    CHECK(past.of("restore")->runs == 2);
    CHECK(past.of("restore")->p90 == std::chrono::seconds(7));
}
