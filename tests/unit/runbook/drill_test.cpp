#include <catch2/catch.hpp>

#include "unit/runbook/specs.h"

using namespace lifeboat;

namespace {

Drill good(const std::string& yaml) {
    Loaded<Drill> loaded = load_drill("lifeboat: drill/v1\nrunbook: ../runbooks/x.yaml\n" + yaml, "/dr/drills/x.yaml",
                                      testing::small_specs(), testing::small_scripts);
    INFO(loaded.diagnostics.render());
    REQUIRE(loaded.value.has_value());
    return std::move(*loaded.value);
}

}  // namespace

TEST_CASE("a drill is read with its sandbox, steps, expectations and sweep") {
    const Drill drill = good(
        "sandbox:\n  db: {type: postgres, version: 15, load: fixtures/shop.sql}\n  vault: {type: local}\n"
        "  app: {type: command, start: [serve, \"${{ resources.db.host }}\"]}\n"
        "backups: {backup: {of: [db], to: [vault]}}\ninputs: {before: now}\nnever_touch: {hosts: [\"*.example.com\"]}\n"
        "setup:\n  - {id: base, uses: backup.create, with: {backup: backup}}\n  - {id: truth, uses: sql.fingerprint, "
        "with: {database: db}}\n"
        "disaster:\n  - {id: hit, uses: fault.sql, with: {database: db, statement: \"delete from orders -- ${{ "
        "setup.truth.outputs.digest }}\"}}\n"
        "  - {id: more, lua: order.lua, effect: change, drill: safe}\n"
        "observe:\n  - {id: now, uses: sql.fingerprint, with: {database: db}}\n"
        "expect:\n  - {that: \"run.verdict == 'recovered'\", doc: it works}\n  - {that: \"observe.now.outputs.digest "
        "== setup.truth.outputs.digest\"}\n"
        "sweep: [kill_at_every_event, fail_every_step]\n");
    CHECK(drill.runbook_path == "/dr/runbooks/x.yaml");
    CHECK(drill.sandbox.at("db").fields == Json({{"version", "15"}, {"load", "fixtures/shop.sql"}, {"port", 5432}}));
    CHECK(drill.sandbox.at("vault").fields == Json::object());
    CHECK(drill.sandbox.at("app").fields["start"] == Json({"serve", "${{ resources.db.host }}"}));
    CHECK(drill.backups.at("backup").to == std::vector<std::string>{"vault"});
    CHECK(drill.inputs == Json({{"before", "now"}}));
    CHECK(drill.never_touch_hosts == std::vector<std::string>{"*.example.com"});
    CHECK(drill.setup.size() == 2);
    CHECK(drill.disaster.at(0).deed.action == "fault.sql");
    CHECK(drill.scripts.contains("order.lua"));
    CHECK(drill.observe.size() == 1);
    REQUIRE(drill.expect.size() == 2);
    CHECK(drill.expect[1].that == "observe.now.outputs.digest == setup.truth.outputs.digest");
    CHECK(drill.sweep == std::vector<Sweep>{Sweep::kill_at_every_event, Sweep::fail_every_step});
}

TEST_CASE("the lists of a drill have ids of their own") {
    const Drill drill = good(
        "sandbox: {db: {type: sqlite}}\nsetup: [{id: look, uses: sql.fingerprint, with: {database: db}}]\n"
        "observe: [{id: look, uses: sql.fingerprint, with: {database: db}}]\nexpect: [{that: "
        "\"observe.look.outputs.digest == setup.look.outputs.digest\"}]\n");
    CHECK(drill.setup.at(0).id == drill.observe.at(0).id);
}

TEST_CASE("programs of a drill need a word of safety, in their fallbacks too") {
    const auto load = [](const std::string& step) {
        return load_drill("lifeboat: drill/v1\nrunbook: x.yaml\nsandbox: {db: {type: sqlite}}\nsetup: [" + step +
                              "]\nexpect: [{that: \"true\"}]\n",
                          "d.yaml", testing::small_specs(), testing::small_scripts)
            .value.has_value();
    };
    CHECK_FALSE(load("{id: a, run: [x], effect: read}"));
    CHECK(load("{id: a, run: [x], effect: read, drill: safe}"));
    CHECK_FALSE(load("{id: a, uses: log.note, with: {text: x}, fallback: {run: [x], effect: read}}"));
    CHECK(load("{id: a, uses: log.note, with: {text: x}}"));
}
