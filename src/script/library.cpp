#include "script/library.h"

#include <algorithm>
#include <cmath>
#include <lua.hpp>
#include <span>
#include <string_view>

#include <re2/re2.h>

#include "base/text.h"
#include "base/time.h"
#include "script/expression.h"
#include "script/sandbox.h"
#include "script/values.h"

namespace lifeboat {

namespace {

constexpr std::size_t most_compared = 1U << 20;

[[noreturn]] void fail(std::string message) {
    throw Error{ErrorCode::expression_failed, std::move(message)};
}

// Only real text, no numbers: `matches(3, …)` is a mistake. Valid until the function returns.
std::string_view text_argument(lua_State* lua, int index, const char* function) {
    if (lua_type(lua, index) != LUA_TSTRING) {
        fail("'" + std::string(function) + "' needs text as argument " + std::to_string(index) + ", not " +
             (lua_isnone(lua, index) ? "nothing" : type_of(lua, index)));
    }
    std::size_t length = 0;
    const char* bytes = lua_tolstring(lua, index, &length);
    return {bytes, length};
}

void push_text(lua_State* lua, std::string_view text) {
    lua_pushlstring(lua, text.data(), text.size());
}

int has(lua_State* lua) {
    bool found = false;
    if (const Json* view = viewed(lua, 1)) {
        if (view->is_object()) {
            found = view->contains(text_argument(lua, 2, "has"));
        } else {
            const lua_Integer index = luaL_checkinteger(lua, 2);
            found = index >= 1 && static_cast<std::size_t>(index) <= view->size();
        }
    } else if (lua_type(lua, 1) == LUA_TTABLE) {
        luaL_checkany(lua, 2);
        lua_pushvalue(lua, 2);
        found = lua_rawget(lua, 1) != LUA_TNIL;
    } else if (!is_null(lua, 1)) {
        fail(std::string("'has' needs a map or list as argument 1, not ") + type_of(lua, 1));
    }
    lua_pushboolean(lua, found ? 1 : 0);
    return 1;
}

int matches(lua_State* lua) {
    const std::string_view text = text_argument(lua, 1, "matches");
    const std::string_view pattern = text_argument(lua, 2, "matches");
    RE2::Options options;
    options.set_log_errors(false);
    if (!is_utf8(text) || !is_utf8(pattern)) options.set_encoding(RE2::Options::EncodingLatin1);
    const RE2 expression(re2::StringPiece(pattern.data(), pattern.size()), options);
    if (!expression.ok()) fail("'" + std::string(pattern) + "' is no regular expression: " + expression.error());
    lua_pushboolean(lua, RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), expression) ? 1 : 0);
    return 1;
}

int length(lua_State* lua) {
    std::size_t count = 0;
    if (const Json* view = viewed(lua, 1)) {
        count = view->size();
    } else if (lua_type(lua, 1) == LUA_TTABLE) {
        for (lua_pushnil(lua); lua_next(lua, 1) != 0; lua_pop(lua, 1))
            ++count;
    } else if (lua_type(lua, 1) == LUA_TSTRING) {
        count = characters(text_argument(lua, 1, "length"));
    } else {
        fail(std::string("'length' needs text, a list or a map, not ") + type_of(lua, 1));
    }
    lua_pushinteger(lua, static_cast<lua_Integer>(count));
    return 1;
}

template <char first, char last, int shift>
int change_case(lua_State* lua) {
    std::string text(text_argument(lua, 1, shift > 0 ? "lower" : "upper"));
    for (char& c : text) {
        if (c >= first && c <= last) c = static_cast<char>(c + shift);
    }
    push_text(lua, text);
    return 1;
}

