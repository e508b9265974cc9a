// What the expressions of one file may name, and the check that they name nothing else. Names of steps are kept until
// all steps are known (step_names.h); everything else is checked at once.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runbook/node.h"
#include "runbook/source_file.h"
#include "runbook/spec.h"
#include "script/expression.h"

namespace lifeboat {

struct Scope {
    std::vector<std::string> roots;                  // the names that there are at all
    std::optional<std::vector<std::string>> inputs;  // nothing: not known here, any may be named
    std::map<std::string, std::string> resources;    // name → resource type or kind, or "backup"
    std::string resources_are = "required by this runbook";
    std::optional<std::vector<std::string>> secrets;  // nothing: the site knows them
};

// Where an expression stands. The list is a literal: "steps", "always", "setup", …; empty where there are no steps.
struct Place {
    std::string_view list = {};
    std::size_t step = 0;
    bool own = false;  // may name the step's own outputs: it is about putting that step back
};

// A step named in an expression, to be checked when all steps are known.
struct StepName {
    Place place;
    std::string root;  // "steps", "setup", …
    std::string id;
    std::string member;  // "outputs", "outcome", or empty: the whole step
    std::string output;  // or empty
    SourceSpan span;
    std::string path;
    std::string field;            // where the value goes
    bool may_be_secret = false;   // a secret may stand there
    bool wants_resource = false;  // it has to be a resource
};

bool has_expression(std::string_view text);
// Whether `root` names a list of steps.
bool is_step_root(std::string_view root);

class ExpressionCheck {
  public:
    // `file` and `specs` outlive it.
    ExpressionCheck(SourceFile& file, const Specs& specs, Scope scope);

    // A text with `${{ }}` for `wanted`. Reports what is wrong and returns whether nothing is.
    bool check_template(const Node& text, const ParameterSpec& wanted, const Path& path, const Place& place);
    // A bare expression whose names are those of the scope; `what` for messages: "'if'".
    bool check_condition(const Node& scalar, const Path& path, const Place& place);
    // A bare expression that an action evaluates over names of its own.
    bool check_syntax(const Node& scalar, const Path& path);

    const Scope& scope() const { return scope_; }
    std::vector<StepName> take_step_names() { return std::move(step_names_); }

  private:
    struct Use {
        const Node& scalar;
        std::size_t offset;  // of the expression in the scalar's text
        const Path& path;
        const Place& place;
        std::string_view field;
        bool may_be_secret;
        bool wants_resource;
    };

    bool check_names(const Expression& expression, const Use& use);
    bool check_name(const NamePath& name, const Use& use);
    bool check_input(const NamePath& name, const Use& use);
    bool check_resource(const NamePath& name, const Use& use);
    bool check_secret(const NamePath& name, const Use& use);
    bool check_member(const NamePath& name, const Use& use, const std::vector<std::string>& members);
    bool keep_step_name(const NamePath& name, const Use& use);
    SourceSpan span_of_name(const NamePath& name, const Use& use) const;
    bool refuse(const NamePath& name, const Use& use, std::string message, std::string hint = {});
    bool refuse_syntax(const Error& error, const Node& scalar, std::size_t offset, const Path& path);

    SourceFile& file_;
    const Specs& specs_;
    Scope scope_;
    std::vector<StepName> step_names_;
};

}  // namespace lifeboat
