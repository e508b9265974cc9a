// The three deeds that need no resource: a note, a program, a script.
#pragma once

#include <memory>

#include "actions/family.h"

namespace lifeboat {

std::unique_ptr<Action> run_action(const ActionWorld& world);
std::unique_ptr<Action> lua_action(const ActionWorld& world);

}  // namespace lifeboat
