#include "runbook/expressions.h"

#include <algorithm>

#include "base/text.h"
#include "runbook/values.h"
#include "runbook/words.h"

namespace lifeboat {

namespace {

const std::vector<std::string>& run_members() {
    static const std::vector<std::string> names{"id",  "name", "started_at", "incident_start", "verdict",
                                                "rto", "rpo",  "data_loss",  "drill"};
    return names;
}

const std::vector<std::string>& objective_members() {
    static const std::vector<std::string> names{"rto", "rpo"};
    return names;
}

std::vector<std::string> keys_of(const std::map<std::string, std::string>& map) {
    std::vector<std::string> keys;
    for (const auto& [key, value] : map)
        keys.push_back(key);
    return keys;
}

std::size_t error_offset(const Error& error) {
    return error.details.is_object() ? error.details.value("offset", std::size_t{0}) : 0;
}

}  // namespace

bool has_expression(std::string_view text) {
    return text.find("${{") != std::string_view::npos;
}

bool is_step_root(std::string_view root) {
    return root == "steps" || root == "setup" || root == "disaster" || root == "observe";
}

ExpressionCheck::ExpressionCheck(SourceFile& file, const Specs& specs, Scope scope)
    : file_(file), specs_(specs), scope_(std::move(scope)) {}

bool ExpressionCheck::check_template(const Node& text, const ParameterSpec& wanted, const Path& path,
                                     const Place& place) {
    try {
        const Template parsed(text.text);
        if (parsed.is_plain()) return true;
        const bool whole = parsed.parts().size() == 1;
        const bool takes_text = wanted.type == ValueType::text || wanted.type == ValueType::path ||
                                wanted.type == ValueType::duration || wanted.type == ValueType::size ||
                                wanted.type == ValueType::rate || wanted.type == ValueType::timestamp ||
                                wanted.type == ValueType::expression || wanted.type == ValueType::any;
        if (!whole && !takes_text) {
            file_.error(span_of(file_, text), path.text(),
                        "'" + wanted.name + "' wants " + std::string(described(wanted.type)) +
                            ": only an expression that stands alone keeps its type",
                        "Put everything into one ${{ }}.");
            return false;
        }
        bool good = true;
        for (const Template::Part& part : parsed.parts()) {
            if (!part.expression) continue;
            const auto& names = part.expression->names();
            const bool is_name =
                whole && names.size() == 1 && trim(part.expression->text()) == join(names.front().parts, ".");
            good = check_names(*part.expression, {.scalar = text,
                                                  .offset = part.offset,
                                                  .path = path,
                                                  .place = place,
                                                  .field = wanted.name,
                                                  .may_be_secret = wanted.may_be_secret,
                                                  .wants_resource = is_name && wanted.type == ValueType::resource}) &&
                   good;
        }
        return good;
    } catch (const Error& error) {
        return refuse_syntax(error, text, error_offset(error), path);
    }
}

bool ExpressionCheck::check_condition(const Node& scalar, const Path& path, const Place& place) {
    if (has_expression(scalar.text)) {
        file_.error(span_of(file_, scalar), path.text(),
                    "'" + std::string(path.key) + "' is an expression already: it stands without ${{ }}",
                    "Remove '${{' and '}}'.");
        return false;
    }
    try {
        return check_names(Expression(scalar.text), {.scalar = scalar,
                                                     .offset = 0,
                                                     .path = path,
                                                     .place = place,
                                                     .field = path.key,
                                                     .may_be_secret = false,
                                                     .wants_resource = false});
    } catch (const Error& error) {
        return refuse_syntax(error, scalar, error_offset(error), path);
    }
}

bool ExpressionCheck::check_syntax(const Node& scalar, const Path& path) {
    try {
        const Expression compiled(scalar.text);
        return true;
    } catch (const Error& error) {
        return refuse_syntax(error, scalar, error_offset(error), path);
    }
}

bool ExpressionCheck::refuse_syntax(const Error& error, const Node& scalar, std::size_t offset, const Path& path) {
    file_.error(span_inside(file_, scalar, std::min(offset, scalar.text.size()), 1), path.text(),
                "this is no expression: " + error.message, error.hint);
    return false;
}

bool ExpressionCheck::check_names(const Expression& expression, const Use& use) {
    bool good = true;
    for (const NamePath& name : expression.names())
        good = check_name(name, use) && good;
    return good;
}

bool ExpressionCheck::check_name(const NamePath& name, const Use& use) {
    const std::string& root = name.parts.front();
    if (std::find(scope_.roots.begin(), scope_.roots.end(), root) == scope_.roots.end()) {
        std::vector<std::string> known = scope_.roots;
        known.insert(known.end(), library_names().begin(), library_names().end());
        if (root == "item")
            return refuse(name, use, "'item' belongs to `foreach`, which this version does not have yet");
        return refuse(name, use, "unknown name '" + root + "'" + did_you_mean(root, known),
                      "Expressions may name " + join(scope_.roots, ", ") + " here.");
    }
    if (is_step_root(root)) return keep_step_name(name, use);
    if (root == "inputs") return check_input(name, use);
    if (root == "resources") return check_resource(name, use);
    if (root == "secrets") return check_secret(name, use);
    if (root == "run") return check_member(name, use, run_members());
    return check_member(name, use, objective_members());
}

bool ExpressionCheck::check_input(const NamePath& name, const Use& use) {
    if (name.parts.size() < 2 || !scope_.inputs) return true;
    const std::string& input = name.parts[1];
    if (std::find(scope_.inputs->begin(), scope_.inputs->end(), input) != scope_.inputs->end()) return true;
    return refuse(name, use, "there is no input '" + input + "'" + did_you_mean(input, *scope_.inputs),
                  "Declare it under `inputs:`.");
}

bool ExpressionCheck::check_resource(const NamePath& name, const Use& use) {
    if (name.parts.size() < 2)
        return refuse(name, use, "'resources' has to be followed by a name that stands in the file",
                      "Write resources.<name>.<field>.");
    const std::string& resource = name.parts[1];
    const auto found = scope_.resources.find(resource);
    if (found == scope_.resources.end())
        return refuse(
            name, use,
            "'" + resource + "' is not " + scope_.resources_are + did_you_mean(resource, keys_of(scope_.resources)));
    if (found->second == "backup")
        return refuse(name, use, "'" + resource + "' is a backup set: it has no fields to name");
    if (name.parts.size() < 3)
        return refuse(name, use, "a resource has no value of its own: name one of its fields",
                      "Write resources." + resource + ".<field>.");

    const std::string& field = name.parts[2];
    std::vector<std::string> fields;
    bool secret = false;
    for (const ResourceSpec* type : types_of(specs_, found->second)) {
        for (const ParameterSpec& each : type->fields) {
            fields.push_back(each.name);
            secret = secret || (each.name == field && each.may_be_secret);
        }
    }
    if (std::find(fields.begin(), fields.end(), field) == fields.end())
        return refuse(name, use, "no " + found->second + " has a field '" + field + "'" + did_you_mean(field, fields));
    if (secret && !use.may_be_secret)
        return refuse(name, use, "'" + field + "' may be a secret, and '" + std::string(use.field) + "' takes none");
    return true;
}

bool ExpressionCheck::check_secret(const NamePath& name, const Use& use) {
    if (name.parts.size() < 2)
        return refuse(name, use, "'secrets' has to be followed by a name that stands in the file",
                      "Write secrets.<name>.");
    const std::string& secret = name.parts[1];
    if (scope_.secrets && std::find(scope_.secrets->begin(), scope_.secrets->end(), secret) == scope_.secrets->end())
        return refuse(name, use, "there is no secret '" + secret + "'" + did_you_mean(secret, *scope_.secrets),
                      "Declare it under `secrets:`.");
    if (use.may_be_secret) return true;
    return refuse(name, use, "a secret may not stand in '" + std::string(use.field) + "'",
                  "Secrets go only where a field or parameter takes them: they are never written down elsewhere.");
}

bool ExpressionCheck::check_member(const NamePath& name, const Use& use, const std::vector<std::string>& members) {
    const std::string& root = name.parts.front();
    if (name.parts.size() < 2)
        return refuse(name, use, "'" + root + "' has no value of its own: name one of its members",
                      "They are " + join(members, ", ") + ".");
    const std::string& member = name.parts[1];
    if (std::find(members.begin(), members.end(), member) != members.end()) return true;
    return refuse(name, use, "'" + root + "' has no '" + member + "'" + did_you_mean(member, members),
                  "It has " + join(members, ", ") + ".");
}

bool ExpressionCheck::keep_step_name(const NamePath& name, const Use& use) {
    const std::string& root = name.parts.front();
    const auto part = [&name](std::size_t i) { return i < name.parts.size() ? name.parts[i] : std::string(); };
    if (name.parts.size() < 2)
        return refuse(name, use, "'" + root + "' has to be followed by the id of a step",
                      "Write " + root + ".<id>.outputs.<name>.");
    step_names_.push_back({.place = use.place,
                           .root = root,
                           .id = part(1),
                           .member = part(2),
                           .output = part(2) == "outputs" ? part(3) : std::string(),
                           .span = span_of_name(name, use),
                           .path = use.path.text(),
                           .field = std::string(use.field),
                           .may_be_secret = use.may_be_secret,
                           .wants_resource = use.wants_resource});
    return true;
}

SourceSpan ExpressionCheck::span_of_name(const NamePath& name, const Use& use) const {
    const std::size_t offset = use.offset + name.offset;
    std::string dotted = join(name.parts, ".");
    if (use.scalar.text.compare(offset, dotted.size(), dotted) != 0) dotted = name.parts.front();
    return span_inside(file_, use.scalar, offset, dotted.size());
}

bool ExpressionCheck::refuse(const NamePath& name, const Use& use, std::string message, std::string hint) {
    file_.error(span_of_name(name, use), use.path.text(), std::move(message), std::move(hint));
    return false;
}

}  // namespace lifeboat
