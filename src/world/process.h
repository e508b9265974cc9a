// Child processes: no shell, a clean environment, stdin from nothing unless given, a process group of their own that is
// ended as a whole (TERM, CONT, grace, KILL) at the deadline or when asked to stop. The child waits behind a gate until
// its group is written down (`started` has returned), and exits when this process dies before that. Thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/size.h"
#include "base/time.h"

namespace lifeboat {

struct ChildIdentity {
    int pid = 0;  // also its process group
    // Field 22 of /proc/<pid>/stat: pid and start time together are never reused within a boot.
    std::uint64_t start_ticks = 0;
    std::string boot_id;
};

struct Command {
    std::vector<std::string> argv;  // argv[0] is looked up in PATH of `environment`, or an absolute path
    std::map<std::string, std::string> environment;  // the child's whole environment; see clean_environment()
    std::filesystem::path folder;                    // working folder; empty: /
    std::string input;                               // what stdin holds; /dev/null when empty
    std::filesystem::path input_file;                // stdin from this file instead
    std::filesystem::path output_file;               // stdout into this file (made 0600), not captured then
    Bytes keep{64u << 10};                           // of each stream, the last so many bytes are returned
    // Each line of stdout and of stderr, without the newline, cut at 64 KiB; called by the thread that runs the child.
    std::function<void(std::string_view line)> on_output;
    std::function<void(std::string_view line)> on_error;
    Duration grace = std::chrono::seconds(5);  // between TERM and KILL
};

struct ChildControl {
    std::stop_token stop;
    SteadyTime deadline = SteadyTime::max();
    std::function<void(const ChildIdentity&)> started;  // must be durable when it returns
};

struct ChildResult {
    int exit_code = 0;  // 128 + signal when a signal ended it
    int signal = 0;
    bool timed_out = false;  // ended by us at the deadline
    bool cancelled = false;  // ended by us because asked to stop
    bool leftover = false;   // something of the group outlived its leader and was ended
    std::string output;      // the last `keep` bytes of stdout
    std::string errors;      // likewise of stderr
    std::uint64_t output_bytes = 0;
};

// Runs to the end. Throws Error{program_missing | not_found (folder) | io_failed}; a non-zero exit is no error here.
ChildResult run_child(const Command& command, const ChildControl& control);

// The same, and throws Error{child_failed | timed_out | cancelled} with the last line of stderr unless it exits 0.
ChildResult run_child_checked(const Command& command, const ChildControl& control);

// Only PATH, HOME, LANG=C.UTF-8, TZ=UTC, TMPDIR: no PG*, AWS_*, DATABASE_URL of the caller leaks in (R6).
std::map<std::string, std::string> clean_environment();

// A process that is no child of the run: own session, stdout and stderr appended to `log`, its identity durable in
// `pid_file` before it runs. It survives the runner; when the runner dies before that, nothing has run. Ends only by
// stop_daemon. Throws as run_child, and Error{already_exists} when the process of `pid_file` is alive.
ChildIdentity start_daemon(const Command& command, const std::filesystem::path& pid_file,
                           const std::filesystem::path& log);
// What start_daemon wrote: pid, start ticks and boot id, a line each. Nullopt where there is no file; throws
// Error{invalid_file} for a pid file of somebody else.
std::optional<ChildIdentity> read_pid_file(const std::filesystem::path& pid_file);
// Ends the daemon's group and removes the pid file. False when it was gone already.
bool stop_daemon(const std::filesystem::path& pid_file, Duration grace);

// Whether exactly this process (not another with its pid) is alive.
bool is_alive(const ChildIdentity& child);
// Ends the group of a dead runner's child: TERM, grace, KILL. False when it was gone already.
bool end_group(const ChildIdentity& child, Duration grace);

ChildIdentity this_process();
std::string boot_id();
// When the process began, by the clock of now.
Timestamp started_at(const ChildIdentity& child);
// The program in PATH, or nullopt.
std::optional<std::filesystem::path> find_program(const std::string& name);

}  // namespace lifeboat
