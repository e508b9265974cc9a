// Where a run's events go, and what a store of runs can do. Interfaces: room `runs` implements them on disk, the
// simulator in memory.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/event.h"
#include "engine/plan.h"

namespace lifeboat {

// Append-only. One writer.
class Journal {
  public:
    virtual ~Journal() = default;
    // In the file, whatever becomes of this process; durable with the next `sync`. Throws Error{disk_full | io_failed};
    // then nothing of `events` counts.
    virtual void append(std::span<const Event> events) = 0;
    // Everything appended so far is durable when it returns. Throws Error{disk_full | io_failed}; then nothing since
    // the last sync counts.
    virtual void sync() = 0;
    // SHA-256 of the last record, which vouches for all before it; empty before the first.
    virtual std::string head() const = 0;
};

// Sees every event after it is durable, and progress, which is not journaled. Must not throw; called from the run's own
// thread.
class Observer {
  public:
    virtual ~Observer() = default;
    virtual void saw(const Event& event) = 0;
    virtual void progressed(std::size_t step, const Progress& progress);
};

}  // namespace lifeboat
