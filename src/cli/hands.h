// The hands of one site: secrets, resources and actions, made from a site or from what a plan froze of it. Faults,
// where a drill's mark allows them, are wrapped around the actions here.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "actions/family.h"
#include "cli/faults.h"
#include "cli/verb.h"
#include "runbook/draft.h"

namespace lifeboat {

class Hands {
  public:
    // The session outlives the hands. `state` is the folder of runs.
    Hands(Session& session, const Site& site, std::filesystem::path state);
    Hands(Session& session, const Draft& draft, std::filesystem::path state);

    const Actions& actions() const;
    const Faults& faults() const { return faults_; }
    const Resources& resources() const { return resources_; }
    SecretSource& secrets() { return *secrets_; }
    const ActionWorld& world() const { return world_; }

    // One deed outside of any run, at once: prepare, then run. Missing arguments take their defaults. `stop` ends it.
    Outputs do_now(const std::string& action, Json arguments, const std::string& name, std::optional<Duration> timeout,
                   std::stop_token stop, const std::function<void(const Progress&)>& progress) const;

  private:
    Hands(Session& session, std::map<std::string, Resource> resources, std::map<std::string, BackupSet> backups,
          const std::map<std::string, SecretOrigin>& secrets, std::optional<DrillMark> drill,
          std::filesystem::path state);

    Session& session_;
    Faults faults_;
    std::unique_ptr<SecretSource> secrets_;
    Resources resources_;
    ActionWorld world_;
    std::unique_ptr<Actions> actions_;
    std::unique_ptr<FaultyActions> faulty_;
};

// `arguments`, with the defaults of those that are missing.
Json defaults_of(const ActionSpec& spec, Json arguments);

// A private folder below `state` for looks and for deeds outside of runs, removed with the object.
class Scratch {
  public:
    Scratch(const std::filesystem::path& state, const std::string& what);
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    Workspace workspace(const std::string& name) const;

  private:
    std::filesystem::path root_;
};

}  // namespace lifeboat
