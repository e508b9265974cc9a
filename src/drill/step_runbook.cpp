#include "drill/step_runbook.h"

#include <algorithm>

#include "base/text.h"
#include "drill/yaml_text.h"
#include "script/expression.h"

namespace lifeboat {

namespace {

// A value as Lua writes it; only scalars have a spelling that is an expression.
std::string lua_literal(const Json& value, const std::string& name) {
    if (value.is_null()) return "nil";
    if (value.is_boolean() || value.is_number()) return value.dump();
    if (value.is_string()) {
        std::string quoted = "\"";
        for (const char c : value.get_ref<const std::string&>()) {
            const auto byte = static_cast<unsigned char>(c);
            if (c == '"' || c == '\\') {
                quoted += '\\';
                quoted += c;
            } else if (byte < 32 || byte == 127 || c == '$' || c == '}') {
                // decimal escapes have to be three digits long when a digit follows
                std::string digits = std::to_string(byte);
                quoted += '\\' + std::string(3 - digits.size(), '0') + digits;
            } else {
                quoted += c;
            }
        }
        return quoted + "\"";
    }
    throw Error{ErrorCode::unsupported,
                "'" + name + "' is a list or a map: it cannot stand inside a larger expression here",
                "Let the expression be nothing but that name, or name one of its fields."};
}

// How far a static look-up reaches in its expression: `.part`, `['part']` or `["part"]` for each part behind the first.
std::size_t length_of(const NamePath& name, const std::string& text) {
    const auto skip_blanks = [&text](std::size_t at) {
        const std::size_t next = text.find_first_not_of(" \t\r\n", at);
        return next == std::string::npos ? text.size() : next;
    };
    std::size_t at = name.offset + name.parts.front().size();
    for (std::size_t i = 1; i < name.parts.size(); ++i) {
        const std::string& part = name.parts[i];
        std::size_t next = skip_blanks(at);
        if (text.compare(next, 1, ".") == 0) {
            next = skip_blanks(next + 1);
            at = text.compare(next, part.size(), part) == 0 ? next + part.size() : std::string::npos;
        } else {
            next = skip_blanks(next + 1);
            at = text.compare(next, part.size() + 2, "'" + part + "'") == 0 ||
                         text.compare(next, part.size() + 2, "\"" + part + "\"") == 0
                     ? text.find(']', next + part.size() + 2)
                     : std::string::npos;
            if (at != std::string::npos) ++at;
        }
        if (at == std::string::npos) {
            throw Error{ErrorCode::unsupported, "cannot take apart the expression '" + text + "'",
                        "Write the name as " + join(name.parts, ".") + "."};
        }
    }
    return at - name.offset;
}

class Binder {
  public:
    Binder(std::string_view root, const Json& known) : root_(root), known_(known) {}

    Json bind(const Json& value) const {
        if (value.is_string()) return bind_text(value.get_ref<const std::string&>());
        if (!value.is_structured()) return value;
        Json bound = value;
        for (auto& each : bound)
            each = bind(each);
        return bound;
    }

    // A bare expression with its known names put in and its own list called `steps`.
    std::string bind_expression(const Expression& expression) const {
        std::string text = expression.text();
        std::vector<NamePath> names = expression.names();
        std::sort(names.begin(), names.end(), [](const NamePath& a, const NamePath& b) { return a.offset > b.offset; });
        for (const NamePath& name : names) {
            const std::string& first = name.parts.front();
            if (first == root_) {
                text.replace(name.offset, first.size(), "steps");
            } else if (known_.contains(first)) {
                const std::string path = join(name.parts, ".");
                text.replace(name.offset, length_of(name, text), lua_literal(look_up(name), path));
            }
        }
        return text;
    }

  private:
    Json bind_text(const std::string& text) const {
        const Template parsed(text);
        if (parsed.is_plain()) return text;
        if (parsed.parts().size() == 1 && is_known(*parsed.parts().front().expression))
            return literally(parsed.expand(known_));
        std::string bound;
        for (const Template::Part& part : parsed.parts()) {
            if (!part.expression) {
                bound += literally(part.literal).get<std::string>();
            } else if (is_known(*part.expression)) {
                bound += literally(Template("${{" + part.expression->text() + "}} ").expand(known_)).get<std::string>();
                bound.pop_back();
            } else {
                bound += "${{" + bind_expression(*part.expression) + "}}";
            }
        }
        return bound;
    }

    bool is_known(const Expression& expression) const {
        return std::all_of(expression.names().begin(), expression.names().end(),
                           [this](const NamePath& name) { return known_.contains(name.parts.front()); });
    }

    Json look_up(const NamePath& name) const {
        const Json* value = &known_;
        for (const std::string& part : name.parts) {
            if (value->is_null()) return nullptr;
            if (!value->is_object() || !value->contains(part))
                throw Error{ErrorCode::expression_failed, "there is no '" + join(name.parts, ".") + "'"};
            value = &(*value)[part];
        }
        return *value;
    }

