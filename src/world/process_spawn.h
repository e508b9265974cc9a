// Making a child that waits behind a gate: it exists, in a group of its own and holding nothing of ours, but runs the
// program only when the gate is opened. When the gate's holder goes first, by return, exception or SIGKILL, the child
// exits without a trace.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "world/file_descriptor.h"

namespace lifeboat {

struct SpawnRequest {
    std::string program;  // path to execute
    std::vector<std::string> argv;
    std::map<std::string, std::string> environment;
    std::string folder;  // absolute
    int input = -1;      // above 2, as everything from hold_fd is
    int output = -1;
    int errors = -1;
    bool own_session = false;  // not our child: a session of its own, reaped by init
};

class GatedChild {
  public:
    // The child exists when this returns. Throws Error{limit_exceeded | …} when it cannot be made.
    explicit GatedChild(const SpawnRequest& request);
    // Kills and reaps what has not been waited for, unless it has a session of its own and runs.
    ~GatedChild();
    GatedChild(const GatedChild&) = delete;
    GatedChild& operator=(const GatedChild&) = delete;

    // Also its process group.
    int pid() const;
    // Readable when the child has ended. -1 for one with a session of its own.
    int pidfd() const;

    // Lets the program run. Of a child with a session of its own this throws what `reap` throws of others.
    void open_gate();

    struct End {
        int exit_code = 0;  // 128 + signal when a signal ended it
        int signal = 0;
    };
    // Reaps the child, waiting for its end. Throws Error{program_missing | not_found | …} when its program could not be
    // executed.
    End reap();

  private:
    struct Launch;
    void reap_intermediate();
    void throw_if_not_executed() const;

    std::unique_ptr<Launch> launch_;
    FileDescriptor gate_;
    FileDescriptor pidfd_;
    int pid_ = 0;
    int intermediate_ = 0;
    bool running_ = false;
    bool reaped_ = false;
};

}  // namespace lifeboat
