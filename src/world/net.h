// Whether something accepts connections: one TCP connect, closed again at once. Done by libcurl (in http.cpp), whose
// name resolution can be interrupted.
#pragma once

#include <stop_token>
#include <string>

#include "base/time.h"

namespace lifeboat {

// Throws Error{unreachable | timed_out | cancelled | invalid_file (host or port)}. Every address of `host` is tried.
void connect_tcp(const std::string& host, int port, SteadyTime deadline, const std::stop_token& stop);

}  // namespace lifeboat