int contains(lua_State* lua) {
    bool found = false;
    if (const Json* list = viewed(lua, 1); list != nullptr && list->is_array()) {
        const Json wanted = to_json(lua, 2, most_compared);
        if (is_secret_value(lua, 2)) fail("a secret cannot be compared");
        found = std::find(list->begin(), list->end(), wanted) != list->end();
    } else if (lua_type(lua, 1) == LUA_TTABLE) {
        luaL_checkany(lua, 2);
        for (lua_Integer i = 1; !found && lua_rawgeti(lua, 1, i) != LUA_TNIL; ++i) {
            found = lua_compare(lua, 2, -1, LUA_OPEQ) != 0;
            lua_pop(lua, 1);
        }
    } else if (lua_type(lua, 1) == LUA_TSTRING) {
        found = text_argument(lua, 1, "contains").find(text_argument(lua, 2, "contains")) != std::string_view::npos;
    } else {
        fail(std::string("'contains' needs a list or text as argument 1, not ") + type_of(lua, 1));
    }
    lua_pushboolean(lua, found ? 1 : 0);
    return 1;
}

int starts_with(lua_State* lua) {
    const bool holds = text_argument(lua, 1, "starts_with").starts_with(text_argument(lua, 2, "starts_with"));
    lua_pushboolean(lua, holds ? 1 : 0);
    return 1;
}

int ends_with(lua_State* lua) {
    const bool holds = text_argument(lua, 1, "ends_with").ends_with(text_argument(lua, 2, "ends_with"));
    lua_pushboolean(lua, holds ? 1 : 0);
    return 1;
}

std::string_view without_trailing_slashes(std::string_view path) {
    while (path.size() > 1 && path.ends_with('/'))
        path.remove_suffix(1);
    return path;
}

int basename_of(lua_State* lua) {
    std::string_view path = without_trailing_slashes(text_argument(lua, 1, "basename"));
    if (path.size() > 1) path = path.substr(path.rfind('/') + 1);
    push_text(lua, path);
    return 1;
}

int dirname_of(lua_State* lua) {
    const std::string_view path = without_trailing_slashes(text_argument(lua, 1, "dirname"));
    const std::size_t slash = path.rfind('/');
    if (slash == std::string_view::npos) {
        push_text(lua, ".");
    } else {
        push_text(lua, without_trailing_slashes(path.substr(0, slash + 1)));
    }
    return 1;
}

int seconds(lua_State* lua) {
    const std::string_view text = text_argument(lua, 1, "seconds");
    const auto duration = parse_duration(text);
    if (!duration) fail("'" + std::string(text) + "' is no duration such as 90s or 1h30m");
    constexpr std::int64_t per_second = 1'000'000;
    if (duration->count() % per_second == 0) {
        lua_pushinteger(lua, duration->count() / per_second);
    } else {
        lua_pushnumber(lua, static_cast<double>(duration->count()) / static_cast<double>(per_second));
    }
    return 1;
}

// Unlike Lua's own, gives no addresses: the same value has the same text in every run.
int to_text_of(lua_State* lua) {
    luaL_checkany(lua, 1);
    const int type = lua_type(lua, 1);
    if (type == LUA_TTABLE || type == LUA_TFUNCTION) fail(std::string("a ") + lua_typename(lua, type) + " has no text");
    luaL_tolstring(lua, 1, nullptr);
    return 1;
}

int type_name(lua_State* lua) {
    luaL_checkany(lua, 1);
    lua_pushstring(lua, type_of(lua, 1));
    return 1;
}

int no_such_field(lua_State* lua) {
    std::vector<std::string> names;
    for (lua_pushnil(lua); lua_next(lua, 1) != 0; lua_pop(lua, 1)) {
        if (lua_type(lua, -2) == LUA_TSTRING) names.emplace_back(lua_tostring(lua, -2));
    }
    const std::string wanted = lua_type(lua, 2) == LUA_TSTRING ? lua_tostring(lua, 2) : type_of(lua, 2);
    fail("'" + std::string(lua_tostring(lua, lua_upvalueindex(1))) + "' has no field '" + wanted + "'" +
         did_you_mean(wanted, names));
}

// Pushes what `open` makes, cut down to `names`; `name` is for the message about a field that is not there.
void push_part(lua_State* lua, const char* name, lua_CFunction open, std::span<const char* const> names) {
    lua_pushcfunction(lua, open);
    lua_call(lua, 0, 1);
    lua_createtable(lua, 0, static_cast<int>(names.size()));
    for (const char* field : names) {
        lua_getfield(lua, -2, field);
        lua_setfield(lua, -2, field);
    }
    lua_remove(lua, -2);
    lua_createtable(lua, 0, 1);
    lua_pushstring(lua, name);
    lua_pushcclosure(lua, &guarded<no_such_field>, 1);
    lua_setfield(lua, -2, "__index");
    lua_setmetatable(lua, -2);
}

