#include "script/expression.h"

#include <algorithm>
#include <lua.hpp>

#include "base/text.h"
#include "script/library.h"
#include "script/sandbox.h"
#include "script/tokens.h"
#include "script/values.h"

namespace lifeboat {

namespace {

constexpr Bytes most_memory{16U << 20};
constexpr SandboxLimits limits{.memory = most_memory, .instructions = 10'000'000, .time = std::chrono::seconds{1}};
constexpr std::size_t longest_text = 64U << 10;

[[noreturn]] void refuse(std::string message, std::size_t offset, std::string hint = {}) {
    Error error{ErrorCode::expression_failed, std::move(message), std::move(hint)};
    error.details = {{"offset", offset}};
    throw error;
}

// Messages hold no chunk names: "?:1: attempt to …" → "attempt to …".
std::string without_place(std::string_view message) {
    while (message.starts_with("?:")) {
        const std::size_t colon = message.find(": ");
        if (colon == std::string_view::npos) break;
        message.remove_prefix(colon + 2);
    }
    return std::string(message);
}

// Lua's complaint about `code`, or nothing when it compiles.
std::optional<std::string> complaint_about(const std::string& code) {
    std::optional<std::string> complaint;
    const Json empty_scope = Json::object();
    Sandbox sandbox(limits, empty_scope, ErrorCode::expression_failed);
    sandbox.run([&](lua_State* lua) {
        if (luaL_loadbufferx(lua, code.data(), code.size(), "=?", "t") == LUA_OK) return;
        std::size_t length = 0;
        const char* message = lua_tolstring(lua, -1, &length);
        complaint = without_place(std::string_view(message == nullptr ? "it cannot be compiled" : message));
    });
    return complaint;
}

bool is_incomplete(const std::string& complaint) {
    return complaint.ends_with("<eof>");
}

// The place of the first token that no expression can have there: the end of the shortest prefix that is wrong for
// good.
std::size_t place_of_mistake(const std::string& text, const std::vector<Token>& tokens) {
    std::size_t good = 0;  // this many tokens may begin an expression
    std::size_t bad = tokens.size() + 1;
    while (bad - good > 1) {
        const std::size_t middle = (good + bad) / 2;
        const Token& last = tokens[middle - 1];
        const auto complaint = complaint_about("return (" + text.substr(0, last.offset + last.spelling.size()));
        (complaint && !is_incomplete(*complaint) ? bad : good) = middle;
    }
    if (good < tokens.size()) return tokens[good].offset;
    return text.find_last_not_of(" \t\r\n") + 1;
}

void check_tokens(const std::vector<Token>& tokens) {
    int depth = 0;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const auto& [kind, spelling, offset] = tokens[i];
        if (kind == Token::Kind::keyword) {
            constexpr std::string_view allowed[] = {"and", "false", "nil", "not", "or", "true"};
            if (std::find(std::begin(allowed), std::end(allowed), spelling) != std::end(allowed)) continue;
            if (spelling == "function") refuse("an expression cannot define functions", offset);
            if (spelling == "local") refuse("an expression cannot define locals", offset);
            const bool choice = spelling == "if" || spelling == "then" || spelling == "else" || spelling == "elseif";
            refuse("an expression cannot contain statements such as '" + std::string(spelling) + "'", offset,
                   choice ? "Write `condition and value or other_value`." : "");
        }
        if (kind != Token::Kind::symbol) continue;
        if (spelling == "...") refuse("an expression has no arguments: '...' means nothing here", offset);
        if (spelling == "(") ++depth;
        // else `a) or (b` would be one expression inside the parentheses that are put around it
        if (spelling == ")" && --depth < 0) refuse("unexpected symbol near ')'", offset);
    }
}

void check_syntax(const std::string& text, const std::vector<Token>& tokens) {
    if (!complaint_about("return (" + text + "\n)")) return;
    const auto complaint = complaint_about("return " + text);
    const std::size_t offset = place_of_mistake(text, tokens);
    if (tokens.empty() && trim(text).empty()) refuse("the expression is empty", 0);
    if (!complaint) refuse("there is more than one expression", offset);
    std::string message = *complaint;
    constexpr std::string_view leftover = "<eof> expected near ";
    if (is_incomplete(message)) message.replace(message.size() - 5, 5, "its end");
    if (message.starts_with(leftover)) message.replace(0, leftover.size(), "unexpected symbol near ");
    Error error{ErrorCode::expression_failed, printable(message)};
    error.details = {{"offset", offset}};
    if (is_incomplete(*complaint)) error.details["incomplete"] = true;
    throw error;
}

bool is_symbol(const Token& token, std::string_view spelling) {
    return token.kind == Token::Kind::symbol && token.spelling == spelling;
}

// The text of a quoted string without escapes; nothing for the others, whose value is not looked for here.
std::optional<std::string> plain_text(const Token& token) {
    if (token.kind != Token::Kind::text || token.spelling[0] == '[' ||
        token.spelling.find('\\') != std::string_view::npos) {
        return std::nullopt;
    }
    return std::string(token.spelling.substr(1, token.spelling.size() - 2));
}

// Reads the look-ups behind the name at `i`; leaves `i` at the last token that belongs to them.
NamePath take_path(const std::vector<Token>& tokens, std::size_t& i) {
    NamePath path{.parts = {std::string(tokens[i].spelling)}, .offset = tokens[i].offset};
    while (i + 2 < tokens.size()) {
        if (is_symbol(tokens[i + 1], ".") && tokens[i + 2].kind == Token::Kind::name) {
            path.parts.emplace_back(tokens[i + 2].spelling);
            i += 2;
        } else if (i + 3 < tokens.size() && is_symbol(tokens[i + 1], "[") && is_symbol(tokens[i + 3], "]") &&
                   plain_text(tokens[i + 2])) {
            path.parts.push_back(*plain_text(tokens[i + 2]));
            i += 3;
        } else {
            break;
        }
    }
    return path;
}

bool compares(const Token& token) {
    return is_symbol(token, "==") || is_symbol(token, "~=");
}

std::vector<NamePath> names_in(const std::vector<Token>& tokens) {
    std::vector<NamePath> names;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (tokens[i].kind != Token::Kind::name) continue;
        const bool is_field = i > 0 && (is_symbol(tokens[i - 1], ".") || is_symbol(tokens[i - 1], ":"));
        const bool is_key = i > 0 && i + 1 < tokens.size() && is_symbol(tokens[i + 1], "=");
        if (is_field || is_key) continue;
        const std::size_t first = i;
        NamePath path = take_path(tokens, i);
        // with text Lua would answer "different" without asking anybody
        if (path.parts[0] == "secrets" &&
            ((first > 0 && compares(tokens[first - 1])) || (i + 1 < tokens.size() && compares(tokens[i + 1])))) {
            refuse("a secret cannot be compared", path.offset);
        }
        const auto& library = library_names();
        if (!std::binary_search(library.begin(), library.end(), path.parts[0])) names.push_back(std::move(path));
    }
    return names;
}

