#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>

#include "actions/lua_child.h"
#include "unit/actions/deed_world.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

// This test program is also the one that `lua:` steps start, as the real binary is.
const bool was_child = [] {
    std::ifstream file("/proc/self/cmdline", std::ios::binary);
    const std::string line{std::istreambuf_iterator<char>(file), {}};
    if (line.ends_with(std::string("\0__lua\0", 7))) {
        const int code = lua_child_main();
        std::_Exit(code);
    };
    return false;
}();

struct LuaWorld : DeedWorld {
    ActionList actions = basic_actions(world());
    const Action& lua = action_named(actions, "lua");

    Json script(const std::string& source, Json arguments = Json::object()) {
        write_text(run_folder() / "scripts" / "deep" / "s.lua", source);
        return {{"script", "deep/s.lua"}, {"arguments", std::move(arguments)}};
    }
};

}  // namespace

TEST_CASE("a script reads its arguments, logs, and leaves outputs") {
    REQUIRE_FALSE(was_child);
    LuaWorld here;
    Json arguments =
        here.script("log('step ' .. run.step)\noutputs.total = arguments.a + arguments.b\noutputs.run = run.id",
                    {{"a", 2}, {"b", 40}});
    arguments["outputs"] = {{"total", "integer"}, {"run", "text"}};
    CHECK(here.run(here.lua, arguments) == Json{{"total", 42}, {"run", "run-1"}});
    CHECK(here.log == std::vector<std::string>{"step step"});
    CHECK(here.children.size() == 1);
}

TEST_CASE("a script that fails says where") {
    LuaWorld here;
    const Error failed = here.error_of(here.lua, here.script("local x = 1\nfail('no window is free')"));
    CHECK(failed.code == ErrorCode::script_failed);
    CHECK(failed.message == "deep/s.lua:2: no window is free");
    CHECK(here.error_of(here.lua, here.script("this is no lua")).code == ErrorCode::script_failed);
    CHECK(here.error_of(here.lua, {{"script", "absent.lua"}}).code == ErrorCode::not_found);

    Json undeclared = here.script("outputs.x = 1");
    CHECK(here.error_of(here.lua, undeclared).message == "'deep/s.lua' left an output 'x' that is not declared");
}

TEST_CASE("R36 a script that uses too much ends") {
    LuaWorld here;
    CHECK(here.error_of(here.lua, here.script("local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) end")).code ==
          ErrorCode::limit_exceeded);
    CHECK(here.error_of(here.lua, here.script("while true do pcall(function() while true do end end) end")).code ==
          ErrorCode::limit_exceeded);
}

TEST_CASE("R36 a script reaches neither files nor programs") {
    LuaWorld here;
    for (const std::string source : {"os.execute('true')", "io.open('/etc/passwd')", "require('os')",
                                     "dofile('/etc/passwd')", "debug.getinfo(1)", "load('\\27Lua')()"})
        CHECK(here.error_of(here.lua, here.script(source)).code == ErrorCode::script_failed);
}

TEST_CASE("a script that probes has to say whether it is done") {
    LuaWorld here;
    const auto probe = [&](const std::string& source) {
        Json arguments = here.script("return");
        arguments["outputs"] = {{"n", "integer"}};
        arguments["probe"] = here.script(source);
        Context context = here.context(here.lua, arguments);
        return here.lua.probe(here.lua.prepare(context), {}, context);
    };
    const ProbeResult done = probe("outputs.done = true outputs.n = 3");
    CHECK(done.answer == ProbeResult::Answer::done);
    CHECK(done.outputs == Json{{"n", 3}});
    CHECK(done.evidence == "'deep/s.lua' says that it is done");
    CHECK(probe("outputs.done = false").answer == ProbeResult::Answer::not_done);
    CHECK(probe("outputs.n = 3").answer == ProbeResult::Answer::cannot_tell);
    CHECK(probe("fail('nobody knows')").answer == ProbeResult::Answer::cannot_tell);
}

TEST_CASE("a script may be undone by a program") {
    LuaWorld here;
    const std::string mark = here.folder / "mark";
    Json arguments = here.script("return");
    arguments["undo"] = {{"argv", {"touch", mark}}};
    Context context = here.context(here.lua, arguments);
    CHECK(here.lua.undo(here.lua.prepare(context), {}, context) == "ran its undo, 'touch'");
    CHECK(std::filesystem::exists(mark));
}
