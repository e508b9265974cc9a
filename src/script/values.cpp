#include "script/values.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <lua.hpp>
#include <new>
#include <vector>

#include "base/secret.h"
#include "base/text.h"
#include "script/sandbox.h"
#include "script/secret_text.h"

namespace lifeboat {

namespace {

constexpr const char* list_type = "list";
constexpr const char* map_type = "map";
constexpr const char* null_type = "null";
constexpr const char* secret_type = "secret";
constexpr int deepest = 100;

[[noreturn]] void fail(std::string message) {
    throw Error{ErrorCode::expression_failed, std::move(message)};
}

// Where `wanted` stands in the scope: `steps.fetch.outputs`, `hosts[2]`. Looked for only when there is an error to
// explain.
bool find_path(const Json& value, const Json* wanted, std::string& path) {
    if (&value == wanted) return true;
    const std::size_t length = path.size();
    if (value.is_object()) {
        for (const auto& [key, item] : value.items()) {
            if (!item.is_structured()) continue;
            if (!path.empty()) path += '.';
            path += key;
            if (find_path(item, wanted, path)) return true;
            path.resize(length);
        }
    } else if (value.is_array()) {
        for (std::size_t i = 0; i < value.size(); ++i) {
            if (!value[i].is_structured()) continue;
            path += "[" + std::to_string(i + 1) + "]";
            if (find_path(value[i], wanted, path)) return true;
            path.resize(length);
        }
    }
    return false;
}

std::string quoted_path(lua_State* lua, const Json& value) {
    std::string path;
    if (!find_path(Sandbox::of(lua).scope(), &value, path) || path.empty())
        return value.is_array() ? "the list" : "the map";
    return "'" + path + "'";
}

// Scripts can get hold of an iterator and call it with anything.
const Json& view_at(lua_State* lua, int index) {
    const Json* view = viewed(lua, index);
    if (view == nullptr) fail(std::string("a list or map was expected where a ") + type_of(lua, index) + " stands");
    return *view;
}

const Json& secret_at(lua_State* lua, int index) {
    return *static_cast<const Json*>(lua_touserdata(lua, index));
}

std::string text_at(lua_State* lua, int index) {
    std::size_t length = 0;
    lua_pushvalue(lua, index);  // numbers are converted in place
    const char* bytes = lua_tolstring(lua, -1, &length);
    std::string text = bytes != nullptr ? std::string(bytes, length) : std::string();
    lua_pop(lua, 1);
    return text;
}

int index_list(lua_State* lua) {
    const Json& list = view_at(lua, 1);
    if (lua_type(lua, 2) != LUA_TNUMBER) {
        const std::string key =
            lua_type(lua, 2) == LUA_TSTRING ? "field '" + text_at(lua, 2) + "'" : std::string("such field");
        fail(quoted_path(lua, list) + " is a list, it has no " + key);
    }
    int whole = 0;
    const lua_Integer index = lua_tointegerx(lua, 2, &whole);
    if (whole == 0 || index < 1 || static_cast<std::size_t>(index) > list.size()) {
        fail(quoted_path(lua, list) + " has " + counted(list.size(), "item") + ", there is no item " + text_at(lua, 2));
    }
    push_value(lua, list[static_cast<std::size_t>(index) - 1]);
    return 1;
}

int index_map(lua_State* lua) {
    const Json& map = view_at(lua, 1);
    if (lua_type(lua, 2) != LUA_TSTRING) fail(quoted_path(lua, map) + " is a map, its fields have names");
    const std::string key = text_at(lua, 2);
    const auto found = map.find(key);
    if (found == map.end()) {
        std::vector<std::string> names;
        for (const auto& [name, item] : map.items())
            names.push_back(name);
        fail(quoted_path(lua, map) + " has no field '" + key + "'" + did_you_mean(key, names));
    }
    push_value(lua, *found);
    return 1;
}

int refuse_change(lua_State* lua) {
    fail(quoted_path(lua, view_at(lua, 1)) + " is read-only");
}

int measure_list(lua_State* lua) {
    lua_pushinteger(lua, static_cast<lua_Integer>(view_at(lua, 1).size()));
    return 1;
}

int measure_map(lua_State* lua) {
    fail(quoted_path(lua, view_at(lua, 1)) + " is a map: count its fields with length(…)");
}

int equal_views(lua_State* lua) {
    const Json* left = viewed(lua, 1);
    const Json* right = viewed(lua, 2);
    if (is_secret_value(lua, 1) || is_secret_value(lua, 2)) fail("a secret cannot be compared");
    lua_pushboolean(lua, left != nullptr && right != nullptr && *left == *right);
    return 1;
}

int view_to_text(lua_State* lua) {
    const std::string text = to_text(view_at(lua, 1));
    lua_pushlstring(lua, text.data(), text.size());
    return 1;
}

int next_item(lua_State* lua) {
    const Json& list = view_at(lua, 1);
    const lua_Integer next = luaL_checkinteger(lua, 2) + 1;
    if (next < 1 || static_cast<std::size_t>(next) > list.size()) {
        lua_pushnil(lua);
        return 1;
    }
    lua_pushinteger(lua, next);
    push_value(lua, list[static_cast<std::size_t>(next) - 1]);
    return 2;
}

int next_field(lua_State* lua) {
    const auto& fields = view_at(lua, 1).get_ref<const Json::object_t&>();
    const auto next = lua_isnoneornil(lua, 2) ? fields.begin() : fields.upper_bound(text_at(lua, 2));
    if (next == fields.end()) {
        lua_pushnil(lua);
        return 1;
    }
    lua_pushlstring(lua, next->first.data(), next->first.size());
    push_value(lua, next->second);
    return 2;
}

int next_of_table(lua_State* lua) {
    luaL_checktype(lua, 1, LUA_TTABLE);
    lua_settop(lua, 2);
    return lua_next(lua, 1) != 0 ? 2 : (lua_pushnil(lua), 1);
}

int next_of_array(lua_State* lua) {
    const lua_Integer next = luaL_checkinteger(lua, 2) + 1;
    lua_pushinteger(lua, next);
    return lua_geti(lua, 1, next) == LUA_TNIL ? 1 : 2;
}

int null_to_text(lua_State* lua) {
    lua_pushliteral(lua, "null");
    return 1;
}

void push_secret(lua_State* lua, const Json& reference) {
    void* memory = lua_newuserdatauv(lua, sizeof(Json), 0);
    new (memory) Json(reference);
    luaL_setmetatable(lua, secret_type);
}

int destroy_secret(lua_State* lua) {
    static_cast<Json*>(lua_touserdata(lua, 1))->~Json();
    return 0;
}

int join_values(lua_State* lua) {
    std::vector<Json> parts;
    for (const int index : {1, 2}) {
        if (is_secret_value(lua, index)) {
            parts.push_back(secret_at(lua, index));
        } else if (lua_type(lua, index) == LUA_TSTRING || lua_type(lua, index) == LUA_TNUMBER) {
            parts.emplace_back(text_at(lua, index));
        } else {
            fail(std::string("a secret cannot be joined with a value of type ") + type_of(lua, index));
        }
    }
    push_secret(lua, join_secret(parts));
    return 1;
}

// What else could be done with a secret: the closure's text says it.
int refuse_secret(lua_State* lua) {
    fail("a secret cannot be " + std::string(lua_tostring(lua, lua_upvalueindex(1))) +
         ": it can only be passed on or joined with '..'");
}

void set_function(lua_State* lua, const char* name, lua_CFunction function) {
    lua_pushcfunction(lua, function);
    lua_setfield(lua, -2, name);
}

void open_views(lua_State* lua) {
    luaL_newmetatable(lua, list_type);
    set_function(lua, "__index", &guarded<index_list>);
    set_function(lua, "__newindex", &guarded<refuse_change>);
    set_function(lua, "__len", &guarded<measure_list>);
    set_function(lua, "__eq", &guarded<equal_views>);
    set_function(lua, "__pairs", &guarded<list_pairs>);
    set_function(lua, "__tostring", &guarded<view_to_text>);
    luaL_newmetatable(lua, map_type);
    set_function(lua, "__index", &guarded<index_map>);
    set_function(lua, "__newindex", &guarded<refuse_change>);
    set_function(lua, "__len", &guarded<measure_map>);
    set_function(lua, "__eq", &guarded<equal_views>);
    set_function(lua, "__pairs", &guarded<map_pairs>);
    set_function(lua, "__tostring", &guarded<view_to_text>);
    lua_pop(lua, 2);
}

constexpr char null_key = 0;  // its address is the registry key of the one `null`

void open_null(lua_State* lua) {
    lua_newuserdatauv(lua, 0, 0);
    luaL_newmetatable(lua, null_type);
    set_function(lua, "__tostring", &guarded<null_to_text>);
    lua_setmetatable(lua, -2);
    lua_rawsetp(lua, LUA_REGISTRYINDEX, &null_key);
}

void open_secrets(lua_State* lua) {
    struct Refusal {
        const char* event;
        const char* verb;
    };
    constexpr Refusal refusals[] = {
        {"__index", "looked into"},
        {"__newindex", "changed"},
        {"__call", "called"},
        {"__len", "measured"},
        {"__tostring", "turned into text"},
        {"__eq", "compared"},
        {"__lt", "compared"},
        {"__le", "compared"},
        {"__pairs", "looked into"},
        {"__add", "calculated with"},
        {"__sub", "calculated with"},
        {"__mul", "calculated with"},
        {"__div", "calculated with"},
        {"__mod", "calculated with"},
        {"__pow", "calculated with"},
        {"__unm", "calculated with"},
        {"__idiv", "calculated with"},
        {"__band", "calculated with"},
        {"__bor", "calculated with"},
        {"__bxor", "calculated with"},
        {"__bnot", "calculated with"},
        {"__shl", "calculated with"},
        {"__shr", "calculated with"},
    };
    luaL_newmetatable(lua, secret_type);
    for (const auto& [event, verb] : refusals) {
        lua_pushstring(lua, verb);
        lua_pushcclosure(lua, &guarded<refuse_secret>, 1);
        lua_setfield(lua, -2, event);
    }
    set_function(lua, "__concat", &guarded<join_values>);
    set_function(lua, "__gc", &guarded<destroy_secret>);
    lua_pop(lua, 1);
}

// One conversion from Lua: what has been made so far, and the tables it is inside of.
class Conversion {
  public:
    Conversion(lua_State* lua, std::size_t most_bytes) : lua_(lua), most_bytes_(most_bytes) {}

