#include "runbook/fields.h"

#include <algorithm>

#include "base/text.h"

namespace lifeboat {

Fields::Fields(ValueCheck& check, const Node& map, const Table& table, const Path& path)
    : check_(check), map_(map), table_(table), path_(path) {
    found_.reserve(map.entries.size());
    for (const Entry& entry : map.entries) {
        const std::string& key = entry.key.text;
        const Path here = at(key);
        const auto field = std::find_if(table.fields.begin(), table.fields.end(),
                                        [&key](const Field& each) { return each.spec.name == key; });
        if (field == table.fields.end()) {
            if (file().full()) continue;
            if (std::find(table.later.begin(), table.later.end(), key) != table.later.end()) {
                file().error(span_of(file(), entry.key), here.text(),
                             "'" + key + "' is not in this version of lifeboat yet",
                             "Remove it, or use a version that has it.");
                continue;
            }
            std::vector<std::string> names;
            for (const Field& each : table.fields)
                names.push_back(each.spec.name);
            file().error(span_of(file(), entry.key), here.text(),
                         "unknown key '" + key + "' in " + table.subject + did_you_mean(key, names));
            continue;
        }
        Found found{.field = &*field, .entry = &entry, .value = nullptr, .good = true};
        if (field->part.empty()) {
            found.value = check.value(entry.value, field->spec, here, nullptr);
            found.good = !found.value.is_null();
        } else if (field->spec.type == ValueType::list) {
            found.good = check.is(Node::Kind::list, entry.value, here);
        } else if (field->spec.type == ValueType::map) {
            found.good = check.is(Node::Kind::map, entry.value, here);
        }
        found_.push_back(std::move(found));
    }
    for (const Field& field : table.fields)
        if (field.spec.required && map.entry(field.spec.name) == nullptr)
            file().error(span_of(file(), map), path.text(), table.subject + " needs '" + field.spec.name + "'",
                         field.spec.doc);
}

const Fields::Found* Fields::find(std::string_view name) const {
    const auto found =
        std::find_if(found_.begin(), found_.end(), [name](const Found& each) { return each.field->spec.name == name; });
    return found == found_.end() ? nullptr : &*found;
}

bool Fields::has(std::string_view name) const {
    return find(name) != nullptr;
}

const Key* Fields::key(std::string_view name) const {
    const Found* found = find(name);
    return found == nullptr ? nullptr : &found->entry->key;
}

const Node* Fields::node(std::string_view name) const {
    const Found* found = find(name);
    return found == nullptr || !found->good ? nullptr : &found->entry->value;
}

Json Fields::value(std::string_view name) const {
    if (const Found* found = find(name)) return found->value;
    for (const Field& field : table_.fields)
        if (field.spec.name == name) return field.spec.default_value;
    return nullptr;
}

std::string Fields::text(std::string_view name) const {
    const Json found = value(name);
    return found.is_string() ? found.get<std::string>() : std::string();
}

std::optional<bool> Fields::boolean(std::string_view name) const {
    const Json found = value(name);
    return found.is_boolean() ? std::optional(found.get<bool>()) : std::nullopt;
}

std::optional<Duration> Fields::duration(std::string_view name) const {
    const Json found = value(name);
    return found.is_string() ? parse_duration(found.get_ref<const std::string&>()) : std::nullopt;
}

std::vector<std::string> Fields::texts(std::string_view name) const {
    std::vector<std::string> all;
    for (const Json& each : value(name))
        if (each.is_string()) all.push_back(each.get<std::string>());
    return all;
}

const ParameterSpec& Fields::declaration(std::string_view name) const {
    return find(name)->field->spec;
}

SourceSpan Fields::span(std::string_view name) const {
    const Found* found = find(name);
    return found == nullptr ? span_of(file(), map_) : span_of(file(), found->entry->value);
}

void Fields::wrong(std::string_view name, std::string message, std::string hint) const {
    const Key* at_key = key(name);
    file().error(at_key != nullptr ? span_of(file(), *at_key) : span_of(file(), map_), at(name).text(),
                 std::move(message), std::move(hint));
}

}  // namespace lifeboat
