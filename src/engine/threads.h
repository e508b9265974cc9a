// The crew of a real run: each verb on a thread of its own, with a stop token, a deadline and a heartbeat. Threads that
// are done with one verb take up the next. All methods but `interrupt` belong to the engine's thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "engine/crew.h"

namespace lifeboat {

class ThreadCrew final : public Crew {
  public:
    // `log_line` gets every line that a deed logs, from its thread: step id, text.
    ThreadCrew(const Clock& clock, std::function<void(const std::string& step, std::string_view line)> log_line);
    // Asks all work to stop and waits for it.
    ~ThreadCrew() override;

    void launch(Work work) override;
    void cancel(WorkKey key) override;
    void acknowledge(WorkKey key) override;
    std::vector<Happening> wait(std::optional<Timestamp> until) override;

    // Ctrl-C or SIGTERM came: seen by the next `wait`. May be called from any thread, not from a signal handler.
    void interrupt();

  private:
    struct Worker {
        Work work;
        std::stop_source stop;
        std::optional<AttemptOutcome> stopped_for;  // why it was asked to stop
        SteadyTime deadline = SteadyTime::max();
        SteadyTime last_sign{};  // of progress
        bool acknowledged = false;
    };

    const Clock& clock_;
    std::function<void(const std::string&, std::string_view)> log_line_;
    std::mutex mutex_;
    std::condition_variable happened_;      // for the engine's thread
    std::condition_variable acknowledged_;  // for the workers
    std::condition_variable launched_;      // for threads without work
    std::deque<Worker*> unclaimed_;         // the next free thread takes the first
    std::size_t idle_ = 0;
    bool over_ = false;
    std::vector<std::jthread> threads_;
    std::map<WorkKey, std::unique_ptr<Worker>> workers_;
    std::deque<Happening> happenings_;
    bool interrupted_ = false;

    void labour();
    Finished carry_out(Worker& worker);
    void ask(Worker& worker, Happening happening);
    void stop_late_workers(SteadyTime now);
    SteadyTime next_deadline() const;
};

}  // namespace lifeboat
