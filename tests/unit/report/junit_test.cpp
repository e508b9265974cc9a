#include "report/junit.h"

#include <catch2/catch.hpp>

#include "unit/report/golden.h"
#include "unit/report/stories.h"

using namespace lifeboat;
using sample::check_golden;

TEST_CASE("a run is one JUnit suite: a case for each step and one for the verdict") {
    check_golden("recovered.xml", to_junit(sample::recovered().report()));
    check_golden("rollback_incomplete.xml", to_junit(sample::rollback_incomplete().report()));
    check_golden("hostile.xml", to_junit(sample::hostile().report()));
}

TEST_CASE("the cases of a drill are one JUnit suite") {
    const std::vector<DrillCase> cases{
        {.name = "run.verdict == 'recovered'", .classname = "shop.expect", .seconds = 0.0004},
        {.name = "observe.now < 3",
         .classname = "shop.expect",
         .seconds = 1.5,
         .outcome = CaseOutcome::failed,
         .message = "was 4 & \"more\"",
         .output = "left  4\nright 3\n"},
        {.name = "kill at 'swap'",
         .classname = "shop.sweep",
         .seconds = 61,
         .outcome = CaseOutcome::error,
         .message = "the runner did not come back",
         .output = "bell \a, broken \xff, noncharacter \xef\xbf\xbf, end ]]>"},
        {.name = "", .classname = "", .seconds = -1, .outcome = CaseOutcome::skipped, .message = "no PostgreSQL here"}};
    check_golden("drill.xml", to_junit({.name = "drill of database-corruption",
                                        .package = "drills",
                                        .hostname = "ci",
                                        .started = *parse_timestamp("2026-02-01T02:00:00.5Z"),
                                        .properties = {{"sandbox", "a<b"}}},
                                       cases));
    check_golden("empty.xml", to_junit({}, {}));
}
