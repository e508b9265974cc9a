// Looks at, and small changes of, the databases of a server as its catalogue knows them. All through a session on the
// maintenance database: the database in question may be fenced, damaged or missing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/action.h"
#include "world/postgres.h"

namespace lifeboat {

// `ALTER DATABASE … SET` and `ALTER ROLE … IN DATABASE … SET`.
struct PostgresSetting {
    std::string role;  // empty: for everybody
    std::string name;
    std::string value;  // as the catalogue keeps it: the elements of a list are already quoted
    auto operator<=>(const PostgresSetting&) const = default;
};

struct PostgresGrant {
    std::string role;  // empty: PUBLIC
    std::string privilege;
    bool grantable = false;
    auto operator<=>(const PostgresGrant&) const = default;
};

// What stays with a database's OID when it is renamed, and so has to be copied before a swap.
struct PostgresProperties {
    std::string owner;
    std::vector<PostgresGrant> grants;      // sorted; the defaults spelt out
    std::vector<PostgresSetting> settings;  // sorted
    int connection_limit = -1;
    std::string comment;
    bool operator==(const PostgresProperties&) const = default;
};

struct PostgresDatabase {
    std::uint32_t oid = 0;
    std::string name;
    bool allows_connections = true;
    int connection_limit = -1;
};

std::optional<PostgresDatabase> find_database(PostgresConnection& session, const std::string& name);
std::optional<PostgresDatabase> find_database(PostgresConnection& session, std::uint32_t oid);
PostgresProperties properties_of(PostgresConnection& session, std::uint32_t oid);
// Gives the database exactly these, in one transaction.
void give_properties(PostgresConnection& session, const std::string& name, const PostgresProperties& properties);

Json to_json(const PostgresProperties& properties);
PostgresProperties properties_from_json(const Json& value);

void allow_connections(PostgresConnection& session, const std::string& name, bool allowed);
void limit_connections(PostgresConnection& session, const std::string& name, int limit);

// Ends the sessions on a database, again and again until none is left; the caller has closed the door before. Returns
// how many were ended. Throws Error{busy} when some are still there after `limit`, Error{denied} where this user may
// not end them.
std::uint64_t end_sessions(PostgresConnection& session, std::uint32_t oid, const Context& context,
                           Duration limit = std::chrono::seconds(30));
std::uint64_t count_sessions(PostgresConnection& session, std::uint32_t oid);

// The server, by what no rename or restore changes.
std::string system_identifier(PostgresConnection& session);

std::uint64_t number_of(const PostgresValue& value);

}  // namespace lifeboat
