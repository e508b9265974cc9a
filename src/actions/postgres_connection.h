// From a resource of type postgres to a session on it, for actions. Every session names itself after the run and,
// inside a drill, is refused unless the server shows the sandbox's nonce (law 9): no action opens one in another way.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "actions/family.h"
#include "world/postgres.h"

namespace lifeboat {

struct PostgresSessionWish {
    std::string database;      // instead of the resource's own; "" keeps it
    bool maintenance = false;  // the resource's maintenance_database instead
    bool read_only = false;    // default_transaction_read_only
    std::map<std::string, std::string> settings;
};

// With the password fetched. `run_id` empty: a look outside of a run ("lifeboat").
PostgresTarget postgres_target(const ActionWorld& world, const ResolvedResource& resource, const std::string& run_id);
// {"of": …} of an argument, checked to be of type postgres.
ResolvedResource postgres_resource(const ActionWorld& world, const Json& reference);

// Throws what PostgresConnection throws, and Error{refused} where the nonce is missing or another one.
PostgresConnection connect_postgres(const ActionWorld& world, const ResolvedResource& resource, const Context& context,
                                    const PostgresSessionWish& wish = {});
PostgresConnection connect_postgres(const ActionWorld& world, const ResolvedResource& resource,
                                    const std::string& run_id, PostgresPatience patience,
                                    const PostgresSessionWish& wish = {});

// On the maintenance database, which must be another one than the target's: Error{refused} otherwise. Commits are
// durable whatever the role's defaults are.
PostgresConnection connect_maintenance(const ActionWorld& world, const ResolvedResource& resource,
                                       const Context& context);

// Reads `cluster_name` back: Error{refused} unless the drill's nonce stands there. Nothing outside a drill.
void prove_postgres_isolation(const ActionWorld& world, const std::string& resource, PostgresConnection& connection);

PostgresPatience patience_of(const Context& context);
// The target's own database name, and that of its maintenance database.
std::string database_of(const ResolvedResource& resource);
std::string maintenance_database_of(const ResolvedResource& resource);

}  // namespace lifeboat
