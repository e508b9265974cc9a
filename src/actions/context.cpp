#include <condition_variable>
#include <mutex>

#include "actions/family.h"
#include "actions/waiting.h"

namespace lifeboat {

ChildControl control_of(const Context& context) {
    return {.stop = context.stop, .deadline = context.deadline, .started = [&context](const ChildIdentity& child) {
                context.child_started({.group = child.pid, .start_ticks = child.start_ticks, .boot_id = child.boot_id});
            }};
}

ChildResult run_for(const Context& context, const Command& command) {
    ChildResult result = run_child(command, control_of(context));
    const std::string program = "'" + command.argv.front() + "'";
    if (result.cancelled) throw Error{ErrorCode::cancelled, program + " was stopped"};
    if (result.timed_out) throw Error{ErrorCode::timed_out, program + " did not end within its time"};
    return result;
}

SteadyTime steady_now() {
    return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
}

SteadyTime deadline_in(const Context& context, Duration from_now) {
    const SteadyTime now = steady_now();
    return from_now < context.deadline - now ? now + from_now : context.deadline;
}

void check_time(const Context& context) {
    if (context.stop.stop_requested()) throw Error{ErrorCode::cancelled, "stopped before the end, as asked"};
    if (steady_now() >= context.deadline) {
        throw Error{ErrorCode::timed_out, "the time allowed was over before the end"};
    }
}

void wait_for(const Context& context, Duration pause) {
    std::mutex mutex;
    std::condition_variable_any woken;
    std::unique_lock lock(mutex);
    woken.wait_until(lock, context.stop, deadline_in(context, pause), [] { return false; });
    check_time(context);
}

}  // namespace lifeboat
