// Waiting inside a deed: it ends at once when the deed is asked to stop or its time is over.
#pragma once

#include "base/time.h"
#include "engine/action.h"

namespace lifeboat {

SteadyTime steady_now();
// `from_now` later, and never after the deed's own deadline.
SteadyTime deadline_in(const Context& context, Duration from_now);
// Throws Error{cancelled | timed_out} when the deed is to end.
void check_time(const Context& context);
// Lets `pause` pass. Throws as check_time does.
void wait_for(const Context& context, Duration pause);

}  // namespace lifeboat
