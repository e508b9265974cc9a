// What `lifeboat init` writes: a commented site, runbook and drill, and the database they are tried on.
#pragma once

#include <string_view>

namespace lifeboat {

std::string_view initial_site();
std::string_view initial_runbook();   // the same as runbooks/quickstart.yaml
std::string_view initial_drill();     // the same as drills/quickstart.yaml
std::string_view initial_database();  // SQL
std::string_view initial_settings();  // config/shop.conf
std::string_view initial_features();  // config/features.json

}  // namespace lifeboat
