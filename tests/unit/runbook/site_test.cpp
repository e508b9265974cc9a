#include <catch2/catch.hpp>

#include "unit/runbook/specs.h"

using namespace lifeboat;
using namespace std::chrono_literals;

namespace {

Site good(const std::string& yaml) {
    Loaded<Site> loaded = load_site("lifeboat: site/v1\n" + yaml, "lifeboat.yaml", testing::small_specs());
    INFO(loaded.diagnostics.render());
    REQUIRE(loaded.value.has_value());
    return std::move(*loaded.value);
}

}  // namespace

TEST_CASE("resources are checked by their type, defaults filled in") {
    const Site site = good(
        "resources:\n  shop: {type: postgres, host: db1, database: shop}\n  web1: {type: ssh, host: web1}\n"
        "  api: {type: command, start: [serve, --port, \"80\"], on: web1, health_url: \"http://web1/\"}\n");
    CHECK(site.resources.at("shop").type == "postgres");
    CHECK(site.resources.at("shop").fields == Json({{"host", "db1"}, {"port", 5432}, {"database", "shop"}}));
    CHECK(site.resources.at("api").fields ==
          Json({{"start", {"serve", "--port", "80"}}, {"on", "web1"}, {"health_url", "http://web1/"}}));
    CHECK(site.resources.at("api").span.at.line == 5);
}

TEST_CASE("secrets in fields become references and never text") {
    const Site site = good(
        "resources:\n  shop: {type: postgres, host: db1, database: shop, password: \"${{ secrets.pw }}\"}\n  hook: "
        "{type: webhook, url: \"https://x/${{ secrets.token }}\"}\n"
        "secrets:\n  pw: {env: PW}\n  token: {file: /etc/token}\n  cmd: {command: [vault, get, x]}\n");
    CHECK(site.resources.at("shop").fields["password"] == Json({{"secret", "pw"}}));
    CHECK(site.resources.at("hook").fields["url"] == Json({{"secret", {"https://x/", {{"secret", "token"}}}}}));
    CHECK(site.secrets.at("pw").kind == SecretOrigin::Kind::environment);
    CHECK(site.secrets.at("pw").text == "PW");
    CHECK(site.secrets.at("token").kind == SecretOrigin::Kind::file);
    CHECK(site.secrets.at("token").text == "/etc/token");
    CHECK(site.secrets.at("cmd").kind == SecretOrigin::Kind::command);
    CHECK(site.secrets.at("cmd").command == std::vector<std::string>{"vault", "get", "x"});
}

TEST_CASE("backup sets, bindings, notify and state are read") {
    const Site site = good(
        "resources:\n  shop: {type: postgres, host: db1, database: shop}\n  nas: {type: local, path: /nas}\n  off: "
        "{type: local, path: /off}\n"
        "  oncall: {type: webhook, url: \"http://x/\"}\n"
        "backups:\n  shop: {of: [shop], to: [nas, off], format: directory, encrypt: {key: \"${{ secrets.key }}\"}, "
        "retain: {daily: 7, yearly: 3}, max_age: 26h}\n"
        "  other: {of: [shop], to: [nas], retain: {last: 10, within: 30d}}\n"
        "bindings:\n  database-corruption: {db: shop, backup: shop}\n"
        "secrets: {key: {env: KEY}}\nnotify: {on: [paused, done], to: [oncall]}\nstate: /var/lib/lifeboat\n");
    const BackupSet& set = site.backups.at("shop");
    CHECK(set.of == std::vector<std::string>{"shop"});
    CHECK(set.to == std::vector<std::string>{"nas", "off"});
    CHECK(set.format == "directory");
    CHECK(set.encrypt == Json({{"key", {{"secret", "key"}}}}));
    CHECK(set.retain == Json({{"daily", 7}, {"yearly", 3}}));
    CHECK(set.max_age == 26h);
    CHECK(site.backups.at("other").retain == Json({{"last", 10}, {"within", "30d"}}));
    CHECK(site.backups.at("other").encrypt.is_null());
    CHECK(site.bindings.at("database-corruption").at("db") == "shop");
    REQUIRE(site.notify);
    CHECK(site.notify->to == std::vector<std::string>{"oncall"});
    CHECK(site.state == "/var/lib/lifeboat");
    CHECK_FALSE(site.drill);
}

