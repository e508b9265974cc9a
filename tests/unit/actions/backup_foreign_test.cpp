#include <catch2/catch.hpp>
#include <fstream>

#include "engine/plan.h"
#include "unit/actions/deed.h"

using namespace lifeboat;
using namespace lifeboat::test;
namespace fs = std::filesystem;

namespace {

// A store that another tool fills, and a site that says how.
struct ForeignSite {
    DeedWorld world;
    std::map<std::string, Resource> resources;
    std::map<std::string, BackupSet> sets;
    std::unique_ptr<Resources> site;
    std::unique_ptr<ActionWorld> here;
    ActionList actions;

    explicit ForeignSite(ForeignPattern pattern) {
        fs::create_directories(world.folder / "nas");
        resources["nas"] = {
            .name = "nas", .type = "local", .fields = {{"path", (world.folder / "nas").string()}}, .span = {}};
        sets["old"] = {.name = "old", .to = {"nas"}, .foreign = {std::move(pattern)}};
        site = std::make_unique<Resources>(resources, sets, std::nullopt);
        here = std::make_unique<ActionWorld>(ActionWorld{.resources = *site,
                                                         .secrets = world.secrets,
                                                         .clock = world.world().clock,
                                                         .program = {},
                                                         .state = world.folder / "state"});
        actions = backup_actions(*here);
    }
    void put(const std::string& name, const std::string& content) {
        std::ofstream(world.folder / "nas" / name, std::ios::binary) << content;
    }
    const Action& action(const std::string& name) const { return action_named(actions, name); }
    static Json set() { return {{"backup", "old"}}; }
    Outputs run(const std::string& name, Json arguments = Json::object()) {
        arguments["backup"] = set();
        return world.run(action(name), std::move(arguments));
    }
    Survey survey(const std::string& name, Json arguments = Json::object()) {
        arguments["backup"] = set();
        Context context = world.context(action(name), {});
        context.arguments = std::move(arguments);  // what is not given is not "not known yet" either
        return action(name).survey(context);
    }
};

}  // namespace

TEST_CASE("R19 a foreign set is surveyed, chosen from, verified and fetched as any other") {
    ForeignSite site({.pattern = "backup_<time>.json",
                      .time = "%Y%m%d_%H%M%S",
                      .zone = "+02:00",
                      .kind = "json",
                      .component = "export"});
    site.put("backup_20260203_020000.json", "{\"a\": ");
    site.put("backup_20260202_020000.json", "{\"a\": 2}");
    site.put("backup_20260201_020000.json", "{\"a\": 1}");
    site.put("backup_latest.json", "{\"a\": 3}");

    const Survey survey = site.survey("backup.fetch");
    REQUIRE(survey.candidates.size() == 3);
    CHECK(survey.candidates[0].id == "2026-02-03T00-00-00Z");
    CHECK(survey.candidates[0].consistent_at == parse_timestamp("2026-02-03T00:00:00Z"));

    const Outputs chosen = site.run("backup.select", {{"before", "2026-02-02T12:00:00Z"}});
    CHECK(chosen.at("id") == "2026-02-02T00-00-00Z");
    CHECK(chosen.at("consistent_at") == "2026-02-02T00:00:00.000000Z");

    const Outputs verified = site.run("backup.verify", {{"level", "readable"}, {"id", "2026-02-01T00-00-00Z"}});
    CHECK(verified.at("level") == "readable");
    CHECK(site.survey("backup.fetch").candidates.at(2).verified == "readable");
    CHECK(site.world.error_of(site.action("backup.verify"), {{"backup", ForeignSite::set()}, {"level", "readable"}})
              .code == ErrorCode::check_failed);

    // the newest is no JSON to its end
    const Outputs fetched = site.run("backup.fetch");
    CHECK(fetched.at("id") == "2026-02-02T00-00-00Z");
    REQUIRE(fetched.at("refused").size() == 1);
    CHECK(fetched.at("refused")[0].at("id") == "2026-02-03T00-00-00Z");
    std::ifstream file(fetched.at("path").get<std::string>());
    CHECK(std::string{std::istreambuf_iterator<char>(file), {}} == "{\"a\": 2}");

    CHECK(site.world.error_of(site.action("backup.create"), {{"backup", ForeignSite::set()}}).code ==
          ErrorCode::unsupported);
}

TEST_CASE("a foreign backup of unknown time is taken by its id, and says that its time is unknown") {
    ForeignSite site({.pattern = "<id>.json", .time = "iso", .zone = "UTC", .kind = "json", .component = "export"});
    site.put("b7.json", "{}");
    CHECK(site.world.error_of(site.action("backup.fetch"), {{"backup", ForeignSite::set()}}).code ==
          ErrorCode::no_candidate);
    const Outputs fetched = site.run("backup.fetch", {{"id", "b7"}});
    CHECK(fetched.at("id") == "b7");
    CHECK(fetched.at("consistent_at").is_null());
    const Survey survey = site.survey("backup.fetch", {{"id", "b7"}});
    REQUIRE(survey.candidates.size() == 1);
    CHECK_FALSE(survey.candidates[0].consistent_at);
}
