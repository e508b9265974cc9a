// Which machine this is.
#pragma once

#include <string>

namespace lifeboat {

std::string host_name();
// What tells it from another of the same name: /etc/machine-id, or the host's name on a system without one.
std::string machine_id();

}  // namespace lifeboat
