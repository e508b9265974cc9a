// The lock that guards a database against runs on other machines: an advisory lock, always taken in database `postgres`
// (in the target itself it would stand in the way of its own rename) and keyed by the server's system identifier and
// the database's *name*. It lasts as long as its session, which is the process's: a server that restarts forgets it.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "actions/family.h"

namespace lifeboat {

// `taken` are the keys of this run's other locks: null when this database's is among them, else its own is added.
// What a dead runner of the same run still holds is ended first: the caller holds the run itself. Throws Error{locked}
// at once, with details {"holder": {"application", "user", "address", "pid", "since"}}, when another run holds it, and
// what connect_postgres throws.
std::unique_ptr<Held> lock_postgres(const ActionWorld& world, const ResolvedResource& resource,
                                    const std::string& run_id, std::set<std::int64_t>& taken);

}  // namespace lifeboat