// __index of the globals: the scope, then the library, which is the closure's table.
int look_up(lua_State* lua) {
    const Json& scope = Sandbox::of(lua).scope();
    std::size_t length = 0;
    const char* bytes = luaL_checklstring(lua, 2, &length);
    const std::string_view name(bytes, length);
    if (const auto found = scope.find(name); found != scope.end()) {
        push_value(lua, *found);
        return 1;
    }
    lua_pushvalue(lua, 2);
    if (lua_rawget(lua, lua_upvalueindex(1)) != LUA_TNIL) return 1;
    std::vector<std::string> names = library_names();
    for (const auto& [key, value] : scope.items())
        names.push_back(key);
    throw Error{ErrorCode::expression_failed, "unknown name '" + std::string(name) + "'" + did_you_mean(name, names)};
}

void push_globals(lua_State* lua) {
    lua_newtable(lua);
    lua_createtable(lua, 0, 1);
    push_library(lua);
    lua_pushcclosure(lua, &guarded<look_up>, 1);
    lua_setfield(lua, -2, "__index");
    lua_setmetatable(lua, -2);
}

}  // namespace

Expression::Expression(std::string text) : text_(std::move(text)) {
    if (text_.size() > longest_text) refuse("the expression is longer than " + to_text(Bytes{longest_text}), 0);
    const std::vector<Token> tokens = tokens_of(text_);
    check_tokens(tokens);
    check_syntax(text_, tokens);
    names_ = names_in(tokens);
}

Json Expression::evaluate(const Json& scope) const {
    if (!scope.is_object()) throw Error{ErrorCode::internal, "the scope of an expression is no map"};
    Json result;
    try {
        Sandbox sandbox(limits, scope, ErrorCode::expression_failed);
        sandbox.run([&](lua_State* lua) {
            open_values(lua);
            const std::string code = "return (" + text_ + "\n)";
            if (luaL_loadbufferx(lua, code.data(), code.size(), "=?", "t") != LUA_OK) lua_error(lua);
            push_globals(lua);
            lua_setupvalue(lua, -2, 1);
            lua_call(lua, 0, 1);
            result = to_json(lua, -1, most_memory.count);
        });
    } catch (Error& error) {
        error.message = without_place(error.message);
        throw error.during("while evaluating '" + std::string(trim(text_)) + "'");
    }
    return result;
}

}  // namespace lifeboat
