#include "runbook/values.h"

#include <algorithm>

#include "base/size.h"
#include "base/text.h"
#include "base/time.h"
#include "runbook/words.h"

namespace lifeboat {

namespace {

bool is_blank(std::string_view text) {
    return trim(text).empty();
}

// A word for the field in messages: its key, or what it is an item of.
std::string called(const ParameterSpec& wanted) {
    return "'" + wanted.name + "'";
}

// All choices as a hint, unless they are too many to help.
std::string listed(const std::vector<std::string>& choices) {
    return choices.size() > 15 ? "" : "It is one of " + join(choices, ", ") + ".";
}

// What a list's items are checked against.
ParameterSpec element_of(const ParameterSpec& list) {
    ParameterSpec element{.name = list.name, .type = list.element, .required = true};
    if (!list.fields.empty()) {
        element.type = ValueType::map;
        element.fields = list.fields;
    }
    element.choices = list.choices;
    element.kind = list.kind;
    element.target = list.target;
    element.may_be_secret = list.may_be_secret;
    return element;
}

bool is_written_as_text(ValueType type) {
    switch (type) {
        case ValueType::text:
        case ValueType::duration:
        case ValueType::size:
        case ValueType::rate:
        case ValueType::timestamp:
        case ValueType::path:
        case ValueType::expression:
        case ValueType::resource:
            return true;
        case ValueType::integer:
        case ValueType::number:
        case ValueType::boolean:
        case ValueType::list:
        case ValueType::map:
        case ValueType::any:
            return false;
    }
    return false;
}

}  // namespace

std::string_view described(ValueType type) {
    switch (type) {
        case ValueType::text:
            return "text";
        case ValueType::integer:
            return "an integer";
        case ValueType::number:
            return "a number";
        case ValueType::boolean:
            return "a boolean";
        case ValueType::duration:
            return "a duration";
        case ValueType::size:
            return "a size";
        case ValueType::rate:
            return "a rate";
        case ValueType::timestamp:
            return "a timestamp";
        case ValueType::path:
            return "a path";
        case ValueType::list:
            return "a list";
        case ValueType::map:
            return "a map";
        case ValueType::any:
            return "a value";
        case ValueType::expression:
            return "an expression";
        case ValueType::resource:
            return "a resource";
    }
    return "";
}

std::string_view advice(ValueType type) {
    switch (type) {
        case ValueType::boolean:
            return "Write true or false.";
        case ValueType::duration:
            return "Durations have units, such as 250ms, 90s, 10m, 1h30m or 7d.";
        case ValueType::size:
            return "Sizes have units, such as 512B, 20MiB or 1.5GB.";
        case ValueType::rate:
            return "Rates are sizes by the second, such as 20MiB/s.";
        case ValueType::timestamp:
            return "Write RFC 3339 with a zone, such as 2026-02-01T02:00:00Z.";
        case ValueType::text:
        case ValueType::integer:
        case ValueType::number:
        case ValueType::path:
        case ValueType::list:
        case ValueType::map:
        case ValueType::any:
        case ValueType::expression:
        case ValueType::resource:
            return "";
    }
    return "";
}

bool is_valid_text(ValueType type, std::string_view text) {
    switch (type) {
        case ValueType::duration:
            return parse_duration(text).has_value();
        case ValueType::size:
            return parse_bytes(text).has_value();
        case ValueType::rate:
            return parse_rate(text).has_value();
        case ValueType::timestamp:
            return parse_timestamp(text).has_value();
        case ValueType::path:
            return !is_boundless(text);
        case ValueType::text:
        case ValueType::integer:
        case ValueType::number:
        case ValueType::boolean:
        case ValueType::list:
        case ValueType::map:
        case ValueType::any:
        case ValueType::expression:
        case ValueType::resource:
            return true;
    }
    return true;
}

bool is_boundless(std::string_view text) {
    text = trim(text);
    // nothing but dots, slashes and stars: here, above, the root, everything
    return text.find_first_not_of("./*~") == std::string_view::npos;
}

Json ValueCheck::wrong(const Node& node, const Path& path, std::string message, std::string hint) {
    file_.error(span_of(file_, node), path.text(), std::move(message), std::move(hint));
    return nullptr;
}

Json ValueCheck::wrong_type(const Node& node, const ParameterSpec& wanted, const Path& path) {
    if (node.kind == Node::Kind::null)
        return wrong(node, path, called(wanted) + " has no value", "Give it one, or remove the key.");
    std::string hint(advice(wanted.type));
    if (node.is_scalar() && node.kind != Node::Kind::text) {
        if (wanted.type == ValueType::duration) hint = "Write " + node.text + "s if seconds are meant.";
        if (wanted.type == ValueType::size) hint = "Write " + node.text + "MiB if mebibytes are meant.";
        if (wanted.type == ValueType::text || wanted.type == ValueType::path) hint = "Quote it: \"" + node.text + "\".";
    }
    return wrong(
        node, path,
        called(wanted) + " wants " + std::string(described(wanted.type)) + ", not " + std::string(described(node.kind)),
        hint);
}

bool ValueCheck::is(Node::Kind kind, const Node& node, const Path& path) {
    if (node.kind == kind) return true;
    ParameterSpec wanted{.name = std::string(path.key)};
    if (path.index != Path::no_index && path.parent != nullptr) wanted.name = std::string(path.parent->key);
    if (kind == Node::Kind::list) wanted.type = ValueType::list;
    if (kind == Node::Kind::map) wanted.type = ValueType::map;
    wrong_type(node, wanted, path);
    return false;
}

Json ValueCheck::value(const Node& node, const ParameterSpec& wanted, const Path& path, const Place* place) {
    if (node.reported) return nullptr;
    if (wanted.type == ValueType::any) return anything(node, wanted, path, place);
    if (wanted.type == ValueType::resource) return resource(node, wanted, path, place);
    if (node.kind == Node::Kind::text && (is_written_as_text(wanted.type) || has_expression(node.text)))
        return text(node, wanted, path, place);
    if (wanted.type == ValueType::list && node.kind == Node::Kind::list) return list(node, wanted, path, place);
    if (wanted.type == ValueType::map && node.kind == Node::Kind::map) return map(node, wanted, path, place);
    return scalar(node, wanted, path);
}

Json ValueCheck::scalar(const Node& node, const ParameterSpec& wanted, const Path& path) {
    const bool whole = node.kind == Node::Kind::integer;
    if (wanted.type == ValueType::boolean && node.kind == Node::Kind::boolean) return to_json(node);
    if (wanted.type == ValueType::integer && whole) return to_json(node);
    if (wanted.type == ValueType::number && (whole || node.kind == Node::Kind::number)) return to_json(node);
    if (wanted.type == ValueType::expression && node.is_scalar()) return node.text;
    return wrong_type(node, wanted, path);
}

Json ValueCheck::text(const Node& node, const ParameterSpec& wanted, const Path& path, const Place* place) {
    if (!has_expression(node.text)) return plain_text(node, wanted, path);
    if (place == nullptr) return wrong(node, path, called(wanted) + " takes no expressions");
    return expressions_.check_template(node, wanted, path, *place) ? Json(node.text) : Json(nullptr);
}

Json ValueCheck::plain_text(const Node& node, const ParameterSpec& wanted, const Path& path) {
    const std::string& text = node.text;
    const bool is_place = wanted.type == ValueType::path || wanted.name == "host";
    if (is_blank(text) && (wanted.required || is_place || wanted.type != ValueType::text))
        return wrong(node, path, called(wanted) + " is empty", "Give it a value, or remove the key.");
    if (is_place && is_boundless(text))
        return wrong(node, path, called(wanted) + " may not be '" + text + "'",
                     "Name one " + std::string(wanted.name == "host" ? "host" : "place") + " and no more.");
    if (!wanted.choices.empty() &&
        std::find(wanted.choices.begin(), wanted.choices.end(), text) == wanted.choices.end())
        return wrong(node, path, called(wanted) + " cannot be '" + text + "'" + did_you_mean(text, wanted.choices),
                     listed(wanted.choices));
    if (wanted.type == ValueType::expression) return expressions_.check_syntax(node, path) ? Json(text) : Json(nullptr);
    if (!is_valid_text(wanted.type, text))
        return wrong(node, path, "'" + text + "' is not " + std::string(described(wanted.type)),
                     std::string(advice(wanted.type)));
    return text;
}

Json ValueCheck::list(const Node& node, const ParameterSpec& wanted, const Path& path, const Place* place) {
    if (node.items.empty() && wanted.required)
        return wrong(node, path, called(wanted) + " is empty", "An empty list would mean nothing, or everything.");
    const ParameterSpec element = element_of(wanted);
    Json items = Json::array();
    for (std::size_t i = 0; i < node.items.size(); ++i) {
        const Path item{.parent = &path, .key = {}, .index = i};
        items.push_back(value(node.items[i], element, item, place));
    }
    return items;
}

Json ValueCheck::map(const Node& node, const ParameterSpec& wanted, const Path& path, const Place* place) {
    if (wanted.fields.empty()) return anything(node, wanted, path, place);
    return record(node, wanted.fields, path, place, called(wanted));
}

Json ValueCheck::record(const Node& map, const std::vector<ParameterSpec>& fields, const Path& path, const Place* place,
                        const std::string& subject, const std::vector<std::string>& known_otherwise) {
    Json values = Json::object();
    for (const Entry& entry : map.entries) {
        const std::string& key = entry.key.text;
        const Path here{.parent = &path, .key = key};
        const auto field =
            std::find_if(fields.begin(), fields.end(), [&key](const ParameterSpec& each) { return each.name == key; });
        if (field != fields.end()) {
            values[key] = value(entry.value, *field, here, place);
        } else if (!file_.full() &&
                   std::find(known_otherwise.begin(), known_otherwise.end(), key) == known_otherwise.end()) {
            std::vector<std::string> names = known_otherwise;
            for (const ParameterSpec& each : fields)
                names.push_back(each.name);
            file_.error(span_of(file_, entry.key), here.text(),
                        subject + " has no '" + key + "'" + did_you_mean(key, names),
                        names.empty() ? "It takes nothing." : "It takes " + join(names, ", ") + ".");
        }
    }
    for (const ParameterSpec& field : fields) {
        if (map.entry(field.name) != nullptr) continue;
        if (field.required) {
            file_.error(span_of(file_, map), path.text(), subject + " needs '" + field.name + "'", field.doc);
        } else if (!field.default_value.is_null()) {
            values[field.name] = field.default_value;
        }
    }
    return values;
}

Json ValueCheck::anything(const Node& node, const ParameterSpec& wanted, const Path& path, const Place* place) {
    if (node.reported) return nullptr;
    switch (node.kind) {
        case Node::Kind::text:
            return has_expression(node.text) ? text(node, wanted, path, place) : Json(node.text);
        case Node::Kind::list: {
            Json items = Json::array();
            for (std::size_t i = 0; i < node.items.size(); ++i)
                items.push_back(anything(node.items[i], wanted, {.parent = &path, .key = {}, .index = i}, place));
            return items;
        }
        case Node::Kind::map: {
            Json values = Json::object();
            for (const Entry& entry : node.entries) {
                const Path here{.parent = &path, .key = entry.key.text};
                if (has_expression(entry.key.text))
                    file_.error(span_of(file_, entry.key), here.text(), "a key takes no expressions");
                values[entry.key.text] = anything(entry.value, wanted, here, place);
            }
            return values;
        }
        case Node::Kind::null:
        case Node::Kind::boolean:
        case Node::Kind::integer:
        case Node::Kind::number:
            return to_json(node);
    }
    return nullptr;
}

Json ValueCheck::resource(const Node& node, const ParameterSpec& wanted, const Path& path, const Place* place) {
    if (node.kind == Node::Kind::map) return derived_resource(node, wanted, path, place);
    if (node.kind != Node::Kind::text) return wrong_type(node, wanted, path);
    if (has_expression(node.text)) return text(node, wanted, path, place);
    return check_resource_name(node, wanted, path) ? Json(node.text) : Json(nullptr);
}

bool ValueCheck::check_resource_name(const Node& name, const ParameterSpec& wanted, const Path& path) {
    const Scope& scope = expressions_.scope();
    const auto found = scope.resources.find(name.text);
    if (found == scope.resources.end()) {
        std::vector<std::string> names;
        for (const auto& [each, kind] : scope.resources)
            names.push_back(each);
        wrong(name, path, "'" + name.text + "' is not " + scope.resources_are + did_you_mean(name.text, names),
              wanted.kind.empty() ? "" : called(wanted) + " wants " + wanted.kind + ".");
        return false;
    }
    const std::string& kind = found->second;
    const std::vector<std::string> kinds = split(wanted.kind, '|');
    const bool wants_backup = std::find(kinds.begin(), kinds.end(), "backup") != kinds.end();
    bool fits = kind == "backup" ? wants_backup : wanted.kind.empty();
    for (const ResourceSpec* type : types_of(specs_, kind == "backup" ? "-" : kind))
        fits = fits || is_a(*type, wanted.kind);
    if (fits) return true;
    wrong(name, path, "'" + name.text + "' is " + with_article(kind) + ", " + called(wanted) + " wants " + wanted.kind);
    return false;
}

Json ValueCheck::derived_resource(const Node& node, const ParameterSpec& wanted, const Path& path, const Place* place) {
    const Node* of = node.at("of");
    if (of == nullptr || of->kind != Node::Kind::text || has_expression(of->text))
        return wrong(node, path, "a derived resource says what it is made `of`",
                     "Write {of: <name>, <field>: <value>}.");
    const Path of_path{.parent = &path, .key = "of"};
    if (!check_resource_name(*of, wanted, of_path)) return nullptr;
    std::vector<ParameterSpec> fields;
    for (const ResourceSpec* type : types_of(specs_, expressions_.scope().resources.at(of->text)))
        for (ParameterSpec field : type->fields) {
            if (std::any_of(fields.begin(), fields.end(),
                            [&field](const ParameterSpec& each) { return each.name == field.name; }))
                continue;
            field.required = false;
            field.default_value = nullptr;
            fields.push_back(std::move(field));
        }
    Json value = record(node, fields, path, place, "'" + of->text + "'", {"of"});
    value["of"] = of->text;
    return value;
}

}  // namespace lifeboat