    Json convert(int index) {
        spend(sizeof(Json));
        switch (lua_type(lua_, index)) {
            case LUA_TNIL:
                return nullptr;
            case LUA_TBOOLEAN:
                return lua_toboolean(lua_, index) != 0;
            case LUA_TNUMBER:
                return number(index);
            case LUA_TSTRING: {
                std::string text = text_at(lua_, index);
                spend(text.size());
                return text;
            }
            case LUA_TTABLE:
                return table(lua_absindex(lua_, index));
            default:
                break;
        }
        if (is_null(lua_, index)) return nullptr;
        if (is_secret_value(lua_, index)) return secret_at(lua_, index);
        const Json* view = viewed(lua_, index);
        if (view == nullptr) fail(std::string("a ") + type_of(lua_, index) + " is no value that could be given back");
        measure(*view);
        return *view;
    }

  private:
    void spend(std::size_t bytes) {
        spent_ += bytes;
        if (spent_ > most_bytes_) {
            Sandbox::of(lua_).end(
                Error{ErrorCode::limit_exceeded, "its result is larger than " + to_text(Bytes{most_bytes_})});
        }
    }

    void measure(const Json& value) {
        spend(sizeof(Json));
        if (value.is_string()) spend(value.get_ref<const std::string&>().size());
        if (value.is_object()) {
            for (const auto& [key, item] : value.get_ref<const Json::object_t&>())
                spend(key.size());
        }
        if (value.is_structured()) {
            for (const Json& item : value)
                measure(item);
        }
    }

