#include "world/socket_wait.h"

#include <algorithm>
#include <cerrno>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "world/file_descriptor.h"

namespace lifeboat {

namespace {

// Readable once the token asks: lets one poll wait for a socket and for a stop.
class StopSignal {
  public:
    explicit StopSignal(const std::stop_token& token)
        : descriptor_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), callback_(token, Raise{descriptor_.get()}) {
        if (!descriptor_) throw_errno("make an eventfd", errno);
    }
    int descriptor() const { return descriptor_.get(); }

  private:
    struct Raise {
        int descriptor;
        void operator()() const noexcept {
            const std::uint64_t one = 1;
            [[maybe_unused]] const auto written = ::write(descriptor, &one, sizeof one);
        }
    };
    FileDescriptor descriptor_;
    std::stop_callback<Raise> callback_;  // behind descriptor_: it has run, or never will, when that is closed
};

}  // namespace

Wake wait_for_socket(int socket, short events, const std::stop_token& stop, SteadyTime deadline) {
    if (stop.stop_requested()) return Wake::stopped;
    const StopSignal signal(stop);
    for (;;) {
        const auto now = std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
        if (now >= deadline) return Wake::deadline;
        int wait = -1;
        if (deadline != SteadyTime::max()) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now).count();
            wait = static_cast<int>(std::min<decltype(left)>(left, 3'600'000));
        }
        pollfd polled[2] = {{socket, events, 0}, {signal.descriptor(), POLLIN, 0}};
        const int count = poll(polled, 2, wait);
        if (count < 0 && errno != EINTR) throw_errno("wait for a socket", errno);
        if (count > 0 && polled[1].revents != 0) return Wake::stopped;
        if (count > 0 && polled[0].revents != 0) return Wake::ready;
    }
}

}  // namespace lifeboat
