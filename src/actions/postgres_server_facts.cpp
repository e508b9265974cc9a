#include "actions/postgres_server_facts.h"

namespace lifeboat {

PostgresServerFacts server_facts(PostgresConnection& session) {
    PostgresServerFacts facts;
    facts.major = session.server_major();
    const PostgresRows user =
        session.query("select rolname, rolsuper, rolcreatedb from pg_catalog.pg_roles where rolname = current_user");
    if (!user.rows.empty()) {
        facts.user = user.rows[0][0].value_or("");
        facts.superuser = user.rows[0][1] == "t";
        facts.may_create = facts.superuser || user.rows[0][2] == "t";
    }
    for (const auto& row : session.query("select rolname from pg_catalog.pg_roles").rows)
        facts.roles.insert(row[0].value_or(""));
    for (const auto& row : session.query("select name from pg_catalog.pg_available_extensions").rows) {
        facts.extensions.insert(row[0].value_or(""));
    }
    facts.lz4 =
        session.value("select 'lz4' = any(enumvals) from pg_catalog.pg_settings where name = 'wal_compression'") == "t";
    return facts;
}

}  // namespace lifeboat
