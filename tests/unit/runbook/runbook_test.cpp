#include <catch2/catch.hpp>

#include "unit/runbook/specs.h"

using namespace lifeboat;
using namespace std::chrono_literals;

namespace {

Loaded<Runbook> load(const std::string& yaml) {
    return load_runbook("lifeboat: runbook/v1\nname: test\n" + yaml, "test.yaml", testing::small_specs(),
                        testing::small_scripts);
}

Runbook good(const std::string& yaml) {
    Loaded<Runbook> loaded = load(yaml);
    INFO(loaded.diagnostics.render());
    REQUIRE(loaded.value.has_value());
    return std::move(*loaded.value);
}

constexpr const char* requires_all = "requires: {db: postgres, app: service, backup: backup, oncall: notifier}\n";

}  // namespace

TEST_CASE("the head of a runbook is read with its defaults") {
    const Runbook plain = good("steps: [{id: a, uses: log.note, with: {text: x}}]\n");
    CHECK(plain.name == "test");
    CHECK(plain.severity == Gravity::major);
    CHECK(plain.max_parallel == 4);
    CHECK_FALSE(plain.objectives.rto);
    CHECK(plain.file == "test.yaml");

    const Runbook full = good(
        "summary: all of it\nseverity: critical\nobjectives: {rto: 30m, rpo: 24h}\ncontacts: [{role: owner, reach: "
        "\"pager: x\"}]\n"
        "requires: {db: database, backup: backup}\n"
        "inputs:\n  before: {type: timestamp, default: now, doc: Newest data}\n  count: {type: integer, default: 3}\n  "
        "name: {}\n"
        "max_parallel: 2\nsteps: [{id: a, uses: log.note, with: {text: x}}]\n");
    CHECK(full.summary == "all of it");
    CHECK(full.severity == Gravity::critical);
    CHECK(full.objectives.rto == 30min);
    CHECK(full.objectives.rpo == 24h);
    REQUIRE(full.contacts.size() == 1);
    CHECK(full.contacts[0].reach == "pager: x");
    REQUIRE(full.requires_.size() == 2);
    CHECK(full.requires_[0].name == "db");
    CHECK(full.requires_[0].kind == "database");
    REQUIRE(full.inputs.size() == 3);
    CHECK(full.inputs[0].type == ValueType::timestamp);
    CHECK(full.inputs[0].default_value == Json("now"));
    CHECK(full.inputs[1].default_value == Json(3));
    CHECK(full.inputs[2].type == ValueType::text);
    CHECK_FALSE(full.inputs[2].default_value);
    CHECK(full.max_parallel == 2);
}

TEST_CASE("a step waits for the one above it, or for those it names") {
    const Runbook runbook = good(
        "steps:\n  - {id: a, uses: log.note, with: {text: x}}\n  - {id: b, uses: log.note, with: {text: x}}\n"
        "  - {id: c, needs: [a], uses: log.note, with: {text: x}}\n  - {id: d, needs: [], uses: log.note, with: {text: "
        "x}}\n"
        "  - {id: e, needs: [f, b], uses: log.note, with: {text: x}}\n  - {id: f, needs: [c, d], uses: log.note, with: "
        "{text: x}}\n");
    std::vector<std::vector<std::size_t>> needs;
    for (const Step& step : runbook.steps)
        needs.push_back(step.needs);
    CHECK(needs == std::vector<std::vector<std::size_t>>{{}, {0}, {0}, {}, {5, 1}, {2, 3}});
}

