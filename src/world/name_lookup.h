// The addresses of a host name, with a deadline that the system's resolver does not have.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "base/time.h"

namespace lifeboat {

// Numeric addresses, in the resolver's order; a numeric `host` is its own. `tried` begins the messages. Throws
// Error{unreachable | cancelled}.
std::vector<std::string> look_up_addresses(const std::string& host, const std::stop_token& stop, SteadyTime deadline,
                                           const std::string& tried);

}  // namespace lifeboat
