#include "runbook/draft.h"

#include <catch2/catch.hpp>

#include "script/expression.h"
#include "unit/runbook/specs.h"

using namespace lifeboat;

namespace {

constexpr const char* site_yaml =
    "lifeboat: site/v1\n"
    "resources:\n"
    "  shop: {type: postgres, host: db1, database: shop, password: \"${{ secrets.pw }}\"}\n"
    "  spare: {type: postgres, host: db2, database: spare}\n"
    "  web1: {type: ssh, host: web1}\n"
    "  api: {type: command, start: [serve], on: web1, health_url: \"http://web1/health\"}\n"
    "  nas: {type: local, path: /nas}\n"
    "  unused: {type: local, path: /unused}\n"
    "  oncall: {type: webhook, url: \"${{ secrets.hook }}\"}\n"
    "backups:\n"
    "  shop: {of: [shop], to: [nas], encrypt: {key: \"${{ secrets.key }}\"}}\n"
    "bindings:\n"
    "  corruption: {db: shop, app: api, backup: shop}\n"
    "secrets: {pw: {env: PW}, hook: {env: HOOK}, key: {env: KEY}, token: {env: TOKEN}, other: {env: OTHER}}\n"
    "notify: {on: [done], to: [oncall]}\n";

constexpr const char* runbook_yaml =
    "lifeboat: runbook/v1\n"
    "name: corruption\n"
    "objectives: {rto: 30m, rpo: 24h}\n"
    "requires: {db: postgres, app: service, backup: backup, oncall: notifier}\n"
    "inputs:\n"
    "  before: {type: timestamp, default: now}\n"
    "  count: {type: integer, default: 3}\n"
    "steps:\n"
    "  - {id: assess, uses: postgres.assess, with: {database: db}}\n"
    "  - {id: stop, uses: service.stop, with: {service: app}}\n"
    "  - {id: fence, uses: postgres.fence, with: {database: db}}\n"
    "  - {id: fetch, needs: [assess], uses: backup.fetch, with: {backup: backup, before: \"${{ inputs.before }}\"}}\n"
    "  - {id: restore, needs: [fetch, fence], uses: postgres.restore, with: {from: \"${{ steps.fetch.outputs.path "
    "}}\", beside: db}}\n"
    "  - {id: check, uses: sql.check, with: {database: \"${{ steps.restore.outputs.database }}\", checks: [{name: a, "
    "query: b, expect: \"value > 0\"}]}}\n"
    "  - {id: swap, uses: postgres.swap, with: {live: {of: db, port: 5433}, staged: \"${{ "
    "steps.restore.outputs.database }}\"}}\n"
    "  - {id: unfence, uses: postgres.unfence, with: {database: db}}\n"
    "  - {id: start, uses: service.start, with: {service: app}, reopens: false}\n"
    "  - {id: healthy, uses: http.check, with: {url: \"${{ resources.app.health_url }}\"}}\n"
    "  - {id: aside, needs: [assess], run: [curl], env: {T: \"${{ secrets.token }}\"}, effect: read}\n"
    "always:\n"
    "  - {id: tell, uses: notify.send, with: {to: oncall, text: \"${{ run.name }}: ${{ run.verdict }}\"}}\n";

Runbook runbook_from(const std::string& yaml) {
    auto loaded = load_runbook(yaml, "corruption.yaml", testing::small_specs(), testing::small_scripts);
    INFO(loaded.diagnostics.render());
    REQUIRE(loaded.value);
    return std::move(*loaded.value);
}

Site site_from(const std::string& yaml) {
    auto loaded = load_site(yaml, "lifeboat.yaml", testing::small_specs());
    INFO(loaded.diagnostics.render());
    REQUIRE(loaded.value);
    return std::move(*loaded.value);
}

const Timestamp now = *parse_timestamp("2026-02-01T02:00:00Z");

Loaded<Draft> drafted(const Runbook& runbook, const Site& site, const Json& inputs = Json::object(),
                      const std::map<std::string, std::string>& bind = {}) {
    return draft(runbook, site, inputs, bind, testing::small_specs(), now);
}

Draft good(const std::string& runbook = runbook_yaml, const std::string& site = site_yaml,
           const Json& inputs = Json::object(), const std::map<std::string, std::string>& bind = {}) {
    auto loaded = drafted(runbook_from(runbook), site_from(site), inputs, bind);
    INFO(loaded.diagnostics.render());
    REQUIRE(loaded.value);
    return std::move(*loaded.value);
}

std::string refused(const std::string& runbook, const std::string& site, const Json& inputs = Json::object(),
                    const std::map<std::string, std::string>& bind = {}) {
    const auto loaded = drafted(runbook_from(runbook), site_from(site), inputs, bind);
    CHECK_FALSE(loaded.value);
    return loaded.diagnostics.render();
}

std::string small_runbook(const std::string& head, const std::string& steps) {
    return "lifeboat: runbook/v1\nname: small\n" + head + "steps:\n" + steps;
}

constexpr const char* note = "  - {id: note, uses: log.note, with: {text: x}}\n";

}  // namespace

