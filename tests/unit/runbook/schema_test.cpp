#include <catch2/catch.hpp>

#include "runbook/fields.h"
#include "runbook/tables.h"
#include "unit/runbook/specs.h"

using namespace lifeboat;

namespace {

// Every "$ref" in a schema, at any depth.
void collect_references(const Json& value, std::vector<std::string>& found) {
    if (value.is_object() && value.contains("$ref")) found.push_back(value["$ref"]);
    if (value.is_structured())
        for (const Json& each : value)
            collect_references(each, found);
}

}  // namespace

TEST_CASE("every reference of a schema has its definition") {
    for (const FileKind kind : {FileKind::site, FileKind::runbook, FileKind::drill}) {
        const Json schema = schema_of(kind, testing::small_specs());
        std::vector<std::string> references;
        collect_references(schema, references);
        CHECK(references.size() > 3);
        for (const std::string& reference : references) {
            CAPTURE(reference);
            CHECK(schema.contains(Json::json_pointer(reference.substr(1))));
        }
    }
}

TEST_CASE("the schema of a runbook lists its keys, its actions and their arguments") {
    const Json schema = schema_of(FileKind::runbook, testing::small_specs());
    CHECK(schema["$schema"] == "https://json-schema.org/draft/2020-12/schema");
    CHECK(schema["additionalProperties"] == false);
    CHECK(schema["required"] == Json({"lifeboat", "name", "steps"}));
    CHECK(schema["properties"]["lifeboat"]["enum"] == Json({"runbook/v1"}));
    CHECK(schema["properties"]["severity"] == Json({{"type", "string"},
                                                    {"enum", {"minor", "major", "critical"}},
                                                    {"default", "major"},
                                                    {"description", "How bad the incident is that it is for."}}));
    const Json& step = schema["$defs"]["step"];
    CHECK(step["properties"]["uses"]["enum"].size() == testing::small_actions().size() - 2);
    CHECK(step["properties"]["needs"]["items"] == Json({{"type", "string"}}));
    for (const Json& rule : step["allOf"]) {
        if (rule["if"]["properties"]["uses"]["const"] != "postgres.restore") continue;
        const Json& with = rule["then"]["properties"]["with"];
        CHECK(with["required"] == Json({"from", "beside"}));
        CHECK(with["additionalProperties"] == false);
        CHECK(
            with["properties"]["jobs"] ==
            Json({{"anyOf", {{{"type", "integer"}}, {{"type", "string"}, {"pattern", "\\$\\{\\{"}}}}, {"default", 2}}));
        return;
    }
    FAIL("no rule for postgres.restore");
}

TEST_CASE("every key of every table has a sentence") {
    const auto check = [](const Table& table) {
        for (const Field& field : table.fields) {
            CAPTURE(table.subject, field.spec.name);
            CHECK(field.spec.doc.ends_with("."));
        }
    };
    const StepTables steps = step_tables();
    for (const Table* each : {&steps.step, &steps.always, &steps.fallback, &steps.rollback, &steps.undo})
        check(*each);
    const RunbookTables runbook = runbook_tables();
    for (const Table* each : {&runbook.runbook, &runbook.contact, &runbook.input})
        check(*each);
    const SiteTables site = site_tables();
    for (const Table* each :
         {&site.site, &site.backup_set, &site.foreign, &site.secret, &site.notify, &site.drill_mark})
        check(*each);
    const DrillTables drill = drill_tables();
    for (const Table* each : {&drill.drill, &drill.never_touch, &drill.expectation})
        check(*each);
}
