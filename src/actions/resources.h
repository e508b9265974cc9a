// The named resources of one site as the actions see them: definitions with references to secrets, and what a derived
// resource replaces.
#pragma once

#include <map>
#include <string>

#include "base/json.h"
#include "runbook/site.h"

namespace lifeboat {

struct ResolvedResource {
    std::string name;  // in the site
    std::string type;
    Json fields = Json::object();  // the definition's, with the derived ones in place; secrets are references
    Json reference;                // as it stood in the arguments: {"of": name, …}
};

class Resources {
  public:
    Resources() = default;
    Resources(std::map<std::string, Resource> resources, std::map<std::string, BackupSet> backups,
              std::optional<DrillMark> drill)
        : resources_(std::move(resources)), backups_(std::move(backups)), drill_(std::move(drill)) {}

    // {"of": "shop"} or {"of": "shop", "database": "shop_new"}: the site's definition with the other keys put over its
    // fields. Throws Error{invalid_file} for anything else.
    ResolvedResource resolve(const Json& reference) const;
    ResolvedResource named(const std::string& name) const;
    // {"backup": "shop"}.
    const BackupSet& backup(const Json& reference) const;

    // The nonce that a sandbox's resource must show through every connection (law 9); empty outside a drill.
    // Inside a drill a resource without one is refused: Error{refused}.
    std::string nonce_of(const std::string& resource) const;
    const std::optional<DrillMark>& drill() const { return drill_; }
    const std::map<std::string, Resource>& all() const { return resources_; }

  private:
    std::map<std::string, Resource> resources_;
    std::map<std::string, BackupSet> backups_;
    std::optional<DrillMark> drill_;
};

}  // namespace lifeboat
