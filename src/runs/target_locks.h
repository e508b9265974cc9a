// What keeps two runs off one target (R14). A *lock* is an flock, held by one process and gone with it. A *claim* is a
// small file that outlives the process: the target of an unfinished run stays closed to others until that run has
// ended. Both are kept per identity of the target, so the declared and the measured one each close the door. With a
// folder they reach as far as the folder does: usually this host.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/run_store.h"
#include "runs/holder.h"

namespace lifeboat {

class TargetLocks {
  public:
    // `is_over(run_id)`: that run can never touch its targets again, so its claims mean nothing.
    TargetLocks(const std::filesystem::path& state, std::function<bool(const std::string& run_id)> is_over)
        : locks_(state / "locks"), claims_(state / "claims"), is_over_(std::move(is_over)) {}

    // All or nothing, without waiting. Throws Error{locked} naming who has the target.
    std::unique_ptr<Held> take(const std::vector<TargetIdentity>& targets, const Holder& holder) const;
    void release_claims(const std::string& run_id) const;

  private:
    void refuse_foreign_claim(const std::string& identity, const std::string& resource,
                              const std::string& run_id) const;

    std::filesystem::path locks_;
    std::filesystem::path claims_;
    std::function<bool(const std::string&)> is_over_;
};

}  // namespace lifeboat
