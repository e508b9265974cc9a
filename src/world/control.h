// What ends a long piece of work in this room before its end, and who hears how far it is. A plain value: copy it
// freely.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>

#include "base/time.h"

namespace lifeboat {

struct WorkControl {
    std::stop_token stop;
    SteadyTime deadline = SteadyTime::max();
    // Bytes moved or read since the last call; called from the thread that works, often. May be empty.
    std::function<void(std::uint64_t bytes)> moved;

    // Throws Error{cancelled} when asked to stop, Error{timed_out} past the deadline.
    void check() const;
    // Reports `bytes`, then `check()`.
    void advance(std::uint64_t bytes) const;
    // Lets the time pass; ends early as `check` does.
    void pause(Duration duration) const;
};

}  // namespace lifeboat