// Takes `names` from Lua's base library into the table at the top.
void add_base(lua_State* lua, std::span<const char* const> names) {
    lua_pushcfunction(lua, luaopen_base);
    lua_call(lua, 0, 1);
    for (const char* name : names) {
        lua_getfield(lua, -1, name);
        lua_setfield(lua, -3, name);
    }
    lua_pop(lua, 1);
}

void add_string(lua_State* lua, std::span<const char* const> names) {
    push_part(lua, "string", luaopen_string, names);
    // luaopen_string made its full table the methods of every string
    lua_pushliteral(lua, "");
    lua_getmetatable(lua, -1);
    lua_pushvalue(lua, -3);
    lua_setfield(lua, -2, "__index");
    lua_pop(lua, 2);
    lua_setfield(lua, -2, "string");
}

constexpr const char* math_names[] = {"abs", "acos",       "asin", "atan", "ceil", "cos", "deg",
                                      "exp", "floor",      "fmod", "huge", "log",  "max", "maxinteger",
                                      "min", "mininteger", "modf", "pi",   "rad",  "sin", "sqrt",
                                      "tan", "tointeger",  "type", "ult"};
constexpr const char* string_names[] = {"byte", "char", "format", "len", "lower", "upper", "reverse", "sub"};
constexpr const char* script_string_names[] = {"byte",    "char",  "find",   "format", "gmatch", "gsub",
                                               "len",     "lower", "match",  "pack",   "rep",    "packsize",
                                               "reverse", "sub",   "unpack", "upper"};
constexpr const char* table_names[] = {"concat", "insert", "move", "pack", "remove", "sort", "unpack"};
constexpr const char* utf8_names[] = {"char", "charpattern", "codes", "codepoint", "len", "offset"};
constexpr const char* script_base_names[] = {"assert", "error", "next", "pcall", "select", "tonumber"};
constexpr const char* base_names[] = {"tonumber"};

constexpr luaL_Reg functions[] = {
    {"has", &guarded<has>},
    {"matches", &guarded<matches>},
    {"length", &guarded<length>},
    {"lower", &guarded<change_case<'A', 'Z', 'a' - 'A'>>},
    {"upper", &guarded<change_case<'a', 'z', 'A' - 'a'>>},
    {"contains", &guarded<contains>},
    {"starts_with", &guarded<starts_with>},
    {"ends_with", &guarded<ends_with>},
    {"basename", &guarded<basename_of>},
    {"dirname", &guarded<dirname_of>},
    {"seconds", &guarded<seconds>},
    {"tostring", &guarded<to_text_of>},
    {"type", &guarded<type_name>},
    {"ipairs", &guarded<list_pairs>},
    {"pairs", &guarded<map_pairs>},
    {nullptr, nullptr},
};

void push_common(lua_State* lua) {
    lua_createtable(lua, 0, 32);
    luaL_setfuncs(lua, functions, 0);
    push_null(lua);
    lua_setfield(lua, -2, "null");
    push_part(lua, "math", luaopen_math, math_names);
    lua_setfield(lua, -2, "math");
}

}  // namespace

void push_library(lua_State* lua) {
    push_common(lua);
    add_string(lua, string_names);
    add_base(lua, base_names);
}

void push_script_library(lua_State* lua) {
    push_common(lua);
    add_string(lua, script_string_names);
    add_base(lua, script_base_names);
    push_part(lua, "table", luaopen_table, table_names);
    lua_setfield(lua, -2, "table");
    push_part(lua, "utf8", luaopen_utf8, utf8_names);
    lua_setfield(lua, -2, "utf8");
}

const std::vector<std::string>& library_names() {
    static const std::vector<std::string> names = [] {
        std::vector<std::string> all{"math", "null", "string"};
        for (const luaL_Reg& function : functions) {
            if (function.name != nullptr) all.emplace_back(function.name);
        }
        for (const char* name : base_names)
            all.emplace_back(name);
        std::sort(all.begin(), all.end());
        return all;
    }();
    return names;
}

}  // namespace lifeboat
