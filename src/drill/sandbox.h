// What a drill is done to: resources made for it below one throw-away folder, and the site that binds nothing else.
//
//   <folder>/drill.json            whose it is: what is needed to remove it when its runner is gone
//   <folder>/lifeboat.yaml         its site
//   <folder>/resources/<name>/     one resource, with the nonce that shows whose it is; a notifier that the runbook
//   names and the
//                                  drill does not is a file of messages here
//   <folder>/state/                where its runs are kept
//
// In the texts of a service `{folder}` is its own folder here, `{drill}` that of the drill's file, and `{port}` a free
// port. Servers outlive a killed runner; whoever comes next removes them (leftovers.h). One thread.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "runbook/drill.h"
#include "runbook/runbook.h"
#include "runbook/site.h"
#include "world/postgres.h"

namespace lifeboat {

class DrillSandbox {
  public:
    // Makes the folder and nothing else. All outlive it. Throws Error{invalid_file} when the runbook requires a name
    // that the drill's sandbox does not have.
    DrillSandbox(const Drill& drill, const Runbook& runbook, const std::filesystem::path& parent);
    // Removes what is still there, unless it was kept.
    ~DrillSandbox();
    DrillSandbox(const DrillSandbox&) = delete;
    DrillSandbox& operator=(const DrillSandbox&) = delete;

    // Makes the resources and writes the site. Throws Error.
    void make(const std::stop_token& stop, const std::function<void(const std::string&)>& say);

    const std::string& id() const { return id_; }
    const std::filesystem::path& folder() const { return folder_; }
    std::filesystem::path site_file() const { return folder_ / "lifeboat.yaml"; }
    std::filesystem::path state() const { return folder_ / "state"; }
    std::filesystem::path folder_of(const std::string& resource) const { return folder_ / "resources" / resource; }
    // As the site has them; complete once they are made.
    const std::map<std::string, Resource>& resources() const { return resources_; }
    const std::map<std::string, std::string>& nonces() const { return nonces_; }
    // Over loopback, with the password fetched.
    PostgresTarget postgres(const std::string& resource, const std::string& database) const;
    // Of services whose process this program started.
    std::map<std::string, std::filesystem::path> pid_files() const;
    // Everything that a generated runbook may name.
    std::vector<Requirement> requirements() const;

    // Ends and removes everything; returns what could not be removed. Can be called again.
    std::vector<std::string> remove();
    // It stays, with its servers, until `lifeboat drill --cleanup`.
    void keep();

  private:
    void define_folders();
    void define_services();
    void make_postgres(Resource& resource, const std::stop_token& stop);
    void make_sqlite(const Resource& resource);
    void make_files(const Resource& resource);
    void load_postgres(const Resource& resource, const std::stop_token& stop);
    std::filesystem::path load_file(const std::string& resource) const;
    std::string site_text() const;
    void write_note(bool kept) const;

    const Drill& drill_;
    const Runbook& runbook_;
    std::string id_;
    std::filesystem::path folder_;
    std::map<std::string, Resource> resources_;
    std::map<std::string, std::string> nonces_;
    std::map<std::string, std::string> password_files_;  // resource → name of its secret
    bool over_ = false;
};

}  // namespace lifeboat
