// A sandbox as it was at one moment, so that each round of a sweep begins in the same state; and what of a target a
// round may not leave changed when it was rolled back. Servers are stopped while their files are copied.
#pragma once

#include <filesystem>
#include <set>
#include <stop_token>
#include <string>

#include "base/json.h"
#include "drill/sandbox.h"

namespace lifeboat {

class SandboxSnapshot {
  public:
    // Services are stopped first and stay so: `services_then` says which ran. The sandbox outlives the snapshot.
    SandboxSnapshot(const DrillSandbox& sandbox, const std::stop_token& stop);

    // Everything as it was; services that ran have to be started again by whoever asked.
    void restore() const;
    const std::set<std::string>& services_then() const { return services_; }

  private:
    const DrillSandbox& sandbox_;
    std::stop_token stop_;
    std::filesystem::path place_;
    std::set<std::string> services_;
};

// Per resource: of a database server all databases with owner, ACL, limits, settings and identity; of files and SQLite
// databases everything in their folder; of services whether they run. Equal before and after what put everything back.
Json condition_of(const DrillSandbox& sandbox);
// Where two conditions differ, one line each.
std::vector<std::string> changes_between(const Json& before, const Json& after);

}  // namespace lifeboat