    Json number(int index) {
        if (lua_isinteger(lua_, index) != 0) return static_cast<std::int64_t>(lua_tointegerx(lua_, index, nullptr));
        const double value = lua_tonumberx(lua_, index, nullptr);
        if (!std::isfinite(value)) fail("the result of a calculation is no finite number");
        return value;
    }

    Json table(int index) {
        const void* self = lua_topointer(lua_, index);
        if (std::find(inside_.begin(), inside_.end(), self) != inside_.end())
            fail("a table that contains itself is no value");
        if (inside_.size() >= deepest) fail("a table is nested deeper than " + std::to_string(deepest) + " levels");
        luaL_checkstack(lua_, 4, "too deep");
        inside_.push_back(self);
        Json value = is_map(index) ? map(index) : list(index);
        inside_.pop_back();
        return value;
    }

    bool is_map(int index) {
        std::size_t named = 0;
        std::size_t numbered = 0;
        lua_pushnil(lua_);
        while (lua_next(lua_, index) != 0) {
            lua_pop(lua_, 1);
            if (lua_type(lua_, -1) == LUA_TSTRING) {
                ++named;
            } else if (lua_isinteger(lua_, -1) != 0) {
                ++numbered;
            } else {
                fail(std::string("a table with keys of type ") + type_of(lua_, -1) + " is no list or map");
            }
        }
        if (named > 0 && numbered > 0) fail("a table with both names and numbers as keys is no list or map");
        return named > 0;
    }

