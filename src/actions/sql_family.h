// The actions that speak SQL to any database, PostgreSQL or SQLite, each made by one function in the file named after
// it.
#pragma once

#include <memory>

#include "actions/family.h"

namespace lifeboat {

std::unique_ptr<Action> sql_check(const ActionWorld& world);
std::unique_ptr<Action> sql_fingerprint(const ActionWorld& world);
std::unique_ptr<Action> fault_sql(const ActionWorld& world);

}  // namespace lifeboat
