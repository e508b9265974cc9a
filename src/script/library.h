// What every expression and script may call besides its scope.
#pragma once

#include <string>
#include <vector>

struct lua_State;

namespace lifeboat {

// Pushes a new table with the library of expressions. Strings get a metatable of this state alone, with harmless
// methods only.
void push_library(lua_State* lua);

// The same with what only whole scripts may use: string patterns, `table`, `utf8`, `pcall`, `error`, …
void push_script_library(lua_State* lua);

}  // namespace lifeboat
