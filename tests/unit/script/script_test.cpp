#include "script/script.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "base/error.h"

using namespace lifeboat;

namespace {

const Json& scope() {
    static const Json value = parse_json(
        R"({"inputs": {"name": "orders", "count": 3}, "hosts": ["a", "b"], "secrets": {"pw": {"secret": "pw"}}})",
        "scope");
    return value;
}

Json run(std::string_view source, ScriptLimits limits = {}) {
    return run_script(source, "check.lua", scope(), limits, [](std::string_view) {});
}

std::string outputs(std::string_view source) {
    return to_text(run(source));
}

std::string failure(std::string_view source, ScriptLimits limits = {}) {
    try {
        return "no failure: " + to_text(run(source, limits));
    } catch (const Error& error) {
        return std::string(info(error.code).name) + ": " + error.message;
    }
}

constexpr ScriptLimits small{.memory = Bytes{8U << 20}, .instructions = 1'000'000};

}  // namespace

TEST_CASE("a script fills its outputs") {
    CHECK(outputs("") == "{}");
    CHECK(outputs("outputs.x = inputs.count + 1; outputs.list = {1, 2}") == R"({"list":[1,2],"x":4})");
    CHECK(outputs("outputs = {whole = hosts}") == R"({"whole":["a","b"]})");
    CHECK(outputs("local function twice(x) return 2 * x end\nfor i = 1, 3 do outputs['n' .. i] = twice(i) end") ==
          R"({"n1":2,"n2":4,"n3":6})");
    CHECK(outputs("outputs.url = 'x:' .. secrets.pw") == R"({"url":{"secret":["x:",{"secret":"pw"}]}})");
}

TEST_CASE("a script goes through lists and maps") {
    CHECK(
        outputs("local t = {} for i, h in ipairs(hosts) do t[#t + 1] = i .. h end outputs.t = table.concat(t, ',')") ==
        R"({"t":"1a,2b"})");
    CHECK(outputs("local t = {} for k, v in pairs(inputs) do t[#t + 1] = k .. '=' .. v end outputs.t = t") ==
          R"({"t":["count=3","name=orders"]})");
    CHECK(outputs("local n = 0 for k, v in pairs({a = 1, b = 2}) do n = n + v end outputs.n = n") == R"({"n":3})");
    CHECK(outputs("local n = 0 for _, v in ipairs({1, 2, nil, 4}) do n = n + v end outputs.n = n") == R"({"n":3})");
    CHECK(outputs("outputs.all = table.concat(hosts, '+')") == R"({"all":"a+b"})");
    CHECK(outputs("outputs.a, outputs.b = table.unpack(hosts)") == R"({"a":"a","b":"b"})");
}

TEST_CASE("a script has patterns, tables, utf8 and protected calls") {
    CHECK(outputs("outputs.x = ('a-b'):gsub('-', '+')") == R"({"x":"a+b"})");
    CHECK(outputs("outputs.ok, outputs.why = pcall(error, 'no', 0)") == R"({"ok":false,"why":"no"})");
    CHECK(outputs("outputs.n = utf8.len('grün')") == R"({"n":4})");
    CHECK(outputs("local t = {3, 1, 2} table.sort(t) outputs.t = t") == R"({"t":[1,2,3]})");
    CHECK(outputs("outputs.n = select('#', 1, 2)") == R"({"n":2})");
    CHECK(outputs("outputs.m = matches('abc', 'b')") == R"({"m":true})");
    CHECK(outputs("string.trim = function(s) return 'T' .. s end outputs.x = ('a'):trim()") == R"({"x":"Ta"})");
}

TEST_CASE("a script's log goes out line by line") {
    std::vector<std::string> lines;
    run_script("log('one') log('t' .. 2)", "x.lua", scope(), {},
               [&](std::string_view line) { lines.emplace_back(line); });
    CHECK(lines == std::vector<std::string>{"one", "t2"});
}

TEST_CASE("what the log throws ends the script with its message") {
    try {
        run_script("log('one')", "x.lua", scope(), {}, [](std::string_view) {
            throw Error{ErrorCode::io_failed, "pipe closed"};
        });
        FAIL("it ended well");
    } catch (const Error& error) {
        CHECK(error.message == "x.lua:1: pipe closed");
    }
}

TEST_CASE("a script's errors have their line") {
    CHECK(failure("\nerror('no')") == "script_failed: check.lua:2: no");
    CHECK(failure("\n\nlocal x = nil + 1") ==
          "script_failed: check.lua:3: attempt to perform arithmetic on a nil value");
    CHECK(failure("x = = 1") == "script_failed: check.lua:1: unexpected symbol near '='");
    CHECK(failure("\nfail('rows are missing')") == "script_failed: check.lua:2: rows are missing");
    CHECK(failure("assert(false, 'so')") == "script_failed: check.lua:1: so");
    CHECK(failure("error({})") == "script_failed: an error value of type table");
    CHECK(failure("\nreturn inptus.name") ==
          "script_failed: check.lua:2: unknown name 'inptus' (did you mean 'inputs'?)");
    CHECK(failure("return inputs.nme") ==
          "script_failed: check.lua:1: 'inputs' has no field 'nme' (did you mean 'name'?)");
    CHECK(failure("outputs = 3") == "script_failed: check.lua: 'outputs' is no map of names and values");
    CHECK(failure("outputs = {1}") == "script_failed: check.lua: 'outputs' is no map of names and values");
}

