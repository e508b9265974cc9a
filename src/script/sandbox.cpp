#include "script/sandbox.h"

#include <cstdlib>
#include <cstring>
#include <lua.hpp>

#include "base/text.h"

namespace lifeboat {

namespace {

constexpr int instructions_between_looks = 1000;

int call_body(lua_State* lua) {
    const auto* body = static_cast<const std::function<void(lua_State*)>*>(lua_touserdata(lua, 1));
    lua_settop(lua, 0);
    (*body)(lua);
    return 0;
}

std::string message_at_top(lua_State* lua) {
    if (lua_type(lua, -1) != LUA_TSTRING) return "an error value of type " + std::string(luaL_typename(lua, -1));
    std::size_t length = 0;
    const char* text = lua_tolstring(lua, -1, &length);
    return printable(std::string_view(text, length), true);
}

}  // namespace

Sandbox::Sandbox(const SandboxLimits& limits, const Json& scope, ErrorCode failure)
    : limits_(limits),
      scope_(scope),
      failure_(failure),
      started_(SystemClock().steady()),
      lua_(lua_newstate(&Sandbox::allocate, this)) {
    if (lua_ == nullptr) throw Error{ErrorCode::limit_exceeded, "no memory to start Lua"};
    Sandbox* self = this;
    std::memcpy(lua_getextraspace(lua_), &self, sizeof self);  // NOLINT(bugprone-sizeof-expression)
    lua_sethook(lua_, &Sandbox::count, LUA_MASKCOUNT, instructions_between_looks);
}

Sandbox::~Sandbox() {
    lua_sethook(lua_, nullptr, 0, 0);
    lua_close(lua_);
}

Sandbox& Sandbox::of(lua_State* lua) {
    Sandbox* sandbox = nullptr;
    std::memcpy(&sandbox, lua_getextraspace(lua), sizeof sandbox);  // NOLINT(bugprone-sizeof-expression)
    return *sandbox;
}

void Sandbox::run(const std::function<void(lua_State*)>& body) {
    lua_settop(lua_, 0);
    lua_pushcfunction(lua_, &guarded<call_body>);
    lua_pushlightuserdata(lua_, const_cast<std::function<void(lua_State*)>*>(&body));
    const int status = lua_pcall(lua_, 1, 0, 0);
    if (ending_) throw *ending_;
    if (status == LUA_OK) return;
    if (status == LUA_ERRMEM) {
        throw Error{ErrorCode::limit_exceeded, "it needs more than " + to_text(limits_.memory) + " of memory"};
    }
    throw Error{failure_, message_at_top(lua_)};
}

void Sandbox::end(Error why) {
    if (!ending_) ending_ = std::move(why);
    // from here on the hook runs before every instruction: code behind a pcall gets no further than its first
    lua_sethook(lua_, &Sandbox::count, LUA_MASKCOUNT, 1);
    lua_pushliteral(lua_, "ended");
    raise(lua_);
}

void* Sandbox::allocate(void* sandbox, void* block, std::size_t old_size, std::size_t new_size) {
    auto& self = *static_cast<Sandbox*>(sandbox);
    if (block == nullptr) old_size = 0;  // holds the kind of the new object instead
    if (new_size == 0) {
        std::free(block);
        self.used_ -= old_size;
        return nullptr;
    }
    if (new_size > old_size && new_size - old_size > self.limits_.memory.count - self.used_) return nullptr;
    void* moved = std::realloc(block, new_size);
    if (moved != nullptr) self.used_ = self.used_ - old_size + new_size;
    return moved;
}

void Sandbox::count(lua_State* lua, lua_Debug*) {
    Sandbox& self = of(lua);
    if (self.ending_) self.end(*self.ending_);
    self.executed_ += instructions_between_looks;
    if (self.executed_ > self.limits_.instructions) {
        self.end(Error{ErrorCode::limit_exceeded,
                       "it runs for more than " + std::to_string(self.limits_.instructions) + " instructions"});
    }
    if (self.limits_.time && SystemClock().steady() - self.started_ > *self.limits_.time) {
        self.end(Error{ErrorCode::limit_exceeded, "it runs for longer than " + to_text(*self.limits_.time)});
    }
}

void push_message(lua_State* lua, const std::exception& error) {
    luaL_where(lua, 1);
    lua_pushstring(lua, error.what());
    lua_concat(lua, 2);
}

void raise(lua_State* lua) {
    lua_error(lua);
    std::abort();  // lua_error does not return, but its declaration does not say so
}

}  // namespace lifeboat