TEST_CASE("names of the runbook become resources of the site in arguments") {
    const Draft draft = good();
    CHECK(draft.bindings ==
          std::map<std::string, std::string>{{"db", "shop"}, {"app", "api"}, {"backup", "shop"}, {"oncall", "oncall"}});
    std::map<std::string, Json> arguments;
    for (const DraftedStep& step : draft.steps)
        arguments[step.id] = step.deed.arguments;
    CHECK(arguments["assess"] == Json({{"database", {{"of", "shop"}}}}));
    CHECK(arguments["stop"] == Json({{"service", {{"of", "api"}}}}));
    CHECK(arguments["fetch"] == Json({{"backup", {{"backup", "shop"}}}, {"before", "${{ inputs.before }}"}}));
    CHECK(arguments["restore"] ==
          Json({{"from", "${{ steps.fetch.outputs.path }}"}, {"beside", {{"of", "shop"}}}, {"jobs", 2}}));
    CHECK(arguments["swap"] ==
          Json({{"live", {{"of", "shop"}, {"port", 5433}}}, {"staged", "${{ steps.restore.outputs.database }}"}}));
    CHECK(draft.always.at(0).deed.arguments["to"] == Json({{"of", "oncall"}}));
}

TEST_CASE("a draft holds the resources, backup sets and secrets that it uses and no others") {
    const Draft draft = good();
    std::vector<std::string> resources;
    for (const auto& [name, each] : draft.resources)
        resources.push_back(name);
    CHECK(resources == std::vector<std::string>{"api", "nas", "oncall", "shop", "web1"});
    CHECK(draft.backups.size() == 1);
    std::vector<std::string> secrets;
    for (const auto& [name, each] : draft.secrets)
        secrets.push_back(name);
    CHECK(secrets == std::vector<std::string>{"hook", "key", "pw", "token"});
    CHECK(draft.targets == std::vector<std::string>{"api", "shop"});
}

TEST_CASE("steps stand in an order that their needs allow") {
    const Draft draft = good(small_runbook("",
                                           "  - {id: last, needs: [first, middle], uses: log.note, with: {text: x}}\n"
                                           "  - {id: middle, needs: [first], uses: log.note, with: {text: x}}\n"
                                           "  - {id: first, needs: [], uses: log.note, with: {text: x}}\n"));
    std::vector<std::string> ids;
    std::vector<std::vector<std::size_t>> needs;
    for (const DraftedStep& step : draft.steps) {
        ids.push_back(step.id);
        needs.push_back(step.needs);
    }
    CHECK(ids == std::vector<std::string>{"first", "middle", "last"});
    CHECK(needs == std::vector<std::vector<std::size_t>>{{}, {0}, {0, 1}});
}

