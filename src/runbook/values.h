// Values as written → checked JSON, by the declarations of parameters and fields (spec.h). Reports every mistake with
// its place; a value that is wrong comes back as null. Texts with `${{ }}` are checked and stay as they are.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runbook/expressions.h"
#include "runbook/node.h"
#include "runbook/source_file.h"
#include "runbook/spec.h"

namespace lifeboat {

// "a duration", "an integer", …: what a value of this type is called.
std::string_view described(ValueType type);
// How to write one, as a hint; empty where the type says it all.
std::string_view advice(ValueType type);
// Whether `text` is a value of `type`, one of those that are written as text.
bool is_valid_text(ValueType type, std::string_view text);
// A path or host that would mean everything or nothing (R5).
bool is_boundless(std::string_view text);

class ValueCheck {
  public:
    // All outlive it.
    ValueCheck(SourceFile& file, const Specs& specs, ExpressionCheck& expressions)
        : file_(file), specs_(specs), expressions_(expressions) {}

    // `place`: where expressions stand that the value may hold; none: it may hold none.
    Json value(const Node& node, const ParameterSpec& wanted, const Path& path, const Place* place);
    // A map of these fields with its defaults filled in. `subject` for messages: "'postgres.fence'".
    // `known_otherwise`: keys that somebody else reads.
    Json record(const Node& map, const std::vector<ParameterSpec>& fields, const Path& path, const Place* place,
                const std::string& subject, const std::vector<std::string>& known_otherwise = {});
    // Reports a node of another kind; true when it is of this one.
    bool is(Node::Kind kind, const Node& node, const Path& path);

    SourceFile& file() { return file_; }
    const Specs& specs() const { return specs_; }
    ExpressionCheck& expressions() { return expressions_; }

    Json wrong(const Node& node, const Path& path, std::string message, std::string hint = {});

  private:
    Json text(const Node& node, const ParameterSpec& wanted, const Path& path, const Place* place);
    Json plain_text(const Node& node, const ParameterSpec& wanted, const Path& path);
    Json scalar(const Node& node, const ParameterSpec& wanted, const Path& path);
    Json list(const Node& node, const ParameterSpec& wanted, const Path& path, const Place* place);
    Json map(const Node& node, const ParameterSpec& wanted, const Path& path, const Place* place);
    Json anything(const Node& node, const ParameterSpec& wanted, const Path& path, const Place* place);
    Json resource(const Node& node, const ParameterSpec& wanted, const Path& path, const Place* place);
    Json derived_resource(const Node& node, const ParameterSpec& wanted, const Path& path, const Place* place);
    bool check_resource_name(const Node& name, const ParameterSpec& wanted, const Path& path);
    Json wrong_type(const Node& node, const ParameterSpec& wanted, const Path& path);

    SourceFile& file_;
    const Specs& specs_;
    ExpressionCheck& expressions_;
};

}  // namespace lifeboat