TEST_CASE("the policy of a step is read") {
    const Runbook runbook =
        good(std::string(requires_all) +
             "steps:\n  - id: fetch\n    phase: fetch\n    doc: get it\n    if: \"run.drill or true\"\n    uses: "
             "backup.fetch\n    with: {backup: backup}\n"
             "    retry: {max_attempts: 5, initial_interval: 2s, backoff_coefficient: 3, max_interval: 90s, jitter: 0, "
             "retry_on: [unreachable, busy]}\n"
             "    timeout: 20m\n    heartbeat: 30s\n    estimate: 10m\n    on_failure: continue\n    drill: safe\n"
             "    fallback: {uses: log.note, with: {text: instead}}\n    rollback: {run: [clean, \"${{ "
             "steps.fetch.outputs.path }}\"]}\n");
    const Step& step = runbook.steps.at(0);
    CHECK(step.id == "fetch");
    CHECK(step.phase == Phase::fetch);
    CHECK(step.doc == "get it");
    CHECK(step.condition == "run.drill or true");
    CHECK(step.retry.max_attempts == 5);
    CHECK(step.retry.initial_interval == 2s);
    CHECK(step.retry.backoff_coefficient == 3.0);
    CHECK(step.retry.max_interval == 90s);
    CHECK(step.retry.jitter == 0.0);
    CHECK(step.retry.retry_on == std::vector<ErrorCode>{ErrorCode::unreachable, ErrorCode::busy});
    CHECK(step.timeout == 20min);
    CHECK(step.heartbeat == 30s);
    CHECK(step.estimate == 10min);
    CHECK(step.on_failure == OnFailure::tolerate);
    CHECK(step.safe_in_drill);
    REQUIRE(step.fallback);
    CHECK(step.fallback->action == "log.note");
    REQUIRE(step.rollback);
    CHECK(step.rollback->action == "run");
    CHECK(step.rollback->effect == Effect::change);
    CHECK(step.span.at.line == 5);
    CHECK(step.span.at.column == 9);
}

TEST_CASE("a built-in deed carries what its action declares") {
    const Runbook runbook = good(
        std::string(requires_all) +
        "steps:\n  - {id: fence, uses: postgres.fence, with: {database: db}}\n  - {id: fetch, uses: backup.fetch, "
        "with: {backup: backup}}\n"
        "  - {id: restore, uses: postgres.restore, with: {from: \"${{ steps.fetch.outputs.path }}\", beside: db}}\n"
        "  - {id: unfence, uses: postgres.unfence, with: {database: db}}\n  - {id: start, uses: service.start, with: "
        "{service: app}, reopens: false}\n"
        "  - {id: drop, uses: postgres.drop, with: {database: {of: db, database: old}}}\n");
    const Deed& fence = runbook.steps[0].deed;
    CHECK(fence.effect == Effect::change);
    CHECK(fence.has_probe);
    CHECK(fence.has_undo);
    CHECK(fence.repeatable);
    CHECK(fence.harmless == std::vector<ErrorCode>{ErrorCode::denied});
    CHECK(fence.writes_stopped_output == "fenced_at");
    CHECK(fence.arguments == Json({{"database", "db"}}));
    CHECK(runbook.steps[1].deed.resumable);
    CHECK(runbook.steps[2].deed.consistent_output == "consistent_at");
    CHECK(runbook.steps[2].deed.arguments ==
          Json({{"from", "${{ steps.fetch.outputs.path }}"}, {"beside", "db"}, {"jobs", 2}}));
    CHECK(runbook.steps[3].deed.reopens);
    CHECK_FALSE(runbook.steps[3].reopens_elsewhere);
    CHECK(runbook.steps[4].reopens_elsewhere);
    CHECK(runbook.steps[5].deed.effect == Effect::destroy);
    CHECK_FALSE(runbook.steps[5].deed.has_undo);
    CHECK(runbook.steps[5].deed.arguments == Json({{"database", {{"of", "db"}, {"database", "old"}}}}));
}

