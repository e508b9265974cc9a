// The names that a runbook requires → resources and backup sets of a site, and arguments with the former replaced by
// the latter.
#pragma once

#include <map>
#include <set>
#include <string>

#include "runbook/runbook.h"
#include "runbook/site.h"
#include "runbook/spec.h"

namespace lifeboat {

// Most specific first: `bind`, the site's bindings, the same name. In a drill's site only the same name (law 9).
// Reports what is unbound or of another kind; every requirement that could be bound is in the result.
std::map<std::string, std::string> bind_requirements(const Runbook& runbook, const Site& site,
                                                     const std::map<std::string, std::string>& bind, const Specs& specs,
                                                     Diagnostics& diagnostics);

class ArgumentBinder {
  public:
    // All outlive it.
    ArgumentBinder(const Runbook& runbook, const std::map<std::string, std::string>& bindings, const Specs& specs);

    // Puts {"of": …} and {"backup": …} in the place of names.
    void bind(Deed& deed);
    // Resources of the site that deeds so far change, in the order of their names.
    const std::set<std::string>& targets() const { return targets_; }

  private:
    void bind(Json& value, const ParameterSpec& parameter, bool changes);
    void bind_fields(Json& map, const std::vector<ParameterSpec>& fields, bool changes);

    const std::map<std::string, std::string>& bindings_;
    const Specs& specs_;
    std::set<std::string> backups_;  // required names that mean backup sets
    std::set<std::string> targets_;
};

}  // namespace lifeboat
