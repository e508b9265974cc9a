// The database beside the live one that a restore loads into: made empty, closed to everybody but its owner and
// superusers, and dropped again by its name, which carries the run.
#pragma once

#include <string>

#include "actions/postgres_catalogue.h"

namespace lifeboat {

// `<live>_lifeboat_<run>`, or with a number behind it where that name is taken. At most 63 bytes.
std::string free_staged_name(PostgresConnection& session, const std::string& live, const std::string& run_id);

// The clauses of CREATE DATABASE that make a database like `live` (encoding, locale, tablespace); empty when there is
// none.
std::string clauses_like(PostgresConnection& session, const std::string& live);

// Creates it from template0. Returns its OID.
std::uint32_t create_staged(PostgresConnection& session, const std::string& name, const std::string& clauses);

// Ends what works on it or for it (also a CREATE DATABASE that a dead runner left under way), then drops it. `oid` 0:
// not known. False when it was not there. Throws Error{refused} when a database of that name or OID is not the one that
// was made.
bool drop_staged(PostgresConnection& session, const std::string& name, std::uint32_t oid, const Context& context);

}  // namespace lifeboat
