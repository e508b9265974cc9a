#include <catch2/catch.hpp>
#include <fstream>

#include "actions/family.h"
#include "backup/layout.h"
#include "base/sha256.h"
#include "engine/plan.h"
#include "support/scratch_folder.h"
#include "world/files.h"
#include "world/scratch.h"
#include "world/sqlite.h"

using namespace lifeboat;
using namespace lifeboat::test;
namespace fs = std::filesystem;

namespace {

class TickingClock final : public Clock {
  public:
    Timestamp now() const override { return now_; }
    SteadyTime steady() const override { return SystemClock().steady(); }
    void pass(Duration time) { now_ += time; }

  private:
    Timestamp now_ = *parse_timestamp("2026-02-01T02:00:00Z");
};

class OneSecret final : public SecretSource {
  public:
    Secret fetch(const std::string& name) override {
        if (name == "shop_pw") return Secret("geheim-canary-0815");
        throw Error{ErrorCode::secret_missing, "no secret '" + name + "'"};
    }
};

std::string bytes_of(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

void flip(const fs::path& path, std::size_t place) {
    std::string bytes = bytes_of(path);
    bytes.at(place) = static_cast<char>(bytes.at(place) ^ 1);
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

template <class Call>
Error error_of(const Call& call) {
    try {
        call();
    } catch (const Error& error) {
        return error;
    }
    FAIL("nothing was thrown");
    return Error{ErrorCode::internal, {}};
}

bool nothing_done(const ActionSpec& spec, ErrorCode code) {
    for (const RaisedError& raised : spec.errors)
        if (raised.code == code) return raised.nothing_done;
    return false;
}

// A site with an SQLite database and a folder of configuration, two local stores and some backup sets.
struct Harbour {
    ScratchFolder folder;
    TickingClock clock;
    OneSecret secrets;
    std::map<std::string, Resource> resources;
    std::map<std::string, BackupSet> sets;
    std::optional<DrillMark> drill;
    std::unique_ptr<Resources> site;
    std::unique_ptr<ActionWorld> world;
    ActionList actions;
    std::vector<std::pair<std::string, Json>> notes;
    int steps = 0;

    Harbour() {
        SqliteDatabase database = SqliteDatabase::create(folder / "shop.db");
        database.execute("create table orders(id integer primary key, name text)");
        write_text(folder / "config/app.conf", "port = 80\n");
        add_resource("shop", "sqlite", {{"path", (folder / "shop.db").string()}});
        add_resource("config", "files", {{"path", (folder / "config").string()}});
        add_resource("nas", "local", {{"path", (folder / "nas").string()}});
        add_resource("offsite", "local", {{"path", (folder / "offsite").string()}});
        sets["shop"] = {.name = "shop", .of = {"shop"}, .to = {"nas", "offsite"}};
        sets["both"] = {.name = "both", .of = {"shop", "config"}, .to = {"nas"}};
        open();
    }
    void add_resource(const std::string& name, const std::string& type, const Json& fields) {
        resources[name] = Resource{.name = name, .type = type, .fields = fields};
    }
    void open() {
        site = std::make_unique<Resources>(resources, sets, drill);
        world = std::make_unique<ActionWorld>(ActionWorld{
            .resources = *site, .secrets = secrets, .clock = clock, .program = {}, .state = folder / "state"});
        actions = backup_actions(*world);
    }
    const Action& action(const std::string& name) const {
        for (const auto& each : actions)
            if (each->spec().name == name) return *each;
        throw std::logic_error(name);
    }
    Context context(Json arguments, const std::string& step = {}) {
        Context context;
        context.run_id = "2026-02-01T02-00-00-recover-1a2b";
        context.step_id = step.empty() ? "step" + std::to_string(++steps) : step;
        context.idempotency_key = context.run_id + context.step_id;
        if (!arguments.contains("backup")) arguments["backup"] = {{"backup", "shop"}};
        context.arguments = std::move(arguments);
        context.workspace = folder / ("work-" + context.step_id);
        fs::create_directories(context.workspace);
        context.clock = &clock;
        context.note = [this](const std::string& key, const Json& value) { notes.emplace_back(key, value); };
        return context;
    }
    Outputs act(const std::string& name, Json arguments = Json::object()) {
        Context here = context(std::move(arguments));
        const Intent intent = action(name).prepare(here);
        return action(name).run(intent, here);
    }
    // A backup with one more row, an hour later.
    Outputs save(const std::string& set = "shop") {
        clock.pass(std::chrono::hours(1));
        SqliteDatabase::open(folder / "shop.db").execute("insert into orders(name) values ('x')");
        return act("backup.create", {{"backup", {{"backup", set}}}});
    }
    fs::path file(const Outputs& backup, const std::string& path, const std::string& store = "nas") {
        return folder.path() / store / "shop" / backup.at("id").get<std::string>() / path;
    }
    std::int64_t rows(const fs::path& path) {
        return look_at_sqlite(path, folder / "look").value("select count(*) from orders").get<std::int64_t>();
    }
    Json planned() {
        Context here = context(Json::object());
        Json list = Json::array();
        for (const Candidate& candidate : action("backup.fetch").survey(here).candidates)
            if (candidate.refused.empty()) list.push_back(to_json(candidate));
        return list;
    }
    Outputs fetch_planned(const Json& plan, Json arguments = Json::object()) {
        Context here = context(std::move(arguments));
        here.planned = plan;
        return action("backup.fetch").run(action("backup.fetch").prepare(here), here);
    }
};

}  // namespace

TEST_CASE("backup.create writes to every store of the set and says what it made") {
    Harbour harbour;
    const Outputs made = harbour.save();
    CHECK(made.at("id") == "2026-02-01T03-00-00Z");
    CHECK(made.at("stores") == Json::array({"nas", "offsite"}));
    CHECK(made.at("failed") == Json::array());
    CHECK(made.at("consistent_at") == "2026-02-01T03:00:00.000000Z");
    CHECK(made.at("size") == fs::file_size(harbour.file(made, "shop/shop.db")));
    for (const char* store : {"nas", "offsite"})
        CHECK(made.at("manifest_sha256") == sha256_hex(bytes_of(harbour.file(made, "manifest.json", store))));

    const Outputs again = harbour.act("backup.create", {{"stores", {"offsite"}}});
    CHECK(again.at("id") == "2026-02-01T03-00-00Z-2");
    CHECK(again.at("stores") == Json::array({"offsite"}));
    CHECK_FALSE(fs::exists(harbour.file(again, "manifest.json")));
}

TEST_CASE("backup.create is undone by removing its own backup, looking first") {
    Harbour harbour;
    const Outputs older = harbour.save();
    harbour.clock.pass(std::chrono::hours(1));
    Context here = harbour.context(Json::object());
    const Action& create = harbour.action("backup.create");
    const Intent intent = create.prepare(here);
    CHECK(create.undo(intent, {}, here).empty());
    const Outputs made = create.run(intent, here);
    CHECK(create.undo(intent, {}, here) == "removed backup '2026-02-01T04-00-00Z' of set 'shop' from 'nas', 'offsite'");
    CHECK(create.undo(intent, {}, here).empty());
    CHECK_FALSE(fs::exists(harbour.file(made, "")));
    CHECK(fs::exists(harbour.file(older, "manifest.json")));

    // a kill leaves dumps behind; and the same deed may be tried again after its undo
    write_text(here.workspace / "dump/shop/shop.db", "half");
    CHECK(create.undo(intent, {}, here).empty());
    CHECK(fs::is_empty(here.workspace));
    CHECK(create.run(intent, here).at("id") == made.at("id"));

    // not with another deed's intent
    const Outputs third = create.run(create.prepare(here), here);
    Intent foreign = intent;
    foreign["id"] = third.at("id");
    CHECK(create.undo(foreign, {}, here).empty());
    CHECK(fs::exists(harbour.file(third, "manifest.json")));
}

TEST_CASE("backup.create goes on without a store that fails, and fails when none is left") {
    Harbour harbour;
    harbour.resources["nas"].fields["path"] = (harbour.folder / "not/mounted").string();
    harbour.open();
    const Outputs made = harbour.save();
    CHECK(made.at("stores") == Json::array({"offsite"}));
    REQUIRE(made.at("failed").size() == 1);
    CHECK(made.at("failed").at(0).at("store") == "nas");
    harbour.sets["shop"].to = {"nas"};
    harbour.open();
    CHECK(error_of([&] { harbour.save(); }).code == ErrorCode::unreachable);
}

TEST_CASE("backup.complete copies to the stores that miss a backup, and its undo takes away those copies only") {
    Harbour harbour;
    harbour.sets["shop"].retain = {{"last", 2}};
    harbour.open();
    const Outputs older = harbour.act("backup.create", {{"stores", {"nas"}}});
    fs::create_directory(harbour.folder / "offsite");
    harbour.clock.pass(std::chrono::hours(1));
    const Outputs newer = harbour.act("backup.create", {{"stores", {"nas"}}});
    const Action& complete = harbour.action("backup.complete");
    Context here = harbour.context(Json::object());
    const Intent intent = complete.prepare(here);
    CHECK(complete.undo(intent, {}, here).empty());
    const Outputs done = complete.run(intent, here);
    CHECK(done == Json{{"completed", {{{"store", "offsite"}, {"id", newer.at("id")}}}},
                       {"failed", Json::array()},
                       {"copied", newer.at("size")}});
    CHECK(bytes_of(harbour.file(newer, "manifest.json", "offsite")) == bytes_of(harbour.file(newer, "manifest.json")));
    CHECK_FALSE(fs::exists(harbour.file(older, "", "offsite")));
    CHECK(harbour.act("backup.complete").at("completed").empty());              // nothing is missing any more
    CHECK(complete.run(intent, here).at("completed") == done.at("completed"));  // the same deed again
    CHECK(complete.undo(intent, {}, here) ==
          "removed copies of backups of set 'shop': '" + newer.at("id").get<std::string>() + "' from 'offsite'");
    CHECK(complete.undo(intent, {}, here).empty());
    CHECK_FALSE(fs::exists(harbour.file(newer, "", "offsite")));
    CHECK(fs::exists(harbour.file(newer, "manifest.json")));

    CHECK(
        harbour.act("backup.complete", {{"all", true}, {"to", {"offsite"}}, {"from", {"nas"}}}).at("completed") ==
        Json::array({{{"store", "offsite"}, {"id", older.at("id")}}, {{"store", "offsite"}, {"id", newer.at("id")}}}));
    CHECK(error_of([&] {
              harbour.act("backup.complete", {{"id", "2026-01-01T00-00-00Z"}});
          }).code == ErrorCode::no_candidate);
    CHECK(error_of([&] {
              harbour.act("backup.complete", {{"to", {"of"}}});
          }).message == "backup set 'shop' has no store 'of'");
}

TEST_CASE("backup.complete fails when the store that misses a backup is still down, and names it beside others") {
    Harbour harbour;
    harbour.add_resource("vault", "local", {{"path", (harbour.folder / "vault").string()}});
    harbour.sets["shop"].to = {"nas", "offsite", "vault"};
    harbour.open();
    fs::create_directory(harbour.folder / "vault");
    const Outputs made = harbour.act("backup.create", {{"stores", {"nas", "vault"}}});
    CHECK(error_of([&] { harbour.act("backup.complete"); }).code == ErrorCode::unreachable);
    fs::remove_all(harbour.file(made, "", "vault"));
    const Outputs done = harbour.act("backup.complete");
    CHECK(done.at("completed") == Json::array({{{"store", "vault"}, {"id", made.at("id")}}}));
    REQUIRE(done.at("failed").size() == 1);
    CHECK(done.at("failed").at(0).at("store") == "offsite");
    CHECK(done.at("failed").at(0).at("id").is_null());
}

TEST_CASE("a set that is to be encrypted is never written in the open, also when its key is missing") {
    Harbour harbour;
    harbour.sets["shop"].encrypt = {{"key", {{"secret", "backup_key"}}}};
    harbour.open();
    CHECK(error_of([&] { harbour.act("backup.create"); }).code == ErrorCode::secret_missing);
    CHECK(fs::is_empty(harbour.folder / "work-step1"));
    CHECK_FALSE(fs::exists(harbour.folder / "nas"));
    Context here = harbour.context(Json::object());
    const Survey survey = harbour.action("backup.create").survey(here);
    REQUIRE(survey.findings.size() == 1);
    CHECK(survey.findings[0].kind == FindingKind::blocker);

    harbour.sets["shop"].encrypt = {{"key", {{"secret", "shop_pw"}}}};
    harbour.open();
    const std::string id = harbour.act("backup.create").at("id");
    CHECK(bytes_of(harbour.folder / "nas/shop" / id / "shop/shop.db").starts_with("{\"lifeboat\":\"encrypted/v1\""));
    const Outputs fetched = harbour.act("backup.fetch");
    CHECK(SqliteDatabase::open(fetched.at("path").get<std::string>()).value("select count(*) from orders") == 0);
}

TEST_CASE("what is no store, unknown stores and resources outside of the sandbox are refused") {
    Harbour harbour;
    harbour.add_resource("cloud", "s3", {{"bucket", "dr"}, {"access_key", "a"}, {"secret_key", "b"}});
    harbour.sets["cloudy"] = {.name = "cloudy", .of = {"shop"}, .to = {"cloud"}};
    harbour.sets["odd"] = {.name = "odd", .of = {"shop"}, .to = {"shop"}};
    harbour.open();
    CHECK(error_of([&] {
              harbour.act("backup.select", {{"backup", {{"backup", "odd"}}}});
          }).message == "resource 'shop' of type 'sqlite' is no store");
    CHECK(error_of([&] {
              harbour.act("backup.create", {{"stores", {"of"}}});
          }).message == "backup set 'shop' has no store 'of'");

    write_text(harbour.folder / "nonce", "n1\n");
    harbour.drill = DrillMark{.drill = "d1", .nonces = {{"nas", "n1"}, {"offsite", "n1"}}};
    harbour.open();
    CHECK(error_of([&] { harbour.act("backup.create"); }).code == ErrorCode::refused);
    CHECK(error_of([&] {
              harbour.act("backup.select", {{"backup", {{"backup", "cloudy"}}}});
          }).message == "store 'cloud' is of type 's3': a drill cannot prove that it is part of its sandbox");
    harbour.drill->nonces["shop"] = "n1";
    harbour.open();
    CHECK(harbour.act("backup.create").at("stores").size() == 2);
    // and it is the nonce that is read back that counts
    harbour.drill->nonces["offsite"] = "n2";
    harbour.open();
    CHECK(error_of([&] { harbour.act("backup.select"); }).code == ErrorCode::refused);
}

TEST_CASE("R18 backup.select chooses the newest backup within the limits and says why not the others") {
    Harbour harbour;
    const Outputs first = harbour.save();
    const Outputs second = harbour.save();
    const Outputs third = harbour.save();
    std::ofstream(harbour.file(third, "manifest.json", "nas"), std::ios::trunc).flush();

    const Outputs chosen = harbour.act("backup.select", {{"before", "2026-02-01T04:30:00Z"}, {"max_age", "1h"}});
    CHECK(chosen.at("id") == second.at("id"));
    CHECK(chosen.at("store") == "nas");
    CHECK(chosen.at("consistent_at") == "2026-02-01T04:00:00.000000Z");
    CHECK(chosen.at("manifest_sha256") == second.at("manifest_sha256"));
    std::vector<std::string> order;
    for (const Json& candidate : chosen.at("candidates"))
        order.push_back(candidate.at("id").get<std::string>() + " " + candidate.at("store").get<std::string>());
    CHECK(order == std::vector<std::string>{"2026-02-01T04-00-00Z nas", "2026-02-01T04-00-00Z offsite"});
    std::vector<std::string> refused;
    for (const Json& each : chosen.at("refused"))
        refused.push_back(each.at("id").get<std::string>() + " " + each.at("store").get<std::string>());
    CHECK(refused == std::vector<std::string>{"2026-02-01T05-00-00Z offsite", "2026-02-01T03-00-00Z nas",
                                              "2026-02-01T03-00-00Z offsite", "2026-02-01T05-00-00Z nas"});
    CHECK(chosen.at("refused").at(3).at("why") == "manifest of backup '2026-02-01T05-00-00Z': it is empty");
}

TEST_CASE("R18 nothing within the limits is an error with every reason") {
    Harbour harbour;
    const Error none = error_of([&] { harbour.act("backup.select"); });
    CHECK(none.code == ErrorCode::no_candidate);
    CHECK(none.details.at("refused").size() == 2);  // neither store is there yet
    harbour.save();
    harbour.clock.pass(std::chrono::hours(48));
    for (const char* name : {"backup.select", "backup.fetch"}) {
        const Error error = error_of([&] { harbour.act(name, {{"max_age", "24h"}}); });
        CHECK(error.code == ErrorCode::no_candidate);
        REQUIRE(error.details.at("refused").size() == 2);
        CHECK(error.details.at("refused").at(0).at("why") ==
              "its data is " + to_human(Duration(std::chrono::hours(48))) + " old, the limit is " +
                  to_human(Duration(std::chrono::hours(24))));
    }
}

TEST_CASE("backup.fetch brings one component as its file, several as a folder") {
    Harbour harbour;
    const Outputs made = harbour.save();
    const Outputs fetched = harbour.act("backup.fetch");
    const fs::path path = fetched.at("path").get<std::string>();
    CHECK(path.filename() == "shop.db");
    CHECK(harbour.rows(path) == 1);
    CHECK(fetched.at("components") == Json{{"shop", path.string()}});
    CHECK(fetched.at("id") == made.at("id"));
    CHECK(fetched.at("store") == "nas");
    CHECK(fetched.at("consistent_at") == made.at("consistent_at"));
    CHECK(fetched.at("manifest_sha256") == made.at("manifest_sha256"));
    CHECK(fetched.at("size") == made.at("size"));
    CHECK(fetched.at("refused") == Json::array());
    CHECK(fetched.at("manifest").at("components").at("shop").at("facts").at("rows") == Json{{"orders", 1}});

    harbour.save("both");
    const Outputs both = harbour.act("backup.fetch", {{"backup", {{"backup", "both"}}}});
    const fs::path folder = both.at("path").get<std::string>();
    CHECK(both.at("components") ==
          Json{{"shop", (folder / "shop/shop.db").string()}, {"config", (folder / "config/config.tar").string()}});
    CHECK(fs::is_regular_file(folder / "config/config.tar"));
}

TEST_CASE("backup.fetch is undone by removing what it fetched, as often as asked") {
    Harbour harbour;
    harbour.save();
    Context here = harbour.context(Json::object());
    const Action& fetch = harbour.action("backup.fetch");
    const Intent intent = fetch.prepare(here);
    CHECK(fetch.undo(intent, {}, here).empty());
    fetch.run(intent, here);
    CHECK_FALSE(fetch.undo(intent, {}, here).empty());
    CHECK(fetch.undo(intent, {}, here).empty());
    CHECK(fs::is_empty(here.workspace));
}

TEST_CASE("R1 the newest backups are damaged: refused one after the other, noted, and the next older one taken") {
    Harbour harbour;
    std::vector<Outputs> made;
    for (int i = 0; i < 4; ++i)
        made.push_back(harbour.save());
    const Json plan = harbour.planned();
    REQUIRE(plan.size() == 8);
    for (const char* store : {"nas", "offsite"}) {
        flip(harbour.file(made[3], "shop/shop.db", store), 5000);             // a flipped byte
        fs::resize_file(harbour.file(made[2], "shop/shop.db", store), 4096);  // cut
    }
    fs::remove(harbour.file(made[1], "shop/shop.db", "nas"));  // missing in one store only
    const Outputs fetched = harbour.fetch_planned(plan);
    CHECK(fetched.at("id") == made[1].at("id"));
    CHECK(fetched.at("store") == "offsite");
    CHECK(fetched.at("consistent_at") == made[1].at("consistent_at"));
    CHECK(harbour.rows(fetched.at("path").get<std::string>()) == 2);
    REQUIRE(fetched.at("refused").size() == 5);
    CHECK(fetched.at("refused").at(0).at("id") == made[3].at("id"));
    CHECK(fetched.at("refused").at(0).at("why").get<std::string>().find("its SHA-256 is") != std::string::npos);
    REQUIRE(harbour.notes.size() == 5);
    CHECK(harbour.notes.back().first == "refused");
    CHECK(harbour.notes.back().second == fetched.at("refused"));
}

TEST_CASE("law 4: only candidates of the plan are taken, and one that changed since is refused with the reason") {
    Harbour harbour;
    const Outputs first = harbour.save();
    const Outputs second = harbour.save();
    const Json plan = harbour.planned();
    const Outputs third = harbour.save();
    CHECK(harbour.fetch_planned(plan).at("id") == second.at("id"));

    // somebody put another backup under the chosen one's name
    for (const char* store : {"nas", "offsite"}) {
        std::string text = bytes_of(harbour.file(second, "manifest.json", store));
        text += "\n";
        std::ofstream(harbour.file(second, "manifest.json", store), std::ios::trunc) << text;
    }
    const Outputs fetched = harbour.fetch_planned(plan);
    CHECK(fetched.at("id") == first.at("id"));
    CHECK(fetched.at("refused").at(0).at("why").get<std::string>().find(
              "the manifest is another one than was chosen") != std::string::npos);

    const Error moved = error_of([&] { harbour.fetch_planned(plan, {{"id", third.at("id")}}); });
    CHECK(moved.code == ErrorCode::moved);
    CHECK(nothing_done(harbour.action("backup.fetch").spec(), ErrorCode::moved));
    CHECK(error_of([&] { harbour.fetch_planned(Json::array()); }).code == ErrorCode::no_candidate);
    CHECK(harbour.act("backup.fetch", {{"id", first.at("id")}}).at("id") == first.at("id"));
}

TEST_CASE("when every candidate is damaged the fetch fails with all reasons and leaves nothing") {
    Harbour harbour;
    std::vector<Outputs> made{harbour.save(), harbour.save()};
    for (const Outputs& each : made)
        for (const char* store : {"nas", "offsite"})
            flip(harbour.file(each, "shop/shop.db", store), 100);
    Context here = harbour.context(Json::object());
    const Action& fetch = harbour.action("backup.fetch");
    const Error error = error_of([&] { fetch.run(fetch.prepare(here), here); });
    CHECK(error.code == ErrorCode::no_candidate);
    CHECK(error.details.at("refused").size() == 4);
    CHECK(fs::is_empty(here.workspace / "backup"));
}

TEST_CASE("another attempt of a fetch does not fetch what is verified again") {
    Harbour harbour;
    harbour.save();
    Context here = harbour.context(Json::object());
    const Action& fetch = harbour.action("backup.fetch");
    const Intent intent = fetch.prepare(here);
    const Outputs first = fetch.run(intent, here);
    const auto identity = identity_of(first.at("path").get<std::string>());
    const Outputs second = fetch.run(intent, here);
    CHECK(second == first);
    REQUIRE(identity);
    CHECK(same_object(*identity, *identity_of(second.at("path").get<std::string>())));
}

TEST_CASE("the survey of a fetch shows candidates, age, room and stores that cannot be read") {
    Harbour harbour;
    harbour.sets["shop"].max_age = std::chrono::hours(24);
    harbour.open();
    const auto look = [&](Json arguments = Json::object()) {
        Context here = harbour.context(std::move(arguments));
        return harbour.action("backup.fetch").survey(here);
    };
    const auto finding = [](const Survey& survey, const std::string& subject) -> std::string {
        for (const Finding& each : survey.findings) {
            if (each.subject.find(subject) == std::string::npos) continue;
            switch (each.kind) {
                case FindingKind::ok:
                    return "ok: " + each.message;
                case FindingKind::unknown:
                    return "unknown: " + each.message;
                case FindingKind::warning:
                    return "warning: " + each.message;
                case FindingKind::blocker:
                    return "blocker: " + each.message;
            }
        }
        return "nothing";
    };
    CHECK(finding(look(), "backups of").starts_with("blocker: no backup of set 'shop' satisfies the conditions"));
    CHECK(finding(look(), "store 'nas'").starts_with("warning: store 'nas': cannot open the directory"));

    const Outputs made = harbour.save();
    harbour.clock.pass(std::chrono::hours(2));
    Survey survey = look();
    CHECK(survey.candidates.size() == 2);
    CHECK(survey.candidates[0].id == made.at("id"));
    CHECK(survey.candidates[0].verified == "listed");
    CHECK(survey.bytes == Bytes{made.at("size").get<std::uint64_t>()});
    CHECK(finding(survey, "age of the newest backup of 'shop'") ==
          "ok: its data is " + to_human(Duration(std::chrono::hours(2))) + " old");
    CHECK(finding(survey, "free space on").starts_with("ok: "));

    harbour.clock.pass(std::chrono::hours(24));
    CHECK(finding(look(), "age of the newest backup of 'shop'") ==
          "warning: its data is " + to_human(Duration(std::chrono::hours(26))) + " old, the set wants at most " +
              to_human(Duration(std::chrono::hours(24))));
    CHECK(finding(look({{"before", nullptr}}), "backups of") == "unknown: 'before' is not known before the run");
    CHECK(look({{"before", nullptr}}).candidates.empty());
    survey = look({{"max_age", "1h"}});
    REQUIRE(survey.candidates.size() == 2);
    CHECK_FALSE(survey.candidates[0].refused.empty());
}

TEST_CASE("R17 a backup that does not fit is refused before the run, naming the file system") {
    Harbour harbour;
    const Outputs made = harbour.save();
    // a manifest that promises more than any disk has
    for (const char* store : {"nas", "offsite"}) {
        Json manifest = Json::parse(bytes_of(harbour.file(made, "manifest.json", store)));
        manifest["components"][0]["objects"][0]["size"] = std::uint64_t{1} << 60;
        std::ofstream(harbour.file(made, "manifest.json", store), std::ios::trunc) << manifest.dump();
    }
    Context here = harbour.context(Json::object());
    bool blocked = false;
    for (const Finding& finding : harbour.action("backup.fetch").survey(here).findings)
        if (finding.kind == FindingKind::blocker) {
            blocked = true;
            CHECK(finding.subject == "free space on '" + space_at(here.workspace).mount_point.string() + "'");
        }
    CHECK(blocked);
}

TEST_CASE("backup.verify looks at every copy, notes the level beside it and names what is wrong") {
    Harbour harbour;
    const Outputs made = harbour.save();
    const Outputs good = harbour.act("backup.verify", {{"level", "readable"}});
    CHECK(good ==
          Json{{"id", made.at("id")},
               {"level", "readable"},
               {"signatures",
                {{{"store", "nas"}, {"signature", "unsigned"}}, {{"store", "offsite"}, {"signature", "unsigned"}}}},
               {"problems", Json::array()},
               {"archived", Json::array()}});
    Context here = harbour.context(Json::object());
    for (const Candidate& candidate : harbour.action("backup.select").survey(here).candidates)
        CHECK(candidate.verified == "readable");

    harbour.clock.pass(std::chrono::hours(1));
    flip(harbour.file(made, "shop/shop.db", "offsite"), 100);
    const Error error = error_of([&] { harbour.act("backup.verify", {{"id", made.at("id")}}); });
    CHECK(error.code == ErrorCode::check_failed);
    CHECK(error.details.at("level") == "complete");
    const Outputs bad = harbour.act("backup.verify", {{"required", false}});
    CHECK(bad.at("level") == "complete");
    REQUIRE(bad.at("problems").size() == 1);
    CHECK(bad.at("problems").at(0).at("store") == "offsite");
    CHECK(bad.at("problems").at(0).at("object") == "shop/shop.db");
    std::vector<std::string> levels;
    for (const Candidate& candidate : harbour.action("backup.select").survey(here).candidates)
        levels.push_back(candidate.store + " " + candidate.verified);
    CHECK(levels == std::vector<std::string>{"nas readable", "offsite damaged"});
    CHECK(error_of([&] {
              harbour.act("backup.verify", {{"id", "2020-01-01T00-00-00Z"}});
          }).code == ErrorCode::no_candidate);
}

TEST_CASE("backup.audit fails until every rule holds, and says which do not") {
    Harbour harbour;
    harbour.add_resource("nas", "local",
                         {{"path", (harbour.folder / "nas").string()}, {"media", "disk"}, {"location", "onsite"}});
    harbour.add_resource("offsite", "local",
                         {{"path", (harbour.folder / "offsite").string()}, {"media", "tape"}, {"location", "offsite"}});
    harbour.open();
    const Outputs made = harbour.save();
    try {
        harbour.act("backup.audit");
        FAIL("nothing was thrown");
    } catch (const Error& error) {
        CHECK(error.code == ErrorCode::check_failed);
        CHECK(error.details.at("newest") == made.at("id"));
    }
    const Outputs said = harbour.act("backup.audit", {{"required", false}});
    CHECK(said.at("holds") == false);
    std::map<std::string, bool> rules;
    for (const Json& finding : said.at("findings"))
        rules[finding.at("rule")] = finding.at("holds");
    CHECK(rules.at("copies"));
    CHECK(rules.at("media"));
    CHECK(rules.at("offsite"));
    CHECK_FALSE(rules.at("verified"));
    CHECK_FALSE(rules.at("restored"));
    harbour.sets["shop"].max_age = std::chrono::hours(2);
    harbour.open();
    harbour.act("backup.verify", {{"level", "restored"}});
    const Outputs now = harbour.act("backup.audit", {{"required", false}});
    for (const Json& finding : now.at("findings"))
        if (finding.at("rule") != "encrypted") CHECK(finding.at("holds") == true);
}

TEST_CASE("PostgreSQL goes through create, damage and fetch, its password nowhere") {
    Harbour harbour;
    const fs::path cluster = harbour.folder / "cluster";
    const ScratchPostgres server =
        start_scratch_postgres({.folder = cluster, .nonce = "nonce-1", .password = Secret("geheim-canary-0815")});
    const std::shared_ptr<void> stop(nullptr, [&](void*) { destroy_scratch_postgres(cluster); });
    PostgresConnection(server.target()).execute("create database shop");
    PostgresConnection shop(server.target("shop"));
    shop.execute("create table orders(id int primary key, name text)");
    shop.execute("insert into orders select i, 'order ' || i from generate_series(1, 2000) i");
    harbour.add_resource("pg", "postgres",
                         {{"host", server.host},
                          {"port", server.port},
                          {"database", "shop"},
                          {"user", server.user},
                          {"password", {{"secret", "shop_pw"}}}});
    harbour.sets["shop"] = {.name = "shop", .of = {"pg"}, .to = {"nas"}, .format = "directory"};
    write_text(harbour.folder / "nonce", "x\n");
    harbour.drill = DrillMark{.drill = "d1", .nonces = {{"nas", "x"}, {"pg", "nonce-1"}}};
    harbour.open();
    const Outputs good = harbour.act("backup.create");
    shop.execute("insert into orders values (0, 'late')");
    const Outputs damaged = harbour.act("backup.create");
    CHECK(damaged.at("consistent_at") > good.at("consistent_at"));
    // the server's clock is the real one, the harbour's is not: without an id this would be data from the future
    const fs::path folder = harbour.folder / "nas/shop" / damaged.at("id").get<std::string>() / "pg";
    for (const auto& entry : fs::directory_iterator(folder))
        if (entry.path().filename() != "toc.dat") fs::resize_file(entry.path(), entry.file_size() / 2);

    Context here = harbour.context(Json::object());
    Json plan = Json::array();
    for (const Outputs& each : {damaged, good})
        plan.push_back(
            to_json(Candidate{.id = each.at("id"), .manifest_sha256 = each.at("manifest_sha256"), .store = "nas"}));
    here.planned = plan;
    std::vector<int> children;
    here.child_started = [&](const ChildGroup& child) { children.push_back(child.group); };
    const Outputs fetched = harbour.action("backup.fetch").run(harbour.action("backup.fetch").prepare(here), here);
    CHECK(fetched.at("id") == good.at("id"));
    CHECK(fetched.at("refused").size() == 1);
    CHECK(fs::exists(fs::path(fetched.at("path").get<std::string>()) / "toc.dat"));
    CHECK(fetched.at("manifest").at("components").at("pg").at("facts").at("rows") == Json{{"public.orders", 2000}});
    CHECK(children.size() == 2);  // pg_restore --list and the reading through

    for (const char* root : {"nas", "work-step1", "work-step2"})
        for (const auto& entry : fs::recursive_directory_iterator(harbour.folder / root))
            if (entry.is_regular_file()) CHECK(bytes_of(entry.path()).find("geheim-canary") == std::string::npos);

    harbour.drill->nonces["pg"] = "another";
    harbour.open();
    CHECK(error_of([&] { harbour.act("backup.create"); }).code == ErrorCode::refused);
}
