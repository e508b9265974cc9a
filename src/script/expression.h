// One Lua expression over read-only values: what stands in `${{ }}`, `if:`, `expect:` and `that:`.
// Pure: it reads its scope and nothing else. It may not define functions or locals, and it has limits of memory,
// instructions and time. An unknown name is an error, at load time where the name is static, else when evaluated.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/diagnostic.h"
#include "base/json.h"

namespace lifeboat {

// A static look-up in an expression: `steps.fetch.outputs.path` → {"steps", "fetch", "outputs", "path"}, as far as it
// is static.
struct NamePath {
    std::vector<std::string> parts;
    std::size_t offset = 0;  // byte of its first character in the expression
};

class Expression {
  public:
    // Throws Error{expression_failed} when `text` is no single Lua expression; the message holds no chunk name,
    // details {"offset": n} say where, in bytes, as far as Lua tells.
    explicit Expression(std::string text);

    const std::string& text() const { return text_; }
    // Every static look-up, in order. Names of the library (`has`, `matches`, `math`, …) are left out.
    const std::vector<NamePath>& names() const { return names_; }

    // Evaluates over `scope`, an object: each key is a global name. A secret reference inside the scope (secret.h) is
    // an opaque value that can only be returned or concatenated; the result is then secret text.
    // Throws Error{expression_failed | limit_exceeded}.
    Json evaluate(const Json& scope) const;

  private:
    std::string text_;
    std::vector<NamePath> names_;
};

// Text with `${{ }}` in it: alternating literals and expressions. `$${{` is a literal `${{`.
class Template {
  public:
    struct Part {
        std::string literal;  // used when there is no expression
        std::optional<Expression> expression;
        std::size_t offset =
            0;  // byte of the part's first character in the text; of an expression, the one behind `${{`
    };
    // Throws Error{expression_failed} for a bad or unclosed expression, details {"offset": n}.
    explicit Template(std::string_view text);

    const std::vector<Part>& parts() const { return parts_; }
    bool is_plain() const;  // holds no expression

    // A text that is one expression keeps its type; otherwise the parts are joined (numbers and booleans in their JSON
    // spelling; null, lists and maps are errors). With a secret part the result is secret text.
    Json expand(const Json& scope) const;

  private:
    std::vector<Part> parts_;
};

// Expands every string in `value`, at any depth, exactly once. Object keys are left as they are.
Json expand_all(const Json& value, const Json& scope);

// The names that every expression may call besides its scope: for diagnostics and the reference.
const std::vector<std::string>& library_names();

}  // namespace lifeboat