TEST_CASE("a backup set may say who signs its manifests and whose signatures count") {
    const std::string key = "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    const Site site = good(
        "resources:\n  shop: {type: postgres, host: db1, database: shop}\n  nas: {type: local, path: /nas}\n"
        "backups:\n  shop: {of: [shop], to: [nas], sign: {key: \"${{ secrets.key }}\"}, trust: [" +
        key +
        "]}\n  other: {of: [shop], to: [nas], trust: [11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=]}\n"
        "secrets: {key: {env: KEY}}\n");
    CHECK(site.backups.at("shop").sign == Json({{"key", {{"secret", "key"}}}}));
    CHECK(site.backups.at("shop").trust == std::vector<std::string>{key});
    CHECK(site.backups.at("other").sign.is_null());
    CHECK(site.backups.at("other").trust.size() == 1);
}

TEST_CASE("a backup set may be what another tool makes, read by the names of its objects") {
    const Site site = good(
        "resources:\n  nas: {type: local, path: /nas}\nbackups:\n"
        "  one: {foreign: {pattern: \"full_backup_<time>.tar.gz\", time: \"%Y%m%d_%H%M%S\", zone: \"+02:00\", kind: "
        "archive}, to: [nas], max_age: 26h}\n"
        "  two: {to: [nas], foreign: [{pattern: \"database/<id>/dump.sql.gz\", kind: postgres, name: db}, "
        "{pattern: \"storage/<id>/<**>\", kind: files, optional: true}]}\n");
    const BackupSet& one = site.backups.at("one");
    CHECK(one.of.empty());
    CHECK(one.to == std::vector<std::string>{"nas"});
    CHECK(one.max_age == 26h);
    REQUIRE(one.foreign.size() == 1);
    CHECK(one.foreign[0].pattern == "full_backup_<time>.tar.gz");
    CHECK(one.foreign[0].time == "%Y%m%d_%H%M%S");
    CHECK(one.foreign[0].zone == "+02:00");
    CHECK(one.foreign[0].kind == "archive");
    CHECK(one.foreign[0].component == "archive");
    CHECK_FALSE(one.foreign[0].optional);
    const BackupSet& two = site.backups.at("two");
    REQUIRE(two.foreign.size() == 2);
    CHECK(two.foreign[0].time == "iso");
    CHECK(two.foreign[0].zone == "UTC");
    CHECK(two.foreign[0].component == "db");
    CHECK(two.foreign[1].component == "files");
    CHECK(two.foreign[1].optional);
}

TEST_CASE("the mark of a drill holds its nonces") {
    const Site site = good("resources:\n  db: {type: sqlite, path: /tmp/x}\ndrill: {id: d1, nonces: {db: abc}}\n");
    REQUIRE(site.drill);
    CHECK(site.drill->drill == "d1");
    CHECK(site.drill->nonces == std::map<std::string, std::string>{{"db", "abc"}});
}

TEST_CASE("a site with nothing in it is a site") {
    CHECK(good("").resources.empty());
}

TEST_CASE("R5 boundless hosts and paths of resources are refused with their line") {
    for (const std::string value : {"''", "/", ".", "'*'", "'  '"}) {
        CAPTURE(value);
        for (const std::string& field :
             {"host: " + value + ", database: x, type: postgres", "path: " + value + ", type: local"}) {
            const auto loaded = load_site("lifeboat: site/v1\nresources:\n  r: {" + field + "}\n", "lifeboat.yaml",
                                          testing::small_specs());
            CHECK_FALSE(loaded.value);
            REQUIRE(loaded.diagnostics.all().size() == 1);
            CHECK(loaded.diagnostics.all()[0].span.at.line == 3);
        }
    }
}
