#include "world/control.h"

#include <chrono>

#include "base/error.h"

namespace lifeboat {

void WorkControl::check() const {
    if (stop.stop_requested()) throw Error{ErrorCode::cancelled, "stopped before the end, as asked"};
    if (deadline != SteadyTime::max() && std::chrono::steady_clock::now() >= deadline) {
        throw Error{ErrorCode::timed_out, "the time allowed was over before the end"};
    }
}

void WorkControl::advance(std::uint64_t bytes) const {
    if (moved) moved(bytes);
    check();
}

}  // namespace lifeboat