TEST_CASE("the line of no return runs behind what reopens or destroys") {
    const Draft draft = good();
    std::vector<std::string> crossing;
    std::vector<std::string> before;
    for (const DraftedStep& step : draft.steps) {
        if (step.crosses) crossing.push_back(step.id);
        if (step.before_line) before.push_back(step.id);
    }
    // `start` says that the door is opened elsewhere, and still stands behind the line
    CHECK(crossing == std::vector<std::string>{"unfence"});
    CHECK(before == std::vector<std::string>{"assess", "stop", "fence", "fetch", "restore", "check", "swap", "aside"});

    const Draft destroying = good(small_runbook(
        "requires: {shop: postgres}\n",
        "  - {id: a, uses: log.note, with: {text: x}, fallback: {uses: postgres.drop, with: {database: shop}}}\n" +
            std::string(note)));
    CHECK(destroying.steps[0].crosses);
    CHECK_FALSE(destroying.steps[1].before_line);
    CHECK(destroying.targets == std::vector<std::string>{"shop"});
}

TEST_CASE("inputs are frozen by their declared types") {
    CHECK(good().inputs == Json({{"before", "2026-02-01T02:00:00.000000Z"}, {"count", 3}}));
    CHECK(good(runbook_yaml, site_yaml, {{"before", "2026-01-31T12:00:00+01:00"}, {"count", "7"}}).inputs ==
          Json({{"before", "2026-01-31T11:00:00.000000Z"}, {"count", 7}}));
    CHECK(good(runbook_yaml, site_yaml, {{"count", 9}}).inputs["count"] == 9);
}

TEST_CASE("inputs that are unknown, missing or of another type are refused together") {
    const std::string runbook = small_runbook(
        "inputs:\n  n: {type: integer}\n  wait: {type: duration, default: 3s}\n  flag: {type: boolean, default: "
        "true}\n  size: {type: size}\n",
        note);
    CHECK(refused(runbook, "lifeboat: site/v1\n", {{"n", "many"}, {"wait", "30"}, {"flg", "true"}, {"flag", "yes"}}) ==
          "corruption.yaml: error: the runbook has no input 'flg' (did you mean 'flag'?)\n"
          "at: inputs\n"
          "corruption.yaml:4:3: error: input 'n' wants an integer, not 'many'\n"
          "    4 |   n: {type: integer}\n"
          "      |   ^\n"
          "at: inputs.n\n"
          "corruption.yaml:5:3: error: input 'wait' wants a duration, not '30'\n"
          "    5 |   wait: {type: duration, default: 3s}\n"
          "      |   ^~~~\n"
          "at: inputs.wait\n"
          "hint: Durations have units, such as 250ms, 90s, 10m, 1h30m or 7d.\n"
          "corruption.yaml:6:3: error: input 'flag' wants a boolean, not 'yes'\n"
          "    6 |   flag: {type: boolean, default: true}\n"
          "      |   ^~~~\n"
          "at: inputs.flag\n"
          "hint: Write true or false.\n"
          "corruption.yaml:7:3: error: input 'size' has no value and no default\n"
          "    7 |   size: {type: size}\n"
          "      |   ^~~~\n"
          "at: inputs.size\n"
          "hint: Give it with --set size=<size>.\n"
          "5 errors\n");
}

TEST_CASE("the most specific binding wins") {
    const std::string runbook =
        "lifeboat: runbook/v1\nname: corruption\nrequires: {db: postgres, app: service, backup: backup}\nsteps:\n" +
        std::string(note);
    CHECK(good(runbook, site_yaml, Json::object(), {{"db", "spare"}}).bindings.at("db") == "spare");
    CHECK(good(runbook).bindings.at("db") == "shop");
    CHECK(good(small_runbook("requires: {spare: postgres}\n", note)).bindings.at("spare") == "spare");
}

