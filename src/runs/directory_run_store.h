// Runs in a folder: `<state>/runs/<run id>/` with plan.json, runbook.yaml, scripts/, journal.jsonl, steps/<step>/
// (workspaces), logs/<step>.log and the reports. A run exists once its plan.json has been renamed in; what was made
// before that is no run. `<state>/plans/<digest>` leads to the run of a plan that was good for one. Everything is for
// the owner alone. The clock must outlive the store.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/run_store.h"
#include "engine/workspace.h"
#include "runs/target_locks.h"

namespace lifeboat {

class DirectoryRunStore final : public RunStore {
  public:
    DirectoryRunStore(const std::filesystem::path& state, const Clock& clock);
    DirectoryRunStore(const DirectoryRunStore&) = delete;
    DirectoryRunStore& operator=(const DirectoryRunStore&) = delete;

    std::string create(const Plan& plan, Timestamp now, PlanUse use = PlanUse::any) override;
    Plan plan(const std::string& run_id) const override;
    EventsSeen each_event(const std::string& run_id, const std::function<void(Event)>& take) const override;
    TakenOver take_over(const std::string& run_id, const std::function<void(Event)>& take) override;
    std::vector<StoredRun> list() const override;
    std::filesystem::path folder(const std::string& run_id) const override;
    std::unique_ptr<Held> lock_targets(const std::string& run_id, const std::vector<TargetIdentity>& targets,
                                       const Runner& runner) override;
    void release_claims(const std::string& run_id) override;

    // Removes a run that never began (its targets were locked). Throws Error{refused} when it has a record.
    void discard(const std::string& run_id);
    // Who runs it at this moment, asked of the kernel: nullopt when nobody does.
    std::optional<Holder> runner_of(const std::string& run_id) const;

    // Made when missing, not durably: what has to survive a power cut there is synced by who makes it, name and all.
    Workspace workspace(const std::string& run_id, const std::string& step_id) const;
    std::filesystem::path log_file(const std::string& run_id, const std::string& step_id) const;
    const std::filesystem::path& state() const { return state_; }

  private:
    void spend(const Plan& plan, const std::string& run_id) const;
    bool is_over(const std::string& run_id) const;

    std::filesystem::path state_;
    std::filesystem::path runs_;
    const Clock& clock_;
    TargetLocks locks_;
};

}  // namespace lifeboat
