#include "actions/postgres_pulse.h"

#include <condition_variable>
#include <mutex>

namespace lifeboat {

PostgresPulse::PostgresPulse(Context& context, std::function<std::optional<Progress>()> look)
    : thread_([&context, look = std::move(look)](const std::stop_token& stop) {
          std::mutex mutex;
          std::condition_variable_any woken;
          std::unique_lock lock(mutex);
          while (!stop.stop_requested()) {
              woken.wait_for(lock, stop, std::chrono::seconds(1), [] { return false; });
              if (stop.stop_requested()) return;
              try {
                  if (const auto progress = look()) context.progress(*progress);
              } catch (const std::exception& error) {
                  context.log(std::string("progress is not watched any more: ") + error.what());
                  return;
              }
          }
      }) {}

PostgresPulse::~PostgresPulse() = default;

}  // namespace lifeboat
