// A command-driven service: a resource of type `command`. Whether it runs, starting it and stopping it, as seen by
// lifeboat.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "actions/family.h"

namespace lifeboat {

enum class Life { running, stopped, unknown };

class CommandService {
  public:
    // Throws Error{invalid_file | refused (not of this drill)}.
    CommandService(const ActionWorld& world, const Json& reference);

    const std::string& name() const { return resource_.name; }
    const ResolvedResource& resource() const { return resource_; }
    const std::vector<std::string>& start_command() const { return start_; }
    const std::vector<std::string>& stop_command() const { return stop_; }

    // By the identity in its pid file, and by its status command where it has one.
    Life life(Context& context) const;
    // The process that lifeboat started, when it is alive.
    std::optional<ChildIdentity> process() const;

    // Starts the daemon and watches it for `steady`. Throws Error{not_healthy} when it ends within that time.
    ChildIdentity start(Context& context, Duration steady) const;
    // Until it has ended. Throws Error{refused} when there is no way to stop it, Error{not_healthy} when it goes on.
    void stop(Context& context, Duration grace) const;

    std::filesystem::path pid_file() const { return pid_file_; }

  private:
    Command command(const std::vector<std::string>& argv) const;
    std::string last_words() const;

    const ActionWorld& world_;
    ResolvedResource resource_;
    std::vector<std::string> start_;
    std::vector<std::string> stop_;
    std::vector<std::string> status_;
    std::filesystem::path pid_file_;
    std::filesystem::path log_;
};

}  // namespace lifeboat
