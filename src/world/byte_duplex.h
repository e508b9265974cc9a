// Bytes both ways at once: what a protocol client talks over, whatever carries them (a child's streams, a channel of a
// session, a test). Used by one thread at a time.
#pragma once

#include <cstddef>
#include <span>
#include <stop_token>

#include "base/time.h"

namespace lifeboat {

struct MovedBytes {
    std::size_t sent = 0;
    std::size_t received = 0;
};

class ByteDuplex {
  public:
    virtual ~ByteDuplex() = default;
    // Sends from the front of `out` and receives into the front of `in`, as much as goes at once, after waiting until
    // something goes either way. What was not sent is the front of the next call's `out`. Both counts are 0 when the
    // deadline has come. Throws Error{cancelled}, and Error{connection_lost | …} when nothing can be moved any more.
    virtual MovedBytes move(std::span<const std::byte> out, std::span<std::byte> in, const std::stop_token& stop,
                            SteadyTime deadline) = 0;
};

}  // namespace lifeboat