TEST_CASE("fail cannot be caught") {
    CHECK(failure("pcall(fail, 'stop')\noutputs.x = 1").ends_with("stop"));
    CHECK(failure("while true do pcall(function() fail('stop') end) end") == "script_failed: check.lua:1: stop");
}

TEST_CASE("the scope of a script is read-only") {
    CHECK(failure("inputs.name = 'x'") == "script_failed: check.lua:1: 'inputs' is read-only");
    CHECK(failure("hosts[3] = 'x'") == "script_failed: check.lua:1: 'hosts' is read-only");
    CHECK(failure("inputs = {}") == "script_failed: check.lua:1: 'inputs' is read-only");
    CHECK(failure("table.insert(hosts, 'x')") == "script_failed: 'hosts' is read-only");
}

TEST_CASE("what a script gives back has to be a value") {
    CHECK(failure("outputs.self = outputs") == "script_failed: a table that contains itself is no value");
    CHECK(failure("local t = outputs for i = 1, 150 do t.x = {} t = t.x end") ==
          "script_failed: a table is nested deeper than 100 levels");
    CHECK(failure("outputs.f = print") == "script_failed: check.lua:1: unknown name 'print'");
    CHECK(failure("outputs.f = log") == "script_failed: a function is no value that could be given back");
    CHECK(failure("outputs.s = {secret = 'pw'}") ==
          "script_failed: a map with nothing but the field 'secret' stands for a secret and cannot be made here");
}

TEST_CASE("R36 what reaches out of a sandbox does not exist in a script") {
    for (const char* name :
         {"os",       "io",     "debug",          "package",      "require",      "load",   "loadstring",
          "loadfile", "dofile", "collectgarbage", "setmetatable", "getmetatable", "rawget", "rawset",
          "rawequal", "rawlen", "coroutine",      "xpcall",       "print",        "warn",   "_G"}) {
        CAPTURE(name);
        CHECK(failure("return " + std::string(name))
                  .starts_with("script_failed: check.lua:1: unknown name '" + std::string(name) + "'"));
    }
    CHECK(failure("return string.dump").find("'string' has no field 'dump'") != std::string::npos);
    CHECK(failure("return ('').dump").find("'string' has no field 'dump'") != std::string::npos);
    CHECK(failure("\x1bLua\x54").find("attempt to load a binary chunk") != std::string::npos);
}

TEST_CASE("R36 an endless loop ends, with or without pcall") {
    const std::string ended = "limit_exceeded: check.lua: it runs for more than 1000000 instructions";
    CHECK(failure("while true do end", small) == ended);
    CHECK(failure("while true do pcall(function() while true do end end) end", small) == ended);
    CHECK(failure("local function f() while true do pcall(f) end end f()", small) == ended);
    CHECK(failure("local function f() return f() end f()", small) == ended);
    CHECK(failure("for i = 1, math.huge do local ok = pcall(error, 'x') end", small) == ended);
    CHECK(failure("table.sort({3, 2, 1}, function() while true do end end)", small) == ended);
    CHECK(failure("(('x'):rep(1000)):gsub('.', function() while true do end end)", small) == ended);
    CHECK(failure("local t = {} while true do t[1] = tostring(1) end", small) == ended);
}

TEST_CASE("R36 a pcall around the limit does not make a script end well") {
    CHECK(failure("pcall(function() while true do end end) outputs.x = 1", small) ==
          "limit_exceeded: check.lua: it runs for more than 1000000 instructions");
}

TEST_CASE("R36 memory has its limit") {
    const std::string ended = "limit_exceeded: check.lua: it needs more than 8MiB of memory";
    CHECK(failure("local x = ('x'):rep(300000000)", small) == ended);
    CHECK(failure("local x = string.rep('x', 1 << 62)", small) ==
          "script_failed: check.lua:1: resulting string too large");
    CHECK(failure("local t = {} for i = 1, 1e9 do t[i] = i end", small) == ended);
    CHECK(failure("local s = 'x' while true do s = s .. s end", small) == ended);
    CHECK(failure("local s = secrets.pw while true do s = s .. s end", small) ==
          "script_failed: check.lua:1: a text with secrets in it becomes too long");
    CHECK(outputs("outputs.ok = pcall(string.rep, 'x', 1 << 40)") == R"({"ok":false})");
}

TEST_CASE("R36 recursion has its limit") {
    CHECK(failure("local function f() return 1 + f() end f()") ==
          "limit_exceeded: check.lua: it needs more than 64MiB of memory");
    CHECK(failure("return (('x'):rep(300000, '(')):find((('('):rep(300000)))").starts_with("script_failed"));
}

TEST_CASE("R36 an iterator called with something else is an error") {
    for (const char* call : {"pairs(inputs)({}, nil)", "pairs(inputs)(nil, nil)", "pairs(inputs)(hosts, 1)",
                             "pairs(inputs)(inputs, {})", "ipairs(hosts)(inputs, 1)", "ipairs(hosts)(hosts, 'x')",
                             "ipairs(hosts)(3, 3)", "pairs({})(3)", "pairs({})({}, 'x')", "ipairs({})(nil, 1)",
                             "ipairs(3)", "pairs(null)", "ipairs(inputs)", "pairs()", "ipairs()"}) {
        CAPTURE(call);
        const std::string result = failure(std::string("outputs.x = ") + call);
        CHECK((result.starts_with("script_failed: ") || result == "no failure: {}" ||
               result.starts_with("no failure: {\"x\"")));
    }
    CHECK(failure("pairs(inputs)({}, nil)") ==
          "script_failed: check.lua:1: a list or map was expected where a table stands");
}
