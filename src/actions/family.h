// How the actions are put together: each family of actions is one function that makes them over the world they need;
// `all.cpp` holds the explicit list. To add an action touch its family's file and its tests, nothing else.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "actions/resources.h"
#include "base/secret.h"
#include "engine/action.h"
#include "runbook/site.h"
#include "world/process.h"

namespace lifeboat {

// What actions may use. Outlives them.
struct ActionWorld {
    const Resources& resources;
    SecretSource& secrets;
    const Clock& clock;
    std::filesystem::path program;  // this binary, started as `lifeboat __lua` for scripts
    std::filesystem::path state;    // the runs' directory: private copies are made below it
};

using ActionList = std::vector<std::unique_ptr<Action>>;

ActionList basic_actions(const ActionWorld& world);     // log.note, run, lua
ActionList service_actions(const ActionWorld& world);   // service.stop, service.start
ActionList check_actions(const ActionWorld& world);     // http.check, tcp.check
ActionList notify_actions(const ActionWorld& world);    // notify.send
ActionList files_actions(const ActionWorld& world);     // files.snapshot, files.restore, fault.corrupt_file
ActionList sqlite_actions(const ActionWorld& world);    // sqlite.check, sqlite.restore
ActionList postgres_actions(const ActionWorld& world);  // postgres.assess, .fence, .restore, .swap, .unfence, .drop
ActionList sql_actions(const ActionWorld& world);       // sql.check, sql.fingerprint, fault.sql
ActionList backup_actions(const ActionWorld& world);    // backup.create, .select, .fetch, .verify, .prune, .audit

// The resource types and what a target is, beside the actions that use them.
std::vector<ResourceSpec> service_resources();   // command
std::vector<ResourceSpec> notify_resources();    // webhook
std::vector<ResourceSpec> files_resources();     // files (a directory or one file)
std::vector<ResourceSpec> sqlite_resources();    // sqlite
std::vector<ResourceSpec> postgres_resources();  // postgres
std::vector<ResourceSpec> redis_resources();     // redis
std::vector<ResourceSpec> output_resources();    // output
std::vector<ResourceSpec> store_resources();     // local, s3, sftp, webdav, http, azure, gcs

// The whole set. `identify` and `end_orphans` ask the family of the resource's type.
std::unique_ptr<Actions> all_actions(const ActionWorld& world);
// Everything declared, without a world.
Specs all_specs();

// Identity of a target, by type; `measured` stays empty when it cannot be read. Implemented beside each family.
TargetIdentity identify_postgres(const ActionWorld& world, const ResolvedResource& resource);
TargetIdentity identify_sqlite(const ActionWorld& world, const ResolvedResource& resource);
TargetIdentity identify_redis(const ActionWorld& world, const ResolvedResource& resource);
TargetIdentity identify_files(const ActionWorld& world, const ResolvedResource& resource);
TargetIdentity identify_command(const ActionWorld& world, const ResolvedResource& resource);
// Ends sessions whose application name is that of the run; returns what was ended.
std::vector<std::string> end_postgres_orphans(const ActionWorld& world, const ResolvedResource& resource,
                                              const std::string& run_id);

// A child of this deed: its group is journaled before it runs, and it ends with the deed.
ChildControl control_of(const Context& context);
// run_child with the deed's stop token and deadline: throws Error{cancelled | timed_out} when it was ended for that.
ChildResult run_for(const Context& context, const Command& command);

}  // namespace lifeboat
