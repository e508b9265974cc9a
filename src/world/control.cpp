#include "world/control.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

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

void WorkControl::pause(Duration duration) const {
    std::mutex mutex;
    std::condition_variable_any woken;
    std::unique_lock lock(mutex);
    const SteadyTime now = std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
    woken.wait_until(lock, stop, std::min(deadline, now + duration), [] { return false; });
    check();
}

}  // namespace lifeboat
