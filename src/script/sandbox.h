// One Lua state with limits of memory, instructions and time. When a limit is reached the state is *ended*: every
// further instruction raises the same error, so that no pcall can swallow it. The scope must outlive the sandbox. Not
// thread-safe.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "base/size.h"
#include "base/time.h"

struct lua_State;
struct lua_Debug;

namespace lifeboat {

struct SandboxLimits {
    Bytes memory;
    long instructions = 0;
    std::optional<Duration> time;  // looked at every 1000 instructions: does not stop a C function
};

class Sandbox {
  public:
    // `scope` is what the names of the code mean, `failure` the code of its ordinary errors.
    Sandbox(const SandboxLimits& limits, const Json& scope, ErrorCode failure);
    ~Sandbox();
    Sandbox(const Sandbox&) = delete;
    Sandbox& operator=(const Sandbox&) = delete;

    // Calls `body` with errors of Lua and exceptions turned into Error: `failure`, or limit_exceeded.
    void run(const std::function<void(lua_State*)>& body);

    static Sandbox& of(lua_State* lua);
    const Json& scope() const { return scope_; }
    // From inside `body`: ends the state for good, then raises.
    [[noreturn]] void end(Error why);

  private:
    static void* allocate(void* sandbox, void* block, std::size_t old_size, std::size_t new_size);
    static void count(lua_State* lua, lua_Debug* activation);

    SandboxLimits limits_;
    const Json& scope_;
    ErrorCode failure_;
    std::size_t used_ = 0;  // bytes
    long executed_ = 0;     // instructions
    SteadyTime started_;
    std::optional<Error> ending_;
    lua_State* lua_;
};

// Exceptions must not pass through Lua, which would take them for its own and lose their text: every C++ function that
// Lua calls is registered as guarded<function>. Lua's own errors pass (they are no std::exception).
void push_message(lua_State* lua, const std::exception& error);
[[noreturn]] void raise(lua_State* lua);

template <int (*function)(lua_State*)>
int guarded(lua_State* lua) {
    try {
        return function(lua);
    } catch (const std::exception& error) {
        push_message(lua, error);
    }
    raise(lua);
}

}  // namespace lifeboat
