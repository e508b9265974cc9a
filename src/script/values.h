// JSON values inside Lua and back. Lists and maps are read-only views: no copies, so what they show must outlive the
// state. JSON null is the one value `null`; a secret reference is opaque: it can be passed on and joined with `..`.
#pragma once

#include <cstddef>

#include "base/json.h"

struct lua_State;

namespace lifeboat {

// Once for a state, before anything below.
void open_values(lua_State* lua);

void push_value(lua_State* lua, const Json& value);
void push_null(lua_State* lua);

// The list or map behind the view at `index`; nullptr where there is none.
const Json* viewed(lua_State* lua, int index);
bool is_null(lua_State* lua, int index);
bool is_secret_value(lua_State* lua, int index);
// "list", "map", "null", "secret", or Lua's own name of the type.
const char* type_of(lua_State* lua, int index);

// The value at `index` as JSON. A table with the keys 1…n is a list, with text keys a map, an empty one a list.
// Throws Error for what JSON cannot hold; ends the sandbox with limit_exceeded beyond `most_bytes`.
Json to_json(lua_State* lua, int index, std::size_t most_bytes);

// `ipairs` and `pairs` over views as well as tables.
int list_pairs(lua_State* lua);
int map_pairs(lua_State* lua);

}  // namespace lifeboat
