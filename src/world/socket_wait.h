// One wait for a socket that also ends when asked to stop and at a deadline.
#pragma once

#include <stop_token>

#include "base/time.h"

namespace lifeboat {

enum class Wake { ready, stopped, deadline };

// `events` as for poll(2): POLLIN, POLLOUT. Errors of the socket count as ready. Throws Error{io_failed}.
Wake wait_for_socket(int socket, short events, const std::stop_token& stop, SteadyTime deadline);

}  // namespace lifeboat
