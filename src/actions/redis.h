// From a resource of type redis to a session on it, for actions: no action opens one in another way, and inside a drill
// none is opened at all.
#pragma once

#include <vector>

#include "actions/family.h"
#include "world/redis.h"

namespace lifeboat {

// With the password fetched. `run_id` empty: a look outside of a run. Throws Error{refused} inside a drill.
RedisTarget redis_target(const ActionWorld& world, const ResolvedResource& resource, const std::string& run_id);

}  // namespace lifeboat
