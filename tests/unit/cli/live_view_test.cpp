#include "cli/live_view.h"

#include <catch2/catch.hpp>

using namespace lifeboat;

namespace {

SteadyTime at(long milliseconds) {
    return SteadyTime(std::chrono::milliseconds(milliseconds));
}

}  // namespace

TEST_CASE("R21 progress says bytes, rate, and what is left as a range") {
    const Progress progress{.what = "copying", .done = 60u << 20, .total = 100u << 20};
    // 20 MiB in the first 20 s, 40 MiB in the last 10 s
    const std::deque<ProgressSample> samples{{at(0), 0}, {at(20'000), 20u << 20}, {at(30'000), 60u << 20}};
    CHECK(progress_text(progress, samples) == "60.0 MiB of 100.0 MiB, 4.0 MiB/s, 10s to 20s left");
}

TEST_CASE("R21 where nothing moves the time left is unknown, not wrong") {
    const Progress progress{.what = "copying", .done = 10u << 20, .total = 100u << 20};
    CHECK(progress_text(progress,
                        {{at(0), 0}, {at(1'000), 10u << 20}, {at(20'000), 10u << 20}, {at(30'000), 10u << 20}}) ==
          "10.0 MiB of 100.0 MiB, 0 B/s, time left unknown");
}

TEST_CASE("progress without a total or without bytes promises nothing") {
    CHECK(progress_text({.what = "asking"}, {}).empty());
    CHECK(progress_text({.what = "rows", .done = 12, .unit = "rows"}, {{at(0), 12}}) == "12 rows");
    CHECK(progress_text({.what = "rows", .done = 12, .total = 20, .unit = "rows"}, {}) == "12 rows of 20 rows");
}
