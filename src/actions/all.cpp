#include <algorithm>
#include <iterator>
#include <set>
#include <string_view>
#include <unordered_map>

#include "actions/family.h"
#include "actions/postgres_lock.h"

namespace lifeboat {

namespace {

// Everything a step can do. A family that is not listed here does not exist.
ActionList every_action(const ActionWorld& world) {
    ActionList all;
    for (ActionList (*family)(const ActionWorld&) :
         {basic_actions, service_actions, check_actions, notify_actions, files_actions, sqlite_actions,
          postgres_actions, sql_actions, backup_actions}) {
        ActionList actions = family(world);
        std::move(actions.begin(), actions.end(), std::back_inserter(all));
    }
    return all;
}

std::vector<ResourceSpec> every_resource() {
    std::vector<ResourceSpec> all;
    for (std::vector<ResourceSpec> (*family)() :
         {service_resources, notify_resources, files_resources, sqlite_resources, postgres_resources, redis_resources,
          output_resources, store_resources}) {
        std::vector<ResourceSpec> resources = family();
        std::move(resources.begin(), resources.end(), std::back_inserter(all));
    }
    return all;
}

class AllActions final : public Actions {
  public:
    explicit AllActions(const ActionWorld& world) : world_(world), list_(every_action(world_)) {
        for (const std::unique_ptr<Action>& action : list_)
            by_name_.emplace(action->spec().name, action.get());
    }

    const Action* find(std::string_view name) const override {
        const auto found = by_name_.find(name);
        return found == by_name_.end() ? nullptr : found->second;
    }

    TargetIdentity identify(const std::string& resource) const override {
        const ResolvedResource resolved = world_.resources.named(resource);
        if (resolved.type == "postgres") return identify_postgres(world_, resolved);
        if (resolved.type == "sqlite") return identify_sqlite(world_, resolved);
        if (resolved.type == "redis") return identify_redis(world_, resolved);
        if (resolved.type == "files") return identify_files(world_, resolved);
        if (resolved.type == "command") return identify_command(world_, resolved);
        return {.resource = resource, .declared = resolved.type + " " + resource};
    }

    RemoteLocks lock_remotely(const std::string& run_id, const std::vector<std::string>& targets) const override {
        RemoteLocks locks;
        std::set<std::int64_t> taken;
        for (const std::string& target : targets) {
            const ResolvedResource resource = world_.resources.named(target);
            if (resource.type != "postgres") continue;
            try {
                if (auto lock = lock_postgres(world_, resource, run_id, taken)) locks.held.push_back(std::move(lock));
            } catch (const Error& error) {
                if (error.code == ErrorCode::locked) throw;
                locks.not_locked.push_back("'" + target + "': " + error.full_message());
            }
        }
        return locks;
    }

    std::vector<std::string> end_orphans(const std::string& run_id,
                                         const std::vector<std::string>& targets) const override {
        std::vector<std::string> ended;
        for (const std::string& target : targets) {
            const ResolvedResource resource = world_.resources.named(target);
            if (resource.type != "postgres") continue;
            std::vector<std::string> sessions = end_postgres_orphans(world_, resource, run_id);
            std::move(sessions.begin(), sessions.end(), std::back_inserter(ended));
        }
        return ended;
    }

  private:
    ActionWorld world_;
    ActionList list_;
    std::map<std::string, const Action*, std::less<>> by_name_;
};

// For a look at the declarations alone.
class NoSecrets final : public SecretSource {
  public:
    Secret fetch(const std::string& name) override {
        throw Error{ErrorCode::secret_missing, "there is no secret '" + name + "' here"};
    }
};

}  // namespace

std::unique_ptr<Actions> all_actions(const ActionWorld& world) {
    return std::make_unique<AllActions>(world);
}

Specs all_specs() {
    const Resources resources;
    NoSecrets secrets;
    const SystemClock clock;
    const ActionWorld world{.resources = resources, .secrets = secrets, .clock = clock, .program = {}, .state = {}};
    Specs specs;
    for (const std::unique_ptr<Action>& action : every_action(world))
        specs.actions.push_back(action->spec());
    specs.resources = every_resource();
    return specs;
}

}  // namespace lifeboat
