// JSON Schemas for editors, derived from the tables that the checks use.
#include "runbook/format.h"
#include "runbook/load.h"
#include "runbook/tables.h"
#include "runbook/words.h"

namespace lifeboat {

namespace {

constexpr const char* expression_pattern = "\\$\\{\\{";

Json reference(const std::string& part) {
    return {{"$ref", "#/$defs/" + part}};
}

Json typed(const char* type) {
    return {{"type", type}};
}

Json map_of(Json values) {
    return {{"type", "object"}, {"additionalProperties", std::move(values)}};
}

Json text_with_pattern(const char* pattern) {
    return {{"type", "string"}, {"pattern", pattern}};
}

Json schema_for(const ParameterSpec& spec, bool expressions);

// The keys of `fields` and no others; `more` are keys that something else describes.
Json record_schema(const std::vector<ParameterSpec>& fields, bool expressions) {
    Json schema{{"type", "object"}, {"additionalProperties", false}};
    Json properties = Json::object();
    Json required = Json::array();
    for (const ParameterSpec& field : fields) {
        properties[field.name] = schema_for(field, expressions);
        if (field.required) required.push_back(field.name);
    }
    schema["properties"] = properties;
    if (!required.empty()) schema["required"] = required;
    return schema;
}

Json list_schema(const ParameterSpec& spec, bool expressions) {
    Json schema{{"type", "array"}};
    if (spec.required) schema["minItems"] = 1;
    if (!spec.fields.empty()) {
        schema["items"] = record_schema(spec.fields, expressions);
    } else {
        schema["items"] = schema_for({.name = spec.name, .type = spec.element, .choices = spec.choices}, expressions);
    }
    return schema;
}

Json plain_schema(const ParameterSpec& spec, bool expressions) {
    switch (spec.type) {
        case ValueType::text: {
            if (spec.choices.empty()) return typed("string");
            Json schema{{"type", "string"}};
            schema["enum"] = spec.choices;
            return schema;
        }
        case ValueType::integer:
            return typed("integer");
        case ValueType::number:
            return typed("number");
        case ValueType::boolean:
            return typed("boolean");
        case ValueType::duration:
            return text_with_pattern("^([0-9.]+(w|d|h|ms|m|us|s))+$|^P");
        case ValueType::size:
            return text_with_pattern("^[0-9.]+ *([KMGTPE]i?)?B$");
        case ValueType::rate:
            return text_with_pattern("^[0-9.]+ *([KMGTPE]i?)?B/s$");
        case ValueType::timestamp:
            return text_with_pattern("^([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]|now$)");
        case ValueType::path:
            return {{"type", "string"}, {"minLength", 1}};
        case ValueType::list:
            return list_schema(spec, expressions);
        case ValueType::map:
            return spec.fields.empty() ? typed("object") : record_schema(spec.fields, expressions);
        case ValueType::any:
            return Json::object();
        case ValueType::expression:
            return {{"type", {"string", "boolean", "number"}}};
        case ValueType::resource: {
            Json derived{{"type", "object"}, {"properties", {{"of", typed("string")}}}};
            derived["required"] = Json::array({"of"});
            return {{"anyOf", Json::array({typed("string"), derived})}};
        }
    }
    return Json::object();
}

Json schema_for(const ParameterSpec& spec, bool expressions) {
    Json schema = plain_schema(spec, expressions);
    const bool text_anyway = spec.type == ValueType::any || spec.type == ValueType::resource ||
                             spec.type == ValueType::expression ||
                             (spec.type == ValueType::text && spec.choices.empty()) || spec.type == ValueType::path;
    if (expressions && !text_anyway) schema = {{"anyOf", Json::array({schema, text_with_pattern(expression_pattern)})}};
    if (!spec.doc.empty()) schema["description"] = spec.doc;
    if (!spec.default_value.is_null()) schema["default"] = spec.default_value;
    return schema;
}

Json table_schema(const Table& table) {
    Json schema{{"type", "object"}, {"additionalProperties", false}};
    Json properties = Json::object();
    Json required = Json::array();
    for (const Field& field : table.fields) {
        Json property = schema_for(field.spec, false);
        if (!field.part.empty()) {
            property = {{"$ref", "#/$defs/" + field.part}};
            if (!field.spec.doc.empty()) property["description"] = field.spec.doc;
        }
        properties[field.spec.name] = std::move(property);
        if (field.spec.required) required.push_back(field.spec.name);
    }
    schema["properties"] = properties;
    if (!required.empty()) schema["required"] = required;
    return schema;
}

Json one_of_keys(std::initializer_list<const char*> keys) {
    Json ways = Json::array();
    for (const char* key : keys)
        ways.push_back({{"required", Json::array({key})}});
    return ways;
}

// `with` follows from `uses`.
Json action_rules(const Specs& specs) {
    Json rules = Json::array();
    for (const ActionSpec& action : specs.actions) {
        if (action.name == "run" || action.name == "lua") continue;
        Json then{{"properties", {{"with", record_schema(action.parameters, true)}}}};
        for (const ParameterSpec& parameter : action.parameters)
            if (parameter.required) then["required"] = Json::array({"with"});
        rules.push_back(
            {{"if", {{"properties", {{"uses", {{"const", action.name}}}}}, {"required", Json::array({"uses"})}}},
             {"then", then}});
    }
    return rules;
}

Json deed_schema(const Table& table, const Specs& specs) {
    Json schema = table_schema(table);
    Json names = Json::array();
    for (const ActionSpec& action : specs.actions)
        if (action.name != "run" && action.name != "lua") names.push_back(action.name);
    schema["properties"]["uses"] = {
        {"type", "string"}, {"enum", names}, {"description", "The built-in action that does it."}};
    schema["oneOf"] = one_of_keys({"uses", "run", "lua"});
    if (Json rules = action_rules(specs); !rules.empty()) schema["allOf"] = std::move(rules);
    return schema;
}

void add_step_parts(Json& parts, const Specs& specs) {
    const StepTables tables = step_tables();
    parts["step"] = deed_schema(tables.step, specs);
    parts["always_step"] = deed_schema(tables.always, specs);
    parts["fallback"] = deed_schema(tables.fallback, specs);
    parts["rollback"] = deed_schema(tables.rollback, specs);
    parts["undo"] = table_schema(tables.undo);
    parts["undo"]["oneOf"] = one_of_keys({"run", "lua"});
    parts["steps"] = {{"type", "array"}, {"items", reference("step")}};
    parts["always"] = {{"type", "array"}, {"items", reference("always_step")}};
    parts["arguments"] = typed("object");
    parts["argv"] = {{"type", "array"}, {"items", typed("string")}, {"minItems", 1}};
    parts["environment"] = map_of(typed("string"));
    parts["templated_text"] = typed("string");
    parts["condition"] = {{"type", {"string", "boolean", "number"}}};
    Json types{{"type", "string"}};
    types["enum"] = output_type_names();
    parts["outputs"] = map_of(types);
}

void add_runbook_parts(Json& parts, const Specs& specs) {
    const RunbookTables tables = runbook_tables();
    add_step_parts(parts, specs);
    parts["contacts"] = {{"type", "array"}, {"items", table_schema(tables.contact)}};
    Json kinds{{"type", "string"}};
    kinds["enum"] = kind_names(specs);
    kinds["enum"].push_back("backup");
    parts["requires"] = map_of(kinds);
    parts["inputs"] = map_of(table_schema(tables.input));
}

// A resource: its fields follow from its type.
Json resources_schema(const Specs& specs, const std::vector<ParameterSpec>* sandbox) {
    Json types = Json::array();
    Json rules = Json::array();
    for (const ResourceSpec& resource : specs.resources) {
        types.push_back(resource.type);
        std::vector<ParameterSpec> fields = resource.fields;
        if (sandbox != nullptr && resource.usable_in_sandbox) {
            for (ParameterSpec& field : fields)
                field.required = false;
            fields.insert(fields.end(), sandbox->begin(), sandbox->end());
        }
        Json then = record_schema(fields, true);
        then["properties"]["type"] = {{"const", resource.type}, {"description", resource.summary}};
        rules.push_back({{"if", {{"properties", {{"type", {{"const", resource.type}}}}}}}, {"then", then}});
    }
    Json resource{{"type", "object"}, {"properties", {{"type", {{"type", "string"}, {"enum", types}}}}}};
    resource["required"] = Json::array({"type"});
    if (!rules.empty()) resource["allOf"] = rules;
    return map_of(resource);
}

void add_backup_parts(Json& parts, const Table& backup_set) {
    Json set = table_schema(backup_set);
    set["oneOf"] = one_of_keys({"of", "foreign"});
    parts["backups"] = map_of(set);
    for (const Field& field : backup_set.fields) {
        if (field.part == "foreign") {
            const Json one = record_schema(field.spec.fields, false);
            parts[field.part] = {{"anyOf", Json::array({one, {{"type", "array"}, {"items", one}, {"minItems", 1}}})}};
        } else if (!field.part.empty()) {
            parts[field.part] = schema_for(field.spec, false);
        }
    }
}

void add_site_parts(Json& parts, const Specs& specs) {
    const SiteTables tables = site_tables();
    parts["resources"] = resources_schema(specs, nullptr);
    add_backup_parts(parts, tables.backup_set);
    parts["bindings"] = map_of(map_of(typed("string")));
    Json secret = table_schema(tables.secret);
    secret["oneOf"] = one_of_keys({"env", "file", "command"});
    parts["secrets"] = map_of(secret);
    parts["notify"] = table_schema(tables.notify);
    parts["drill_mark"] = table_schema(tables.drill_mark);
    parts["nonces"] = map_of(typed("string"));
}

void add_drill_parts(Json& parts, const Specs& specs) {
    const DrillTables tables = drill_tables();
    add_step_parts(parts, specs);
    parts["sandbox"] = resources_schema(specs, &tables.sandbox);
    add_backup_parts(parts, site_tables().backup_set);
    parts["never_touch"] = table_schema(tables.never_touch);
    parts["expect"] = {{"type", "array"}, {"items", table_schema(tables.expectation)}, {"minItems", 1}};
}

}  // namespace

Json schema_of(FileKind kind, const Specs& specs) {
    Json parts = Json::object();
    Json schema;
    switch (kind) {
        case FileKind::site:
            schema = table_schema(site_tables().site);
            add_site_parts(parts, specs);
            break;
        case FileKind::runbook:
            schema = table_schema(runbook_tables().runbook);
            add_runbook_parts(parts, specs);
            break;
        case FileKind::drill:
            schema = table_schema(drill_tables().drill);
            add_drill_parts(parts, specs);
            break;
    }
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema";
    schema["title"] = "lifeboat " + std::string(to_text(kind));
    schema["description"] = "A " + std::string(to_text(kind)) + " of lifeboat, " + std::string(format_of(kind)) + ".";
    schema["$defs"] = parts;
    return schema;
}

}  // namespace lifeboat
