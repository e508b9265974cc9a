#include "drill/step_runbook.h"

#include <catch2/catch.hpp>

#include "actions/family.h"
#include "drill/drill.h"
#include "runbook/load.h"

namespace lifeboat {

namespace {

const std::vector<Requirement> requirements{{.name = "db", .kind = "sqlite", .span = {}},
                                            {.name = "backup", .kind = "backup", .span = {}}};

std::vector<Step> setup_of(const std::string& steps) {
    const Loaded<Drill> loaded = load_drill(
        "lifeboat: drill/v1\nrunbook: r.yaml\nsandbox:\n  db: {type: sqlite}\n  vault: {type: local}\n"
        "backups:\n  backup: {of: [db], to: [vault]}\nexpect: [{that: \"run.verdict == 'recovered'\"}]\n" +
            steps,
        "d.yaml", all_specs(), [](const std::string&) { return "return {}"; });
    INFO(loaded.diagnostics.render());
    REQUIRE(loaded.value);
    return loaded.value->observe.empty() ? loaded.value->setup : loaded.value->observe;
}

Runbook read_back(const std::string& text) {
    const Loaded<Runbook> loaded = load_runbook(text, "generated.yaml", sandbox_specs(all_specs()),
                                                [](const std::string&) { return "return {}"; });
    INFO(text);
    INFO(loaded.diagnostics.render());
    REQUIRE(loaded.value);
    return *loaded.value;
}

}  // namespace

TEST_CASE("a drill's steps become a runbook with the same deeds") {
    const std::vector<Step> steps = setup_of(
        "setup:\n"
        "  - {id: base, uses: backup.create, with: {backup: backup}, timeout: 90s}\n"
        "  - {id: hit, uses: fault.sql, with: {database: db, statements: [\"delete from \\\"orders\\\"\", "
        "\"vacuum\"]}}\n"
        "  - {id: look, needs: [base], uses: sql.fingerprint, with: {database: db}, on_failure: continue,\n"
        "     retry: {max_attempts: 3, initial_interval: 10ms}}\n"
        "  - {id: touch, run: [touch, \"/tmp/a: b\"], effect: change, drill: safe, repeatable: true, probe: {run: "
        "[test, -e, x]}}\n");
    const Runbook runbook = read_back(step_runbook("drill-setup", "setup", steps, requirements, Json::object()));
    CHECK(runbook.name == "drill-setup");
    CHECK(runbook.max_parallel == 1);
    REQUIRE(runbook.steps.size() == steps.size());
    for (std::size_t i = 0; i < steps.size(); ++i) {
        INFO(steps[i].id);
        CHECK(runbook.steps[i].id == steps[i].id);
        CHECK(runbook.steps[i].needs == steps[i].needs);
        CHECK(runbook.steps[i].deed.action == steps[i].deed.action);
        CHECK(runbook.steps[i].deed.arguments == steps[i].deed.arguments);
        CHECK(runbook.steps[i].deed.effect == steps[i].deed.effect);
        CHECK(runbook.steps[i].deed.repeatable == steps[i].deed.repeatable);
        CHECK(runbook.steps[i].deed.has_probe == steps[i].deed.has_probe);
        CHECK(runbook.steps[i].timeout == steps[i].timeout);
        CHECK(runbook.steps[i].on_failure == steps[i].on_failure);
        CHECK(runbook.steps[i].retry.max_attempts == steps[i].retry.max_attempts);
        CHECK(runbook.steps[i].safe_in_drill == steps[i].safe_in_drill);
    }
}

TEST_CASE("what is known is put in, its own list becomes `steps`, resources stay") {
    const Json known{
        {"inputs", {{"least", 5}}},
        {"setup",
         {{"base", {{"outputs", {{"id", "it's ${{ a }} \"trap\""}, {"rows", {1, 2}}}}, {"outcome", "done"}}}}}};
    const std::vector<Step> steps = setup_of(
        "setup: [{id: base, uses: backup.create, with: {backup: backup}}]\n"
        "observe:\n"
        "  - {id: first, uses: log.note, with: {text: \"${{ setup.base.outputs.id }}\"}}\n"
        "  - {id: second, if: \"observe.first.outcome == 'done' and inputs.least == 5\", uses: log.note,\n"
        "     with: {text: \"at least ${{ inputs.least }} in ${{ resources.db.path }} behind ${{ observe.first.outcome "
        ".. "
        "setup.base.outcome }}\"}}\n");
    const Runbook runbook = read_back(step_runbook("drill-observe", "observe", steps, requirements, known));
    CHECK(runbook.steps[0].deed.arguments["text"] == "it's $${{ a }} \"trap\"");
    CHECK(runbook.steps[1].condition == "steps.first.outcome == 'done' and 5 == 5");
    CHECK(runbook.steps[1].deed.arguments["text"] ==
          "at least 5 in ${{ resources.db.path }} behind ${{ steps.first.outcome .. \"done\" }}");
}

TEST_CASE("a list cannot be put into a larger expression") {
    const Json known{{"setup", {{"base", {{"outputs", {{"stores", {"a", "b"}}}}}}}}};
    const std::vector<Step> steps = setup_of(
        "setup: [{id: base, uses: backup.create, with: {backup: backup}}]\n"
        "observe:\n"
        "  - {id: first, uses: log.note, with: {text: x}}\n"
        "  - {id: second, if: \"#setup.base.outputs.stores == 2 and observe.first.outcome == 'done'\", uses: log.note, "
        "with: {text: x}}\n");
    CHECK_THROWS_WITH(step_runbook("drill-observe", "observe", steps, requirements, known),
                      Catch::Contains("'setup.base.outputs.stores' is a list or a map"));
}

}  // namespace lifeboat