    Json map(int index) {
        Json fields = Json::object();
        lua_pushnil(lua_);
        while (lua_next(lua_, index) != 0) {
            std::string key = text_at(lua_, -2);
            spend(key.size());
            fields[std::move(key)] = convert(-1);
            lua_pop(lua_, 1);
        }
        // data must not become a reference to a secret by looking like one
        if (is_secret(fields))
            fail("a map with nothing but the field 'secret' stands for a secret and cannot be made here");
        return fields;
    }

    Json list(int index) {
        std::size_t count = 0;
        lua_pushnil(lua_);
        while (lua_next(lua_, index) != 0) {
            lua_pop(lua_, 1);
            ++count;
        }
        Json items = Json::array();
        for (std::size_t i = 1; i <= count; ++i) {
            if (lua_rawgeti(lua_, index, static_cast<lua_Integer>(i)) == LUA_TNIL) fail("a list has gaps");
            items.push_back(convert(-1));
            lua_pop(lua_, 1);
        }
        return items;
    }

    lua_State* lua_;
    std::size_t most_bytes_;
    std::size_t spent_ = 0;
    std::vector<const void*> inside_;
};

}  // namespace

void open_values(lua_State* lua) {
    open_views(lua);
    open_null(lua);
    open_secrets(lua);
}

void push_null(lua_State* lua) {
    lua_rawgetp(lua, LUA_REGISTRYINDEX, &null_key);
}

void push_value(lua_State* lua, const Json& value) {
    luaL_checkstack(lua, 3, "too many values");
    switch (value.type()) {
        case Json::value_t::null:
            return push_null(lua);
        case Json::value_t::boolean:
            return lua_pushboolean(lua, value.get<bool>() ? 1 : 0);
        case Json::value_t::number_integer:
            return lua_pushinteger(lua, value.get<std::int64_t>());
        case Json::value_t::number_unsigned:
            if (value.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
                return lua_pushnumber(lua, value.get<double>());
            }
            return lua_pushinteger(lua, value.get<std::int64_t>());
        case Json::value_t::number_float:
            return lua_pushnumber(lua, value.get<double>());
        case Json::value_t::string: {
            const auto& text = value.get_ref<const std::string&>();
            lua_pushlstring(lua, text.data(), text.size());
            return;
        }
        case Json::value_t::object:
        case Json::value_t::array: {
            if (is_secret(value)) return push_secret(lua, value);
            *static_cast<const Json**>(lua_newuserdatauv(lua, sizeof(const Json*), 0)) = &value;
            luaL_setmetatable(lua, value.is_array() ? list_type : map_type);
            return;
        }
        case Json::value_t::binary:
        case Json::value_t::discarded:
            break;
    }
    fail("a value of type " + std::string(value.type_name()) + " cannot be used here");
}

const Json* viewed(lua_State* lua, int index) {
    void* view = luaL_testudata(lua, index, list_type);
    if (view == nullptr) view = luaL_testudata(lua, index, map_type);
    return view == nullptr ? nullptr : *static_cast<const Json**>(view);
}

bool is_null(lua_State* lua, int index) {
    return luaL_testudata(lua, index, null_type) != nullptr;
}

bool is_secret_value(lua_State* lua, int index) {
    return luaL_testudata(lua, index, secret_type) != nullptr;
}

const char* type_of(lua_State* lua, int index) {
    for (const char* name : {list_type, map_type, null_type, secret_type}) {
        if (luaL_testudata(lua, index, name) != nullptr) return name;
    }
    return luaL_typename(lua, index);
}

Json to_json(lua_State* lua, int index, std::size_t most_bytes) {
    return Conversion(lua, most_bytes).convert(index);
}

int list_pairs(lua_State* lua) {
    const Json* view = viewed(lua, 1);
    if (view != nullptr && !view->is_array()) fail(quoted_path(lua, *view) + " is a map: go through it with pairs(…)");
    if (view == nullptr) luaL_checktype(lua, 1, LUA_TTABLE);
    lua_settop(lua, 1);
    lua_pushcfunction(lua, view != nullptr ? &guarded<next_item> : &guarded<next_of_array>);
    lua_insert(lua, 1);
    lua_pushinteger(lua, 0);
    return 3;
}

int map_pairs(lua_State* lua) {
    const Json* view = viewed(lua, 1);
    if (view != nullptr && view->is_array()) return list_pairs(lua);
    if (is_secret_value(lua, 1)) fail("a secret cannot be looked into");
    if (view == nullptr) luaL_checktype(lua, 1, LUA_TTABLE);
    lua_settop(lua, 1);
    lua_pushcfunction(lua, view != nullptr ? &guarded<next_field> : &guarded<next_of_table>);
    lua_insert(lua, 1);
    lua_pushnil(lua);
    return 3;
}

}  // namespace lifeboat
