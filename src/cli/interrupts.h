// Ctrl-C and SIGTERM during a run, seen by a thread of their own; a hang-up of the terminal is ignored, the run goes on
// without it (R34). At most one at a time in a process.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

namespace lifeboat {

class Interrupts {
  public:
    // `interrupted` is called from the watching thread: with the signal, and how many came so far.
    explicit Interrupts(std::function<void(int signal, int count)> interrupted);
    // Puts the default handling back.
    ~Interrupts();
    Interrupts(const Interrupts&) = delete;
    Interrupts& operator=(const Interrupts&) = delete;

    // The first one that came, or 0.
    int first() const { return first_; }

  private:
    std::atomic<int> first_ = 0;
    std::thread watcher_;
};

}  // namespace lifeboat