TEST_CASE("names without a resource and resources of another kind are refused together") {
    CHECK(refused(small_runbook("requires: {db: postgres, app: service, backup: backup}\n", note), site_yaml,
                  Json::object(), {{"app", "nas"}, {"apps", "api"}, {"db", "shp"}}) ==
          "corruption.yaml: error: the runbook requires no 'apps', which --bind names (did you mean 'app'?)\n"
          "at: requires\n"
          "corruption.yaml:3:12: error: 'db' is not bound: the site 'lifeboat.yaml' has no resource 'shp' (did you "
          "mean 'shop'?)\n"
          "    3 | requires: {db: postgres, app: service, backup: backup}\n"
          "      |            ^~\n"
          "at: requires.db\n"
          "hint: Bind it with --bind db=<name>, or under `bindings:` of the site; those that fit are shop, spare.\n"
          "corruption.yaml:3:26: error: 'app' is bound to 'nas', a local, and the runbook requires service\n"
          "    3 | requires: {db: postgres, app: service, backup: backup}\n"
          "      |                          ^~~\n"
          "at: requires.app\n"
          "hint: Bind it to another with --bind app=<name>, or under `bindings:` of the site.\n"
          "corruption.yaml:3:40: error: 'backup' is not bound: the site 'lifeboat.yaml' has no backup set 'backup'\n"
          "    3 | requires: {db: postgres, app: service, backup: backup}\n"
          "      |                                        ^~~~~~\n"
          "at: requires.backup\n"
          "hint: Bind it with --bind backup=<name>, or under `bindings:` of the site; those that fit are shop.\n"
          "4 errors\n");
}

TEST_CASE("in a drill only the sandbox's own names bind") {
    const std::string site =
        "lifeboat: site/v1\nresources: {db: {type: sqlite, path: /tmp/x}, other: {type: sqlite, path: "
        "/tmp/y}}\nbindings: {small: {db: other}}\ndrill: {id: d1}\n";
    const std::string runbook = small_runbook("requires: {db: sqlite}\n", note);
    CHECK(good(runbook, site).bindings.at("db") == "db");
    CHECK(refused(runbook, site, Json::object(), {{"db", "other"}}) ==
          "corruption.yaml: error: a drill binds nothing by hand: only names of its own sandbox count\n"
          "hint: Leave out --bind.\n");
    CHECK(refused(small_runbook("requires: {database: sqlite}\n", note), site) ==
          "corruption.yaml:3:12: error: 'database' is not bound: the sandbox has no resource 'database'\n"
          "    3 | requires: {database: sqlite}\n"
          "      |            ^~~~~~~~\n"
          "at: requires.database\n"
          "hint: Give the sandbox one of that name.\n");
}

TEST_CASE("in a drill programs need the author's word, outside of one faults are refused") {
    const std::string drill_site = "lifeboat: site/v1\ndrill: {id: d1}\n";
    CHECK(refused(small_runbook("", "  - {id: a, run: [x], effect: read}\n"), drill_site) ==
          "corruption.yaml:4:10: error: a `run` step runs in a drill only with `drill: safe`\n"
          "    4 |   - {id: a, run: [x], effect: read}\n"
          "      |          ^\n"
          "at: step a\n"
          "hint: Say `drill: safe` when the step cannot touch anything but the sandbox.\n");
    CHECK(good(small_runbook("", "  - {id: a, run: [x], effect: read, drill: safe}\n"), drill_site).steps.size() == 1);

    Runbook faulty = runbook_from(small_runbook("requires: {shop: postgres}\n", note));
    faulty.steps[0].deed.action = "fault.sql";
    CHECK_FALSE(drafted(faulty, site_from(site_yaml)).value);
}

TEST_CASE("what expressions want of resources and secrets has to be there") {
    const std::string site = "lifeboat: site/v1\nresources: {api: {type: command, start: [serve]}}\n";
    CHECK(refused(small_runbook("requires: {api: service}\n",
                                "  - {id: a, uses: http.check, with: {url: \"${{ resources.api.health_url }}\"}}\n  - "
                                "{id: b, uses: http.check, with: {url: \"x${{ secrets.token }}\"}}\n"),
                  site) ==
          "corruption.yaml:5:10: error: the step wants 'health_url' of 'api', and resource 'api', a command, does not "
          "say it\n"
          "    5 |   - {id: a, uses: http.check, with: {url: \"${{ resources.api.health_url }}\"}}\n"
          "      |          ^\n"
          "at: step a\n"
          "hint: Give the resource that field in the site.\n"
          "corruption.yaml:6:10: error: the site has no secret 'token'\n"
          "    6 |   - {id: b, uses: http.check, with: {url: \"x${{ secrets.token }}\"}}\n"
          "      |          ^\n"
          "at: step b\n"
          "hint: Declare it under `secrets:` of the site.\n"
          "2 errors\n");
}

