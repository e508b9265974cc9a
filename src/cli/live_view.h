// A run as it happens, on stderr: one line for each event that a reader cares about; below them, on a terminal, a line
// for each running step with elapsed time, bytes, rate and what is left; elsewhere plain progress lines every few
// seconds (R21).
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "cli/terminal.h"
#include "engine/journal.h"
#include "engine/plan.h"

namespace lifeboat {

// Bytes done at a time, to tell how fast it goes.
struct ProgressSample {
    SteadyTime at{};
    std::uint64_t done = 0;
};

// "120.0 MiB of 400.0 MiB, 30.0 MiB/s, 9s to 12s left": the range is between the rate so far and the rate of late;
// "time left unknown" where nothing moves. Pure; samples are oldest first.
std::string progress_text(const Progress& progress, const std::deque<ProgressSample>& samples);

// Everything given outlives the view.
class LiveView final : public Observer {
  public:
    LiveView(Terminal& terminal, const Plan& plan, const Clock& clock, bool quiet);
    ~LiveView() override;

    void saw(const Event& event) override;
    void progressed(std::size_t step, const Progress& progress) override;
    // A line of its own between the others.
    void say(const std::string& line);

  private:
    struct Running {
        SteadyTime since{};
        std::string verb;  // "", "undoing"
        Progress progress;
        std::deque<ProgressSample> samples;
        SteadyTime last_sign{};
    };

    std::optional<Duration> begin(std::size_t step, const std::string& verb);
    std::optional<Duration> end(std::size_t step);
    void tick();
    std::string line_of(std::size_t step, const Running& running, SteadyTime now) const;

    Terminal& terminal_;
    const Plan& plan_;
    const Clock& clock_;
    const bool quiet_;
    std::mutex mutex_;
    std::condition_variable stopped_;
    bool stopping_ = false;
    std::map<std::size_t, Running> running_;
    std::thread ticker_;
};

}  // namespace lifeboat
