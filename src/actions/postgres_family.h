// The actions of PostgreSQL, each made by one function in the file named after it, and what they share.
#pragma once

#include <memory>

#include "actions/family.h"

namespace lifeboat {

std::unique_ptr<Action> postgres_assess(const ActionWorld& world);
std::unique_ptr<Action> postgres_fence(const ActionWorld& world);
std::unique_ptr<Action> postgres_unfence(const ActionWorld& world);
std::unique_ptr<Action> postgres_restore(const ActionWorld& world);
Survey survey_postgres_restore(const ActionWorld& world, Context& context);
std::unique_ptr<Action> postgres_swap(const ActionWorld& world);
std::unique_ptr<Action> postgres_drop(const ActionWorld& world);

// "2026-02-01T02-03-04-database-corruption-ab12" → "20260201_020304_ab12": what a run's databases carry in their names.
std::string short_run_id(const std::string& run_id);

}  // namespace lifeboat
