// What a PostgreSQL server can do for a restore, looked up once.
#pragma once

#include <set>
#include <string>

#include "world/postgres.h"

namespace lifeboat {

struct PostgresServerFacts {
    int major = 0;
    bool superuser = false;
    bool may_create = false;
    std::string user;
    std::set<std::string> roles;
    std::set<std::string> extensions;
    bool lz4 = false;
};

PostgresServerFacts server_facts(PostgresConnection& session);

}  // namespace lifeboat
