// A throw-away Redis server that has loaded one snapshot: reached by a unix socket in a private folder, it listens on
// no port and saves nothing. It is a child of the deed, and ends with this object.
#pragma once

#include <filesystem>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "engine/action.h"
#include "world/files.h"
#include "world/redis.h"

namespace lifeboat {

class ScratchRedis {
  public:
    // Returns when everything is loaded. `databases`: at least so many. `context` outlives it. Throws Error{corrupt}
    // when the server cannot load it, Error{program_missing | cancelled | timed_out}.
    ScratchRedis(const std::filesystem::path& snapshot, int databases, const Context& context);
    ~ScratchRedis();
    ScratchRedis(const ScratchRedis&) = delete;
    ScratchRedis& operator=(const ScratchRedis&) = delete;

    RedisConnection connect() const;

  private:
    std::optional<std::string> ended() const;
    void wait_until_loaded();

    const Context& context_;
    PrivateDirectory folder_;
    std::filesystem::path snapshot_;
    std::stop_source stop_;
    mutable std::mutex mutex_;
    std::optional<std::string> end_;  // what the server said last, once it has ended
    std::jthread thread_;
};

}  // namespace lifeboat
