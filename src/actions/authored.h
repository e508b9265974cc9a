// Deeds that the runbook's author brings along: a program (`{argv, environment, folder}`) or a Lua script (`{script,
// arguments}`), each run as a child of the step. `undo` and `probe` of such a deed are of the same two shapes.
#pragma once

#include <filesystem>
#include <string>
#include <utility>

#include "actions/family.h"

namespace lifeboat {

// Where a child is told to leave its outputs. It is removed with this object: what they are is journaled, and a secret
// that a program wrote there must not stay.
class OutputsFile {
  public:
    explicit OutputsFile(std::filesystem::path path);
    ~OutputsFile();
    OutputsFile(OutputsFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    OutputsFile& operator=(OutputsFile&&) = delete;
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

// How an authored child ended, after its output went to the step's log.
struct AuthoredEnd {
    std::string called;  // "'restore.sh'" for messages
    bool is_script = false;
    ChildResult child;
    OutputsFile outputs;
};

// Runs it with LIFEBOAT_RUN, LIFEBOAT_STEP, LIFEBOAT_DRILL, LIFEBOAT_IDEMPOTENCY_KEY and LIFEBOAT_OUTPUTS (`purpose`
// names that file) in an otherwise clean environment. Throws Error{program_missing | not_found | cancelled | timed_out
// | secret_missing | …}.
AuthoredEnd run_authored(const ActionWorld& world, Context& context, const Json& deed, const std::string& purpose);

// Throws what an end with another exit code than 0 means: child_failed for programs; script_failed, limit_exceeded for
// scripts.
void require_success(const AuthoredEnd& end);

// What was left as outputs; an empty object when nothing was. Throws Error{check_failed | limit_exceeded}.
Json output_object(const AuthoredEnd& end);
// `found` when it holds what is `declared` (name → type) and nothing else. Throws Error{check_failed}.
Outputs check_outputs(const AuthoredEnd& end, const Json& found, const Json& declared);

// The verbs of both actions: their intent is what the author wrote.
Outputs run_and_read(const ActionWorld& world, Context& context, const Intent& intent);
ProbeResult probe_authored(const ActionWorld& world, Context& context, const Intent& intent);
std::string undo_authored(const ActionWorld& world, Context& context, const Intent& intent);

// How `lifeboat __lua` ends.
inline constexpr int script_failed_exit = 1;
inline constexpr int script_limit_exit = 3;

}  // namespace lifeboat
