#include "cli/hands.h"

#include <cstdlib>

#include <unistd.h>

#include "world/machine.h"
#include "world/secrets.h"

namespace fs = std::filesystem;

namespace lifeboat {

namespace {

// Only a sandbox may be hurt on purpose.
Faults asked_faults(const std::optional<DrillMark>& drill) {
    const char* text = std::getenv("LIFEBOAT_FAULT");
    return drill && text != nullptr ? parse_faults(text) : Faults{};
}

SecretPlace::Kind kind_of(SecretOrigin::Kind kind) {
    switch (kind) {
        case SecretOrigin::Kind::environment:
            return SecretPlace::Kind::environment;
        case SecretOrigin::Kind::file:
            return SecretPlace::Kind::file;
        case SecretOrigin::Kind::command:
            return SecretPlace::Kind::command;
    }
    return SecretPlace::Kind::environment;
}

std::map<std::string, SecretPlace> places_of(const std::map<std::string, SecretOrigin>& origins) {
    std::map<std::string, SecretPlace> places;
    for (const auto& [name, origin] : origins)
        places[name] = {.kind = kind_of(origin.kind), .text = origin.text, .command = origin.command};
    return places;
}

}  // namespace

Hands::Hands(Session& session, const Site& site, fs::path state)
    : Hands(session, site.resources, site.backups, site.secrets, site.drill, std::move(state)) {}

Hands::Hands(Session& session, const Draft& draft, fs::path state)
    : Hands(session, draft.resources, draft.backups, draft.secrets, draft.drill, std::move(state)) {}

Hands::Hands(Session& session, std::map<std::string, Resource> resources, std::map<std::string, BackupSet> backups,
             const std::map<std::string, SecretOrigin>& secrets, std::optional<DrillMark> drill, fs::path state)
    : session_(session),
      faults_(asked_faults(drill)),
      secrets_(std::make_unique<FetchedSecrets>(places_of(secrets), session.redactor)),
      resources_(std::move(resources), std::move(backups), std::move(drill)),
      world_{.resources = resources_,
             .secrets = *secrets_,
             .clock = session.clock,
             .program = session.program,
             .state = std::move(state)},
      actions_(all_actions(world_)) {
    if (faults_.any()) faulty_ = std::make_unique<FaultyActions>(*actions_, faults_);
}

const Actions& Hands::actions() const {
    if (faulty_) return *faulty_;
    return *actions_;
}

Outputs Hands::do_now(const std::string& name, Json arguments, const std::string& step, std::optional<Duration> timeout,
                      std::stop_token stop, const std::function<void(const Progress&)>& progress) const {
    const Action* action = actions().find(name);
    if (action == nullptr) throw Error{ErrorCode::internal, "this program has no action '" + name + "'"};
    const Scratch scratch(world_.state, step);
    Context context;
    context.run_id = step;
    context.step_id = step;
    context.idempotency_key = step;
    context.drill = resources_.drill().has_value();
    context.arguments = defaults_of(action->spec(), std::move(arguments));
    context.workspace = scratch.workspace("work");
    context.stop = std::move(stop);
    context.clock = &session_.clock;
    if (timeout) context.deadline = session_.clock.steady() + *timeout;
    context.progress = progress;
    context.log = [this](std::string_view line) { session_.log.debug(std::string(line)); };
    const Intent intent = action->prepare(context);
    return action->run(intent, context);
}

Json defaults_of(const ActionSpec& spec, Json arguments) {
    for (const ParameterSpec& parameter : spec.parameters) {
        if (!arguments.contains(parameter.name) && !parameter.default_value.is_null())
            arguments[parameter.name] = parameter.default_value;
    }
    return arguments;
}

Scratch::Scratch(const fs::path& state, const std::string& what)
    : root_(state / "scratch" / (what + "-" + std::to_string(::getpid()) + "@" + host_name())) {
    // what an interrupted look on this host left, told by its dead process
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(root_.parent_path(), ignored)) {
        const std::string name = entry.path().filename();
        const std::size_t at = name.find('@');
        if (at == std::string::npos || name.substr(at + 1) != host_name()) continue;
        const std::string pid = name.substr(0, at).substr(name.substr(0, at).rfind('-') + 1);
        if (!fs::exists("/proc/" + pid, ignored)) fs::remove_all(entry.path(), ignored);
    }
}

Scratch::~Scratch() {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
    fs::remove(root_.parent_path(), ignored);  // only when it is empty
}

Workspace Scratch::workspace(const std::string& name) const {
    return {root_ / name, [root = root_](const fs::path& folder) {
                std::error_code problem;
                fs::create_directories(folder, problem);
                if (problem) throw_errno("make the folder '" + folder.string() + "'", problem.value());
                fs::permissions(root, fs::perms::owner_all, problem);
            }};
}

}  // namespace lifeboat
