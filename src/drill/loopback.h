// Ports of this machine for the services of a sandbox.
#pragma once

namespace lifeboat {

// A port of 127.0.0.1 on which nothing listens at the moment. Throws Error{io_failed}.
int free_loopback_port();

}  // namespace lifeboat