    std::string root_;
    const Json& known_;
};

void put(Json& into, const char* key, const Json& value) {
    if (!value.is_null()) into[key] = value;
}

Json answer_yaml(const Json& answer) {
    Json yaml = Json::object();
    if (answer.contains("argv")) {
        yaml["run"] = answer["argv"];
        put(yaml, "env", answer.value("environment", Json()));
        put(yaml, "folder", answer.value("folder", Json()));
    } else {
        yaml["lua"] = answer["script"];
        put(yaml, "with", answer.value("arguments", Json()));
    }
    return yaml;
}

// The keys that a deed was written with (runbook/deeds.cpp reads them).
void put_deed(Json& yaml, const Deed& deed, const Binder& binder) {
    const Json arguments = binder.bind(deed.arguments);
    if (deed.action != "run" && deed.action != "lua") {
        yaml["uses"] = deed.action;
        Json with = Json::object();
        for (const auto& [name, value] : arguments.items())
            put(with, name.c_str(), value);
        if (!with.empty()) yaml["with"] = with;
        return;
    }
    yaml.update(answer_yaml(arguments));
    yaml["effect"] = to_text(deed.effect);
    if (deed.proves != Proves::nothing) yaml["proves"] = to_text(deed.proves);
    if (deed.reopens) yaml["reopens"] = true;
    if (deed.repeatable) yaml["repeatable"] = true;
    for (const char* name : {"undo", "probe"})
        if (arguments.contains(name) && arguments[name].is_object()) yaml[name] = answer_yaml(arguments[name]);
    if (arguments.contains("outputs") && !arguments["outputs"].empty()) yaml["outputs"] = arguments["outputs"];
}

Json retry_yaml(const Retry& retry) {
    Json codes = Json::array();
    for (const ErrorCode code : retry.retry_on)
        codes.push_back(info(code).name);
    Json yaml{{"max_attempts", retry.max_attempts},
              {"initial_interval", to_text(retry.initial_interval)},
              {"backoff_coefficient", retry.backoff_coefficient},
              {"max_interval", to_text(retry.max_interval)},
              {"jitter", retry.jitter}};
    if (!codes.empty()) yaml["retry_on"] = codes;
    return yaml;
}

Json step_yaml(const Step& step, const std::vector<Step>& steps, std::size_t index, const Binder& binder) {
    Json yaml{{"id", step.id}};
    if (!step.doc.empty()) yaml["doc"] = step.doc;
    if (!step.condition.empty()) yaml["if"] = binder.bind_expression(Expression(step.condition));
    const bool after_the_one_above =
        index == 0 ? step.needs.empty() : step.needs == std::vector<std::size_t>{index - 1};
    if (!after_the_one_above) {
        Json needs = Json::array();
        for (const std::size_t each : step.needs)
            needs.push_back(steps[each].id);
        yaml["needs"] = needs;
    }
    put_deed(yaml, step.deed, binder);
    if (step.fallback) put_deed(yaml["fallback"] = Json::object(), *step.fallback, binder);
    if (step.rollback) put_deed(yaml["rollback"] = Json::object(), *step.rollback, binder);
    if (step.retry.max_attempts > 1) yaml["retry"] = retry_yaml(step.retry);
    if (step.timeout) yaml["timeout"] = to_text(*step.timeout);
    if (step.heartbeat) yaml["heartbeat"] = to_text(*step.heartbeat);
    if (step.on_failure != OnFailure::rollback) yaml["on_failure"] = to_text(step.on_failure);
    if (step.reopens_elsewhere) yaml["reopens"] = false;
    if (step.safe_in_drill) yaml["drill"] = "safe";
    return yaml;
}

}  // namespace

Json literally(const Json& value) {
    if (value.is_string()) {
        const auto& text = value.get_ref<const std::string&>();
        std::string escaped;
        for (std::size_t at = 0; at < text.size();) {
            if (text.compare(at, 3, "${{") == 0) {
                escaped += "$${{";
                at += 3;
            } else {
                escaped += text[at++];
            }
        }
        return escaped;
    }
    if (!value.is_structured()) return value;
    Json escaped = value;
    for (auto& each : escaped)
        each = literally(each);
    return escaped;
}

std::string step_runbook(const std::string& name, std::string_view root, const std::vector<Step>& steps,
                         const std::vector<Requirement>& requirements, const Json& known) {
    const Binder binder(root, known);
    Json needed = Json::object();
    for (const Requirement& each : requirements)
        needed[each.name] = each.kind;
    Json list = Json::array();
    for (std::size_t i = 0; i < steps.size(); ++i)
        list.push_back(step_yaml(steps[i], steps, i, binder));
    return yaml_text(
        {{"lifeboat", "runbook/v1"}, {"name", name}, {"requires", needed}, {"max_parallel", 1}, {"steps", list}});
}

}  // namespace lifeboat
