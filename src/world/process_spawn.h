// Making a child that waits behind a gate: it exists, in a group of its own and holding nothing of ours, but runs the
// program only when the gate is opened. When the gate's holder goes first, by return, exception or SIGKILL, the child
// exits without a trace.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <thread>
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

    // Returns when the program runs. Throws Error{program_missing | not_found | …} when it could not be executed; the
    // child is gone then.
    void open_gate();

    struct End {
        int exit_code = 0;  // 128 + signal when a signal ended it
        int signal = 0;
    };
    // Reaps the child, waiting for its end.
    End reap();

  private:
    struct Launch;
    [[noreturn]] void fail();
    void reap_intermediate();

    std::unique_ptr<Launch> launch_;
    FileDescriptor gate_;
    FileDescriptor gate_in_child_;
    FileDescriptor ready_;
    FileDescriptor pidfd_;
    std::thread starter_;  // suspended by the kernel until the child has executed its program
    bool running_ = false;
    bool reaped_ = false;
};

}  // namespace lifeboat