TEST_CASE("programs and scripts are deeds of the actions run and lua") {
    const Runbook runbook = good(
        "inputs: {n: {type: integer, default: 3}}\n"
        "steps:\n  - id: a\n    run: [restore.sh, \"--count=${{ inputs.n }}\"]\n    env: {TOKEN: \"${{ secrets.token "
        "}}\", LANG: C}\n    folder: /srv\n    effect: stage\n"
        "    proves: data\n    reopens: true\n    outputs: {rows: integer, at: timestamp}\n    undo: {run: "
        "[clean.sh]}\n    probe: {lua: undo.lua, with: {x: 1}}\n"
        "  - id: b\n    lua: order.lua\n    with: {rows: \"${{ steps.a.outputs.rows }}\", list: [1, \"two\"]}\n    "
        "effect: change\n    repeatable: true\n    retry: {max_attempts: 2}\n"
        "  - {id: c, run: [date], effect: read}\n");
    const Deed& a = runbook.steps[0].deed;
    CHECK(a.action == "run");
    CHECK(a.effect == Effect::stage);
    CHECK(a.proves == Proves::data);
    CHECK(a.reopens);
    CHECK_FALSE(a.repeatable);
    CHECK(a.has_undo);
    CHECK(a.has_probe);
    CHECK(a.arguments == Json({{"argv", {"restore.sh", "--count=${{ inputs.n }}"}},
                               {"environment", {{"TOKEN", "${{ secrets.token }}"}, {"LANG", "C"}}},
                               {"folder", "/srv"},
                               {"outputs", {{"rows", "integer"}, {"at", "timestamp"}}},
                               {"undo",
                                {{"argv", {"clean.sh"}},
                                 {"environment", {{"TOKEN", "${{ secrets.token }}"}, {"LANG", "C"}}},
                                 {"folder", "/srv"}}},
                               {"probe", {{"script", "undo.lua"}, {"arguments", {{"x", 1}}}}}}));
    const Deed& b = runbook.steps[1].deed;
    CHECK(b.action == "lua");
    CHECK(b.repeatable);
    CHECK(b.arguments == Json({{"script", "order.lua"},
                               {"arguments", {{"rows", "${{ steps.a.outputs.rows }}"}, {"list", {1, "two"}}}},
                               {"outputs", Json::object()},
                               {"undo", nullptr},
                               {"probe", nullptr}}));
    CHECK(runbook.scripts ==
          std::map<std::string, std::string>{{"order.lua", "outputs.rows = 3"}, {"undo.lua", "log('undone')"}});
    CHECK_FALSE(runbook.steps[2].deed.repeatable);
}

TEST_CASE("the steps under always may name every step, and come one after the other") {
    const Runbook runbook =
        good(std::string(requires_all) +
             "steps:\n  - {id: a, needs: [], uses: sql.fingerprint, with: {database: db}}\n  - {id: b, needs: [], "
             "uses: log.note, with: {text: x}}\n"
             "always:\n  - {id: tell, uses: notify.send, with: {to: oncall, text: \"${{ run.verdict }} ${{ "
             "steps.a.outputs.digest }}\"}}\n"
             "  - {id: more, uses: log.note, with: {text: \"${{ steps.tell.outcome }} ${{ steps.b.outcome }}\"}}\n");
    REQUIRE(runbook.always.size() == 2);
    CHECK(runbook.always[0].needs.empty());
    CHECK(runbook.always[1].needs == std::vector<std::size_t>{0});
}

TEST_CASE("a step may name what it waits for over any number of others") {
    CHECK(good("steps:\n  - {id: a, run: [x], effect: read, outputs: {n: integer}}\n  - {id: b, uses: log.note, with: "
               "{text: x}}\n"
               "  - {id: c, uses: log.note, with: {text: \"${{ steps.a.outputs.n }}\"}}\n")
              .steps.size() == 3);
}

TEST_CASE("a tolerated step's fallback adds to the outputs that may be named") {
    CHECK(good("steps:\n  - {id: a, run: [x], effect: read, outputs: {n: integer}, fallback: {run: [y], effect: read, "
               "outputs: {m: integer}}}\n"
               "  - {id: b, uses: log.note, with: {text: \"${{ steps.a.outputs.m }} ${{ steps.a.outputs.n }}\"}}\n")
              .steps.size() == 2);
}

TEST_CASE("a retry of a program that changes something needs to be safe") {
    const std::string step = "steps:\n  - {id: a, run: [x], effect: change, retry: {max_attempts: 2}";
    CHECK_FALSE(load(step + "}\n").value);
    CHECK(load(step + ", repeatable: true}\n").value);
    CHECK(load(step + ", probe: {run: [y]}}\n").value);
    CHECK(load("steps:\n  - {id: a, run: [x], effect: read, retry: {max_attempts: 2}}\n").value);
    CHECK(load("steps:\n  - {id: a, run: [x], effect: destroy, retry: {max_attempts: 2}}\n").value);
}

