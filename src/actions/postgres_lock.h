// The lock that guards a database against runs on other machines: an advisory lock, always taken in database `postgres`
// (in the target itself it would stand in the way of its own rename) and keyed by the server's system identifier and
// the database's *name*. It lasts as long as this object, and falls with its session when the process dies.
#pragma once

#include <memory>
#include <string>

#include "actions/postgres_connection.h"

namespace lifeboat {

class PostgresLock {
  public:
    explicit PostgresLock(PostgresConnection session) : session_(std::move(session)) {}
    // Whether the session that holds it is still there; a lock that was lost is not taken again silently.
    bool still_held();

  private:
    PostgresConnection session_;
};

// Does not wait: throws Error{locked} with details {"holder": {"application", "user", "address", "pid", "since"}} when
// somebody else holds it, and what connect_postgres throws.
std::unique_ptr<PostgresLock> lock_postgres(const ActionWorld& world, const ResolvedResource& resource,
                                            const std::string& run_id);

}  // namespace lifeboat
