// Durations, instants and the clock. Between processes only RFC 3339 UTC wall-clock stamps are kept; within one process
// durations are measured on the steady clock. No computed duration is ever negative: see `elapsed`.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace lifeboat {

using Duration = std::chrono::microseconds;
using Timestamp = std::chrono::sys_time<std::chrono::microseconds>;
using SteadyTime = std::chrono::time_point<std::chrono::steady_clock, std::chrono::microseconds>;

// `90s`, `1h30m`, `250ms`, `7d`, `PT1H30M`. A number without a unit is no duration: nullopt.
std::optional<Duration> parse_duration(std::string_view text);
// The shortest exact spelling of the first form: `1h30m`, `250ms`, `0s`.
std::string to_text(Duration duration);
// For people: rounded to two units, `1h 30m`, `12.3s`.
std::string to_human(Duration duration);

// RFC 3339 with a zone (`2026-02-01T02:00:00Z`, `…+01:00`); without a zone: nullopt.
std::optional<Timestamp> parse_timestamp(std::string_view text);
// RFC 3339 UTC with microseconds: `2026-02-01T02:00:00.123456Z`. Sorts as text.
std::string to_text(Timestamp when);
// To the second, for people: `2026-02-01 02:00:00Z`.
std::string to_human(Timestamp when);

// `to - from`, and zero where the wall clock went backwards in between.
constexpr Duration elapsed(Timestamp from, Timestamp to) {
    return to > from ? to - from : Duration::zero();
}

class Clock {
  public:
    virtual ~Clock() = default;
    virtual Timestamp now() const = 0;
    virtual SteadyTime steady() const = 0;
};

class SystemClock final : public Clock {
  public:
    Timestamp now() const override;
    SteadyTime steady() const override;
};

}  // namespace lifeboat