TEST_CASE("the static scope is what expressions know before a run") {
    const Draft draft = good();
    const Json scope = static_scope(draft);
    CHECK(scope["inputs"] == draft.inputs);
    CHECK(scope["objectives"] == Json({{"rto", 1800.0}, {"rpo", 86400.0}}));
    CHECK(scope["resources"]["app"]["health_url"] == "http://web1/health");
    CHECK(scope["secrets"]["token"] == Json({{"secret", "token"}}));
    CHECK(Template("${{ resources.app.health_url }}").expand(scope) == "http://web1/health");
    CHECK(Template("Bearer ${{ secrets.token }}").expand(scope) ==
          Json({{"secret", {"Bearer ", {{"secret", "token"}}}}}));
}

TEST_CASE("a draft survives the way to JSON and back") {
    const std::string extra =
        std::string(runbook_yaml)
            .replace(std::string(runbook_yaml).find("always:"), 0,
                     "  - id: last\n    phase: verify\n    doc: last\n    if: \"inputs.count > 2\"\n    run: [x, \"${{ "
                     "inputs.count }}\"]\n    effect: stage\n    undo: {lua: undo.lua}\n"
                     "    retry: {max_attempts: 3, retry_on: [busy]}\n    timeout: 1m\n    heartbeat: 10s\n    "
                     "estimate: 5s\n    on_failure: continue\n    drill: safe\n"
                     "    fallback: {uses: log.note, with: {text: x}}\n    rollback: {lua: order.lua}\n");
    const Draft draft = good(extra);
    const Json json = to_json(draft);
    const Json again = to_json(draft_from_json(parse_json(to_text(json), "draft")));
    CHECK(again == json);
    CHECK(to_text(again) == to_text(json));
    const Draft back = draft_from_json(json);
    CHECK(back.steps.size() == draft.steps.size());
    CHECK(back.steps.back().retry.retry_on == std::vector<ErrorCode>{ErrorCode::busy});
    CHECK(back.steps.back().timeout == std::chrono::minutes(1));
    CHECK(back.steps.back().fallback->action == "log.note");
    CHECK(back.scripts == draft.scripts);
    CHECK(back.runbook_source == draft.runbook_source);

    Json mark = to_json(
        good(small_runbook("", note),
             "lifeboat: site/v1\nresources: {x: {type: sqlite, path: /x}}\ndrill: {id: d1, nonces: {x: abc}}\n"));
    CHECK(draft_from_json(mark).drill->nonces.at("x") == "abc");
}

TEST_CASE("a draft of another shape is refused") {
    CHECK_THROWS_AS(draft_from_json(Json::object()), Error);
    Json json = to_json(good());
    json["steps"][1]["deed"]["effect"] = "explode";
    CHECK_THROWS_AS(draft_from_json(json), Error);
    json = to_json(good());
    json["steps"][0]["needs"] = {5};
    CHECK_THROWS_AS(draft_from_json(json), Error);
}

TEST_CASE("ten thousand steps are drafted") {
    std::string steps;
    for (int i = 0; i < 10'000; ++i)
        steps += "  - {id: s" + std::to_string(i) + ", uses: postgres.fence, with: {database: shop}}\n";
    const Draft draft = good(small_runbook("requires: {shop: postgres}\n", steps));
    CHECK(draft.steps.size() == 10'000);
    CHECK(draft.targets == std::vector<std::string>{"shop"});
    CHECK(draft_from_json(to_json(draft)).steps.size() == 10'000);
}
