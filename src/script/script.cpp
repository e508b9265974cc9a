#include "script/script.h"

#include <lua.hpp>

#include "base/text.h"
#include "script/library.h"
#include "script/sandbox.h"
#include "script/values.h"

namespace lifeboat {

namespace {

using Log = std::function<void(std::string_view)>;

std::string_view text_argument(lua_State* lua) {
    std::size_t length = 0;
    const char* bytes = luaL_checklstring(lua, 1, &length);
    return {bytes, length};
}

int log_text(lua_State* lua) {
    const auto& log = *static_cast<const Log*>(lua_touserdata(lua, lua_upvalueindex(1)));
    if (log) log(text_argument(lua));
    return 0;
}

// Not to be caught by the script's own pcall: who says `fail` means it.
int fail_script(lua_State* lua) {
    luaL_where(lua, 1);
    const std::string message = lua_tostring(lua, -1) + std::string(text_argument(lua));
    Sandbox::of(lua).end(Error{ErrorCode::script_failed, printable(message, true)});
}

// __index of the globals: the scope. What is in neither of them is a misspelling.
int look_up(lua_State* lua) {
    const Json& scope = Sandbox::of(lua).scope();
    const std::string name = luaL_checkstring(lua, 2);
    if (const auto found = scope.find(name); found != scope.end()) {
        push_value(lua, *found);
        return 1;
    }
    std::vector<std::string> names;
    for (const auto& [key, value] : scope.items())
        names.push_back(key);
    for (lua_pushnil(lua); lua_next(lua, 1) != 0; lua_pop(lua, 1)) {
        if (lua_type(lua, -2) == LUA_TSTRING) names.emplace_back(lua_tostring(lua, -2));
    }
    throw Error{ErrorCode::script_failed, "unknown name '" + name + "'" + did_you_mean(name, names)};
}

int define(lua_State* lua) {
    const std::string name = luaL_checkstring(lua, 2);
    if (Sandbox::of(lua).scope().contains(name)) throw Error{ErrorCode::script_failed, "'" + name + "' is read-only"};
    lua_rawset(lua, 1);
    return 0;
}

void push_globals(lua_State* lua, const Log& log) {
    push_script_library(lua);
    lua_newtable(lua);
    lua_setfield(lua, -2, "outputs");
    lua_pushlightuserdata(lua, const_cast<Log*>(&log));
    lua_pushcclosure(lua, &guarded<log_text>, 1);
    lua_setfield(lua, -2, "log");
    lua_pushcfunction(lua, &guarded<fail_script>);
    lua_setfield(lua, -2, "fail");
    lua_createtable(lua, 0, 2);
    lua_pushcfunction(lua, &guarded<look_up>);
    lua_setfield(lua, -2, "__index");
    lua_pushcfunction(lua, &guarded<define>);
    lua_setfield(lua, -2, "__newindex");
    lua_setmetatable(lua, -2);
}

}  // namespace

Json run_script(std::string_view source, std::string_view name, const Json& scope, const ScriptLimits& limits,
                const Log& log) {
    if (!scope.is_object()) throw Error{ErrorCode::internal, "the scope of a script is no map"};
    Json outputs;
    try {
        Sandbox sandbox({.memory = limits.memory, .instructions = limits.instructions, .time = std::nullopt}, scope,
                        ErrorCode::script_failed);
        sandbox.run([&](lua_State* lua) {
            open_values(lua);
            push_globals(lua, log);
            const std::string chunk_name = "=" + std::string(name);
            if (luaL_loadbufferx(lua, source.data(), source.size(), chunk_name.c_str(), "t") != LUA_OK) lua_error(lua);
            lua_pushvalue(lua, 1);
            lua_setupvalue(lua, -2, 1);
            lua_call(lua, 0, 0);
            lua_pushliteral(lua, "outputs");
            lua_rawget(lua, 1);
            outputs = to_json(lua, -1, limits.memory.count);
        });
    } catch (Error& error) {
        if (error.code == ErrorCode::limit_exceeded) error.message = std::string(name) + ": " + error.message;
        throw;
    }
    if (outputs.is_array() && outputs.empty()) return Json::object();
    if (!outputs.is_object())
        throw Error{ErrorCode::script_failed, std::string(name) + ": 'outputs' is no map of names and values"};
    return outputs;
}

}  // namespace lifeboat
