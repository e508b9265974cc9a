#include "script/expression.h"

#include <catch2/catch.hpp>

#include "base/error.h"

using namespace lifeboat;

namespace {

const Json& scope() {
    static const Json value = parse_json(R"({
        "inputs": {"name": "orders", "count": 3, "ratio": 0.5, "on": true, "nothing": null, "big": 18446744073709551615},
        "hosts": ["a", "b", "c"],
        "steps": {"dump": {"outputs": {"path": "/tmp/x.dump", "rows": [[1, 2], [3]]}}, "skipped": {"outputs": null}},
        "same": ["a", "b", "c"],
        "empty": [],
        "run": {"rto": 12.5}, "objectives": {"rto": 30},
        "secrets": {"pw": {"secret": "pw"}, "url": {"secret": ["https://x/", {"secret": "token"}]}}
    })",
                                         "scope");
    return value;
}

std::string evaluated(const char* text) {
    return to_text(Expression(text).evaluate(scope()));
}

std::string failure(const char* text) {
    try {
        return "no failure: " + evaluated(text);
    } catch (const Error& error) {
        return std::string(info(error.code).name) + ": " + error.message;
    }
}

// "message @offset" of an expression that does not compile.
std::string refusal(const char* text) {
    try {
        Expression expression{std::string(text)};
    } catch (const Error& error) {
        CHECK(error.code == ErrorCode::expression_failed);
        return error.message + " @" + to_text(error.details["offset"]);
    }
    return "accepted";
}

std::string names(const char* text) {
    const Expression expression{std::string(text)};
    std::string all;
    for (const NamePath& path : expression.names()) {
        if (!all.empty()) all += ' ';
        for (std::size_t i = 0; i < path.parts.size(); ++i)
            all += (i > 0 ? "." : "") + path.parts[i];
        all += "@" + std::to_string(path.offset);
    }
    return all;
}

}  // namespace

TEST_CASE("an expression reads its scope") {
    CHECK(evaluated("inputs.name") == R"("orders")");
    CHECK(evaluated("inputs['name']") == R"("orders")");
    CHECK(evaluated("inputs.count + 1") == "4");
    CHECK(evaluated("inputs.count / 2") == "1.5");
    CHECK(evaluated("hosts[2]") == R"("b")");
    CHECK(evaluated("#hosts") == "3");
    CHECK(evaluated("steps.dump.outputs.rows[1][2]") == "2");
    CHECK(evaluated("run.rto <= objectives.rto") == "true");
    CHECK(evaluated("'x-' .. inputs.name .. '-' .. 3") == R"("x-orders-3")");
    CHECK(evaluated("inputs.on and 'yes' or 'no'") == R"("yes")");
    CHECK(evaluated("  inputs.count  -- how many\n") == "3");
    CHECK(evaluated("inputs.big") == "1.8446744073709552e+19");
}

TEST_CASE("whole lists and maps come back as they are") {
    CHECK(evaluated("steps.dump.outputs") == R"({"path":"/tmp/x.dump","rows":[[1,2],[3]]})");
    CHECK(evaluated("hosts") == R"(["a","b","c"])");
    CHECK(evaluated("empty") == "[]");
}

TEST_CASE("tables become lists and maps") {
    CHECK(evaluated("{1, 'a', {x = hosts, ['y z'] = null}}") == R"([1,"a",{"x":["a","b","c"],"y z":null}])");
    CHECK(evaluated("{}") == "[]");
    CHECK(evaluated("{[1] = 'a', [2] = 'b'}") == R"(["a","b"])");
    CHECK(evaluated("{nil}") == "[]");
    CHECK(failure("{1, nil, 3}") == "expression_failed: a list has gaps");
    CHECK(failure("{1, x = 2}") == "expression_failed: a table with both names and numbers as keys is no list or map");
    CHECK(failure("{[1.5] = 2}") == "expression_failed: a table with keys of type number is no list or map");
    CHECK(failure("{[true] = 2}") == "expression_failed: a table with keys of type boolean is no list or map");
    CHECK(failure("length") == "expression_failed: a function is no value that could be given back");
    CHECK(failure("{f = length}") == "expression_failed: a function is no value that could be given back");
    CHECK(failure("0/0") == "expression_failed: the result of a calculation is no finite number");
    CHECK(failure("math.huge") == "expression_failed: the result of a calculation is no finite number");
}

