#include "report/report.h"

#include <catch2/catch.hpp>

#include "report/markdown.h"
#include "report/report_json.h"
#include "report/summary.h"
#include "unit/report/golden.h"
#include "unit/report/stories.h"

using namespace lifeboat;
using sample::check_golden;

TEST_CASE("a recovery is reported whole") {
    const Report report = sample::recovered().report();
    check_golden("recovered.md", to_markdown(report));
    check_golden("recovered.json", to_pretty_text(to_json(report)) + "\n");
    check_golden("recovered.summary.txt", summary_text(report));
}

TEST_CASE("a rollback says why and what was put back") {
    const Report report = sample::rolled_back().report();
    check_golden("rolled_back.md", to_markdown(report));
    check_golden("rolled_back.summary.txt", summary_text(report));
}

TEST_CASE("an undo that failed is the loudest line of the report") {
    const Report report = sample::rollback_incomplete().report();
    check_golden("rollback_incomplete.md", to_markdown(report));
    check_golden("rollback_incomplete.summary.txt", summary_text(report));
    REQUIRE(left_undone(report).size() == 1);
    CHECK(left_undone(report)[0]->id == "swap");
}

TEST_CASE("a paused run says what can be said to it") {
    const Report report = sample::paused().report();
    check_golden("paused.md", to_markdown(report));
    check_golden("paused.summary.txt", summary_text(report));
    CHECK(report.exit == 6);
}

TEST_CASE("R9 a run without a step that proved data says what stays unverified, and who answered what") {
    const Report report = sample::unverified().report();
    check_golden("unverified.md", to_markdown(report));
    CHECK(report.verdict == Verdict::unverified);
}

TEST_CASE("a run under way is reported as far as it has come") {
    const Report report = sample::under_way().report();
    check_golden("under_way.md", to_markdown(report));
    CHECK_FALSE(report.ended);
}

TEST_CASE("text from outside can neither format a report nor drive a terminal") {
    const Report report = sample::hostile().report();
    check_golden("hostile.md", to_markdown(report));
    check_golden("hostile.summary.txt", summary_text(report));
}

TEST_CASE("R38 every report has the documented keys") {
    const Json happy = to_json(sample::recovered().report());
    for (const auto& story : {sample::rolled_back(), sample::rollback_incomplete(), sample::paused(),
                              sample::unverified(), sample::under_way()}) {
        const Json other = to_json(story.report());
        for (const auto& [key, value] : happy.items())
            CHECK(other.contains(key));
        CHECK(other.size() == happy.size());
    }
}

TEST_CASE("a report given piece by piece is the whole one") {
    for (const auto& story : {sample::recovered(), sample::rolled_back(), sample::hostile(), sample::paused(),
                              sample::unverified(), sample::under_way()}) {
        std::string text;
        write_json(story.report(), [&text](std::string_view piece) { text += piece; });
        CHECK(text == to_pretty_text(to_json(story.report())) + "\n");
    }
}

TEST_CASE("R20 gaps between the lives of a run count, and no figure is negative") {
    sample::Story story = sample::unverified();
    const Report report = story.report();
    CHECK(report.waited == std::chrono::minutes(40));
    CHECK(*report.recovery_time.reached > std::chrono::minutes(40));
    // the wall clock went back by an hour half way
    for (std::size_t i = story.events.size() / 2; i < story.events.size(); ++i)
        story.events[i].at -= std::chrono::hours(1);
    const Json back = to_json(story.report());
    const std::function<void(const Json&)> look = [&look](const Json& value) {
        if (value.is_number()) CHECK(value.get<double>() >= 0);
        if (value.is_structured()) {
            for (const Json& each : value)
                look(each);
        }
    };
    look(back);
}
