// Tells how a long piece of work is going on while another thread is busy with it: looks once a second, and reports
// when something has moved, so that a heartbeat means what it says.
#pragma once

#include <functional>
#include <optional>
#include <thread>

#include "engine/action.h"

namespace lifeboat {

class PostgresPulse {
  public:
    // `look` runs on the pulse's own thread; nullopt: nothing moved since the last look. What it throws ends the pulse,
    // not the work.
    PostgresPulse(Context& context, std::function<std::optional<Progress>()> look);
    ~PostgresPulse();

  private:
    std::jthread thread_;
};

}  // namespace lifeboat