TEST_CASE("JSON null is the value null") {
    CHECK(evaluated("inputs.nothing == null") == "true");
    CHECK(evaluated("inputs.name == null") == "false");
    CHECK(evaluated("hosts == null") == "false");
    CHECK(evaluated("inputs.nothing") == "null");
    CHECK(evaluated("nil") == "null");
    CHECK(failure("steps.skipped.outputs.path") ==
          "expression_failed: attempt to index a null value (field 'outputs')");
    CHECK(failure("'x' .. inputs.nothing") ==
          "expression_failed: attempt to concatenate a null value (field 'nothing')");
}

TEST_CASE("what is not there is an error that helps") {
    CHECK(failure("steps.dmp.outputs") == "expression_failed: 'steps' has no field 'dmp' (did you mean 'dump'?)");
    CHECK(failure("steps.dump.outputs.pth") ==
          "expression_failed: 'steps.dump.outputs' has no field 'pth' (did you mean 'path'?)");
    CHECK(failure("hosts[4]") == "expression_failed: 'hosts' has 3 items, there is no item 4");
    CHECK(failure("hosts[0]") == "expression_failed: 'hosts' has 3 items, there is no item 0");
    CHECK(failure("hosts[1.5]") == "expression_failed: 'hosts' has 3 items, there is no item 1.5");
    CHECK(failure("steps.dump.outputs.rows[2][2]") ==
          "expression_failed: 'steps.dump.outputs.rows[2]' has 1 item, there is no item 2");
    CHECK(failure("hosts.name") == "expression_failed: 'hosts' is a list, it has no field 'name'");
    CHECK(failure("inputs[1]") == "expression_failed: 'inputs' is a map, its fields have names");
    CHECK(failure("#inputs") == "expression_failed: 'inputs' is a map: count its fields with length(…)");
    CHECK(failure("input.name") == "expression_failed: unknown name 'input' (did you mean 'inputs'?)");
    CHECK(failure("lenght(hosts)") == "expression_failed: unknown name 'lenght' (did you mean 'length'?)");
    CHECK(failure("math.flor(1)") == "expression_failed: 'math' has no field 'flor' (did you mean 'floor'?)");
    CHECK(failure("inputs.name.x.y") == "expression_failed: 'string' has no field 'x'");
    CHECK(failure("inputs.count < 'a'") == "expression_failed: attempt to compare number with string");
}

TEST_CASE("an error says which expression it was") {
    try {
        Expression(" steps.dmp ").evaluate(scope());
        FAIL("it was evaluated");
    } catch (const Error& error) {
        CHECK(error.trail == std::vector<std::string>{"while evaluating 'steps.dmp'"});
    }
}

TEST_CASE("views of equal content are equal") {
    CHECK(evaluated("hosts == same") == "true");
    CHECK(evaluated("hosts ~= same") == "false");
    CHECK(evaluated("hosts == empty") == "false");
    CHECK(evaluated("inputs == steps") == "false");
}

TEST_CASE("the library works on values of every kind") {
    CHECK(evaluated("has(inputs, 'name') and not has(inputs, 'nme')") == "true");
    CHECK(evaluated("has(hosts, 3) and not has(hosts, 4)") == "true");
    CHECK(evaluated("has(steps.skipped.outputs, 'path')") == "false");
    CHECK(evaluated("has({a = 1}, 'a')") == "true");
    CHECK(evaluated("{length('grün'), length(hosts), length(inputs), length({a = 1})}") == "[4,3,6,1]");
    CHECK(evaluated("{lower('ABCÄ'), upper('abcä')}") == R"(["abcÄ","ABCä"])");
    CHECK(evaluated("{contains(hosts, 'b'), contains(hosts, 'x'), contains('abc', 'bc'), contains({1, 2}, 2)}") ==
          "[true,false,true,true]");
    CHECK(evaluated("{contains(steps.dump.outputs.rows, steps.dump.outputs.rows[2])}") == "[true]");
    CHECK(evaluated("{starts_with('abc', 'ab'), ends_with('abc', 'bc'), starts_with('a', 'ab')}") ==
          "[true,true,false]");
    CHECK(
        evaluated("{basename('/a/b/'), basename('b'), basename('/'), dirname('/a/b/'), dirname('b'), dirname('/a')}") ==
        R"(["b","b","/","/a",".","/"])");
    CHECK(evaluated("{seconds('1h30m'), seconds('250ms')}") == "[5400,0.25]");
    CHECK(evaluated("{math.max(1, 3, 2), math.floor(2.5), math.tointeger(3.0)}") == "[3,2,3]");
    CHECK(evaluated("{tonumber('12'), tonumber('1.5'), tonumber('ff', 16)}") == "[12,1.5,255]");
    CHECK(evaluated("tonumber('x') == nil") == "true");
    CHECK(evaluated("{type(hosts), type(inputs), type(null), type('a'), type(1), type({}), type(secrets.pw)}") ==
          R"(["list","map","null","string","number","table","secret"])");
    CHECK(evaluated("{tostring(12), tostring(1.5), tostring(true), tostring(null), tostring(hosts)}") ==
          R"(["12","1.5","true","null","[\"a\",\"b\",\"c\"]"])");
    CHECK(evaluated("string.format('%05d|%s', 42, inputs.name)") == R"("00042|orders")");
    CHECK(evaluated("inputs.name:upper():sub(1, 3)") == R"("ORD")");
    CHECK(evaluated("type(ipairs(hosts)) .. type(pairs(inputs))") == R"("functionfunction")");
}

