// A world of its own for the deeds of one test: a site's resources and secrets, a run's folder, and what was logged.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "actions/family.h"
#include "base/error.h"
#include "support/scratch_folder.h"

namespace lifeboat::test {

class GivenSecrets final : public SecretSource {
  public:
    std::map<std::string, std::string> known;
    Secret fetch(const std::string& name) override {
        if (!known.contains(name)) throw Error{ErrorCode::secret_missing, "there is no secret '" + name + "'"};
        return Secret(known.at(name));
    }
};

class DeedWorld {
  public:
    explicit DeedWorld(std::map<std::string, Resource> resources = {}, std::optional<DrillMark> drill = {})
        : resources_(std::move(resources), {}, std::move(drill)) {
        std::filesystem::create_directories(run_folder() / "steps" / "step");
    }

    ScratchFolder folder;
    GivenSecrets secrets;
    std::vector<std::string> log;
    std::vector<ChildGroup> children;
    std::stop_source stop;

    std::filesystem::path run_folder() const { return folder / "runs/run-1"; }
    const ActionWorld& world() const { return world_; }

    // The arguments as a runbook gives them: missing ones take their defaults.
    Context context(const Action& action, Json arguments) {
        for (const ParameterSpec& parameter : action.spec().parameters) {
            if (!arguments.contains(parameter.name)) arguments[parameter.name] = parameter.default_value;
        }
        Context context;
        context.run_id = "run-1";
        context.step_id = "step";
        context.idempotency_key = "run-1/step";
        context.arguments = std::move(arguments);
        context.workspace = run_folder() / "steps" / "step";
        context.stop = stop.get_token();
        context.clock = &clock_;
        context.log = [this](std::string_view line) { log.emplace_back(line); };
        context.child_started = [this](const ChildGroup& child) { children.push_back(child); };
        return context;
    }

    Outputs run(const Action& action, Json arguments) {
        Context prepared = context(action, std::move(arguments));
        const Intent intent = action.prepare(prepared);
        return action.run(intent, prepared);
    }

    // The error that running it throws; fails the test when there is none.
    Error error_of(const Action& action, Json arguments) {
        try {
            run(action, std::move(arguments));
        } catch (const Error& error) {
            return error;
        }
        return Error{ErrorCode::internal, "no error was thrown"};
    }

  private:
    SystemClock clock_;
    Resources resources_;
    ActionWorld world_{.resources = resources_,
                       .secrets = secrets,
                       .clock = clock_,
                       .program = "/proc/self/exe",
                       .state = folder.path() / "state"};
};

inline const Action& action_named(const ActionList& list, std::string_view name) {
    for (const std::unique_ptr<Action>& action : list) {
        if (action->spec().name == name) return *action;
    }
    throw std::runtime_error("no such action");
}

}  // namespace lifeboat::test