TEST_CASE("R9 a runbook that changes something and proves no data is warned about") {
    const std::string change =
        "requires: {app: service, db: postgres}\nsteps:\n  - {id: stop, uses: service.stop, with: {service: app}}\n";
    const Loaded<Runbook> liveness = load(change + "  - {id: ping, uses: http.check, with: {url: \"http://x/\"}}\n");
    CHECK(liveness.value);
    CHECK(liveness.diagnostics.render() ==
          "test.yaml:4:1: warning: no step proves the data: a run can end 'unverified' at best\n"
          "    4 | steps:\n"
          "      | ^~~~~\n"
          "at: steps\n"
          "hint: Add a check of the data, such as `sql.check`.\n");
    const Loaded<Runbook> data = load(change +
                                      "  - {id: check, uses: sql.check, with: {database: db, checks: [{name: a, query: "
                                      "b, expect: \"value > 0\"}]}}\n");
    CHECK(data.value);
    CHECK(data.diagnostics.all().empty());
    CHECK(load("steps: [{id: a, uses: log.note, with: {text: x}}]\n").diagnostics.all().empty());
}

TEST_CASE("R5 places that mean everything or nothing are refused in every spelling") {
    for (const std::string place :
         {"''", "' '", "/", "//", ".", "./", "..", "../..", "'*'", "'/*'", "'**'", "'~'", "'./*'"}) {
        CAPTURE(place);
        const Loaded<Runbook> loaded =
            load("steps: [{id: a, uses: files.restore, with: {from: /a, to: " + place + "}}]\n");
        CHECK_FALSE(loaded.value);
        REQUIRE(loaded.diagnostics.has_errors());
        CHECK(loaded.diagnostics.all().front().span.at.line == 3);
        CHECK(loaded.diagnostics.all().front().path == "steps[0].with.to");
    }
    CHECK(load("steps: [{id: a, uses: files.restore, with: {from: ./a, to: /b.c}}]\n").value);
}

TEST_CASE("R5 empty lists and empty required texts are refused") {
    CHECK_FALSE(
        load("requires: {db: postgres}\nsteps: [{id: a, uses: sql.check, with: {database: db, checks: []}}]\n").value);
    CHECK_FALSE(load("steps: [{id: a, uses: log.note, with: {text: '  '}}]\n").value);
    CHECK_FALSE(load("steps: []\n").value);
    CHECK_FALSE(load("steps: [{id: a, run: [], effect: read}]\n").value);
}

TEST_CASE("R30 a file with very many mistakes reports the first ones and says that there are more") {
    std::string yaml = "steps:\n";
    for (int i = 0; i < 1000; ++i)
        yaml += "  - {id: s" + std::to_string(i) + ", uses: log.not, with: {text: x}}\n";
    const Loaded<Runbook> loaded = load(yaml);
    CHECK_FALSE(loaded.value);
    CHECK(loaded.diagnostics.all().size() == 201);
    CHECK(loaded.diagnostics.render().find("too many mistakes") != std::string::npos);
}

TEST_CASE("ten thousand steps that name each other are loaded and checked") {
    std::string yaml = "inputs: {n: {type: integer, default: 3}}\nsteps:\n";
    for (int i = 0; i < 10'000; ++i) {
        yaml += "  - id: s" + std::to_string(i) +
                "\n    run: [echo, \"${{ inputs.n }}\"]\n    effect: read\n    outputs: {n: integer}\n";
        if (i > 0) yaml += "    env: {N: \"${{ steps.s" + std::to_string(i / 2) + ".outputs.n }}\"}\n";
        if (i > 3) yaml += "    needs: [s" + std::to_string(i - 1) + ", s" + std::to_string(i - 3) + "]\n";
    }
    const Runbook runbook = good(yaml);
    CHECK(runbook.steps.size() == 10'000);
    CHECK(runbook.steps.back().needs == std::vector<std::size_t>{9998, 9996});
}