TEST_CASE("the library says what is wrong with its arguments") {
    CHECK(failure("seconds('5')") == "expression_failed: '5' is no duration such as 90s or 1h30m");
    CHECK(failure("lower(3)") == "expression_failed: 'lower' needs text as argument 1, not number");
    CHECK(failure("lower()") == "expression_failed: 'lower' needs text as argument 1, not nothing");
    CHECK(failure("starts_with('a', null)") == "expression_failed: 'starts_with' needs text as argument 2, not null");
    CHECK(failure("has('x', 'y')") == "expression_failed: 'has' needs a map or list as argument 1, not string");
    CHECK(failure("length(3)") == "expression_failed: 'length' needs text, a list or a map, not number");
    CHECK(failure("contains(inputs, 'x')") ==
          "expression_failed: 'contains' needs a list or text as argument 1, not map");
    CHECK(failure("tostring({})") == "expression_failed: a table has no text");
    CHECK(failure("tostring(length)") == "expression_failed: a function has no text");
    CHECK(failure("matches('a', '(')") == "expression_failed: '(' is no regular expression: missing ): (");
}

TEST_CASE("matches looks for a regular expression anywhere in the text") {
    CHECK(evaluated("matches('orders-2026.dump', '[0-9]{4}')") == "true");
    CHECK(evaluated("matches('orders', '^rders')") == "false");
    CHECK(evaluated("matches('grün', '^gr.n$')") == "true");
    CHECK(evaluated("matches('gr\\xffn', '^gr.n$')") == "true");
}

TEST_CASE("R11 a secret can be returned and joined with text, and nothing else") {
    CHECK(evaluated("secrets.pw") == R"({"secret":"pw"})");
    CHECK(evaluated("{user = 'x', password = secrets.pw}") == R"({"password":{"secret":"pw"},"user":"x"})");
    CHECK(evaluated("secrets") == R"({"pw":{"secret":"pw"},"url":{"secret":["https://x/",{"secret":"token"}]}})");
    CHECK(evaluated("'postgres://u:' .. secrets.pw .. '@h/' .. 5") ==
          R"({"secret":["postgres://u:",{"secret":"pw"},"@h/5"]})");
    CHECK(evaluated("secrets.url .. '?p=' .. secrets.pw") ==
          R"({"secret":["https://x/",{"secret":"token"},"?p=",{"secret":"pw"}]})");
    CHECK(evaluated("'' .. secrets.pw") == R"({"secret":"pw"})");

    const auto refused = [](const std::string& verb) {
        return "expression_failed: a secret cannot be " + verb + ": it can only be passed on or joined with '..'";
    };
    CHECK(failure("tostring(secrets.pw)") == refused("turned into text"));
    CHECK(failure("string.format('%s', secrets.pw)") == refused("turned into text"));
    CHECK(failure("#secrets.pw") == refused("measured"));
    CHECK(failure("secrets.pw.secret") == refused("looked into"));
    CHECK(failure("secrets.pw[1]") == refused("looked into"));
    CHECK(failure("secrets.pw:upper()") == refused("looked into"));
    CHECK(failure("secrets.pw < 'a'") == refused("compared"));
    CHECK(failure("secrets.pw <= secrets.pw") == refused("compared"));
    CHECK(failure("({secrets.pw})[1] == ({secrets.url})[1]") == refused("compared"));
    CHECK(failure("({secrets.pw})[1] == null") == refused("compared"));
    CHECK(failure("hosts == ({secrets.pw})[1]") == "expression_failed: a secret cannot be compared");
    CHECK(failure("secrets.pw + 1") == refused("calculated with"));
    CHECK(failure("-secrets.pw") == refused("calculated with"));
    CHECK(failure("secrets.pw()") == refused("called"));
    CHECK(failure("secrets.pw .. hosts") == "expression_failed: a secret cannot be joined with a value of type list");
    CHECK(failure("secrets.pw .. true") == "expression_failed: a secret cannot be joined with a value of type boolean");
    CHECK(failure("matches(secrets.pw, 'a')") == "expression_failed: 'matches' needs text as argument 1, not secret");
    CHECK(failure("length(secrets.pw)") == "expression_failed: 'length' needs text, a list or a map, not secret");
    CHECK(failure("contains(hosts, secrets.pw)") == "expression_failed: a secret cannot be compared");
    CHECK(failure("{[secrets.pw] = 1}") == "expression_failed: a table with keys of type secret is no list or map");
    CHECK(failure("type(pairs(secrets.pw))") == "expression_failed: a secret cannot be looked into");
}

TEST_CASE("R11 a secret that is compared is found before anything runs") {
    CHECK(refusal("secrets.pw == 'x'") == "a secret cannot be compared @0");
    CHECK(refusal("'x' ~= secrets.pw") == "a secret cannot be compared @7");
}

TEST_CASE("R11 a value that looks like a secret cannot be made") {
    CHECK(failure("{secret = 'pw'}") ==
          "expression_failed: a map with nothing but the field 'secret' stands for a secret and cannot be made here");
    CHECK(failure("{a = {secret = {'x', 'y'}}}") ==
          "expression_failed: a map with nothing but the field 'secret' stands for a secret and cannot be made here");
    CHECK(evaluated("{secret = 'pw', other = 1}") == R"({"other":1,"secret":"pw"})");
}

TEST_CASE("static look-ups are listed with their places") {
    CHECK(names("inputs.name") == "inputs.name@0");
    CHECK(names("steps.fetch.outputs.path .. '/' .. inputs['name']") == "steps.fetch.outputs.path@0 inputs.name@35");
    CHECK(names("steps[inputs.which].outputs") == "steps@0 inputs.which@6");
    CHECK(names("hosts[1].name") == "hosts@0");
    CHECK(names("{steps = 1, other = run.id}") == "run.id@20");
    CHECK(names("{[item] = 1}") == "item@2");
    CHECK(names("has(steps.a, 'b') and math.floor(run.rto) == 1 or null") == "steps.a@4 run.rto@33");
    CHECK(names("inputs.name:upper()") == "inputs.name@0");
    CHECK(names("'steps.x' .. \"a.b\" .. [[c.d]] .. [=[e.]]f]=]") == "");
    CHECK(names("1 -- steps.x\n + --[[ steps.y ]] run.z") == "run.z@32");
    CHECK(names("item == value") == "item@0 value@8");
    CHECK(names("inputs [ 'a' ] . b") == "inputs.a.b@0");
    CHECK(names("inputs['a\\n']") == "inputs@0");
    CHECK(names("1 .. 0x1p+4 .. .5e-3 .. 3") == "");
}

TEST_CASE("an expression is one expression") {
    CHECK(refusal("") == "the expression is empty @0");
    CHECK(refusal("  ") == "the expression is empty @0");
    CHECK(refusal("1, 2") == "there is more than one expression @1");
    CHECK(refusal("1; x") == "unexpected symbol near 'x' @1");
    CHECK(refusal("1 +") == "unexpected symbol near its end @3");
    CHECK(refusal("a b") == "unexpected symbol near 'b' @2");
    CHECK(refusal("a + + b") == "unexpected symbol near '+' @4");
    CHECK(refusal("a) or (b") == "unexpected symbol near ')' @1");
    CHECK(refusal("(a") == "')' expected near its end @2");
    CHECK(refusal("a = 1") == "unexpected symbol near '=' @2");
    CHECK(refusal("'a") == "unfinished string near its end @2");
    CHECK(refusal("a &&\n b") == "unexpected symbol near '&' @3");
    CHECK(refusal("...") == "an expression has no arguments: '...' means nothing here @0");
}

TEST_CASE("an expression has no statements and no functions") {
    CHECK(refusal("(function() return 1 end)()") == "an expression cannot define functions @1");
    CHECK(refusal("local x = 1") == "an expression cannot define locals @0");
    for (const char* word :
         {"if", "for", "while", "repeat", "goto", "return", "do", "break", "end", "until", "then", "else"}) {
        CAPTURE(word);
        CHECK(refusal((std::string(word) + " x").c_str()) ==
              "an expression cannot contain statements such as '" + std::string(word) + "' @0");
    }
    CHECK(evaluated("{['if'] = 'for', x = \"while\"}") == R"({"if":"for","x":"while"})");
}

TEST_CASE("R36 what reaches out of a sandbox does not exist in an expression") {
    for (const char* name :
         {"os",       "io",        "debug",          "package",      "require",      "load",   "loadstring",
          "loadfile", "dofile",    "collectgarbage", "setmetatable", "getmetatable", "rawget", "rawset",
          "rawequal", "coroutine", "pcall",          "xpcall",       "error",        "print",  "_G",
          "select",   "next",      "table",          "utf8"}) {
        CAPTURE(name);
        CHECK(failure(name).starts_with("expression_failed: unknown name '" + std::string(name) + "'"));
    }
    for (const char* method : {"rep", "find", "match", "gmatch", "gsub", "dump", "pack", "unpack"}) {
        CAPTURE(method);
        const std::string gone = "expression_failed: 'string' has no field '" + std::string(method) + "'";
        CHECK(failure(("('x'):" + std::string(method) + "(1)").c_str()).starts_with(gone));
        CHECK(failure(("string." + std::string(method)).c_str()).starts_with(gone));
    }
    CHECK(failure("math.random()").starts_with("expression_failed: 'math' has no field 'random'"));
    CHECK(failure("('').__index.rep").starts_with("expression_failed: 'string' has no field '__index'"));
    CHECK(evaluated("_ENV") == "[]");
    CHECK(refusal("\x1bLua").starts_with("unexpected symbol"));
}

TEST_CASE("R36 an evil pattern is matched in linear time") {
    Json evil = Json::object();
    evil["text"] = std::string(1U << 20, 'a');
    const Expression expression("matches(text, '^(a?){500}(a+)+(a*)*b$')");
    CHECK(expression.evaluate(evil) == false);
}

TEST_CASE("R36 an expression has a limit of memory") {
    std::string doubled = "item";
    for (int i = 0; i < 6; ++i)
        doubled = "(" + doubled + ").." + "(" + doubled + ")";
    Json large = Json::object();
    large["item"] = std::string(1U << 20, 'x');
    try {
        Expression(doubled).evaluate(large);
        FAIL("64 MiB fitted into 16");
    } catch (const Error& error) {
        CHECK(error.code == ErrorCode::limit_exceeded);
        CHECK(error.message == "it needs more than 16MiB of memory");
    }
}

TEST_CASE("R36 a result has a limit of size") {
    Json large = Json::object();
    large["item"] = Json::array();
    for (int i = 0; i < 100'000; ++i)
        large["item"].push_back(i);
    std::string text = "{item";
    for (int i = 0; i < 20; ++i)
        text += ", item";
    try {
        Expression(text + "}").evaluate(large);
        FAIL("the result was given back");
    } catch (const Error& error) {
        CHECK(error.code == ErrorCode::limit_exceeded);
        CHECK(error.message == "its result is larger than 16MiB");
    }
}

TEST_CASE("R36 an expression has a limit of depth and length") {
    const std::string deep = std::string(150, '{') + std::string(150, '}');
    CHECK(failure(deep.c_str()) == "expression_failed: a table is nested deeper than 100 levels");
    const std::string deeper = std::string(10'000, '(') + "1" + std::string(10'000, ')');
    CHECK(refusal(deeper.c_str()).starts_with("C stack overflow"));
    CHECK(refusal(std::string(70'000, ' ').c_str()) == "the expression is longer than 64KiB @0");
}

TEST_CASE("every library name can be called in an expression") {
    for (const std::string& name : library_names()) {
        CAPTURE(name);
        CHECK_NOTHROW(Expression("type(" + name + ")").evaluate(Json::object()));
        CHECK(Expression(name).names().empty());
    }
}

TEST_CASE("a scope with many keys costs nothing to pass") {
    Json large = Json::object();
    for (int i = 0; i < 100'000; ++i)
        large["steps"]["s" + std::to_string(i)] = i;
    const Expression expression("steps.s99999");
    for (int i = 0; i < 1000; ++i)
        CHECK(expression.evaluate(large) == 99'999);
}
