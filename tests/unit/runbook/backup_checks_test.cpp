#include <catch2/catch.hpp>

#include "runbook/load.h"
#include "unit/runbook/specs.h"

using namespace lifeboat;

namespace {

Loaded<Site> site_with(const std::string& checks) {
    return load_site(
        "lifeboat: site/v1\nresources:\n  shop: {type: postgres, host: db1, database: shop}\n  nas: {type: local, "
        "path: /nas}\nbackups:\n  shop:\n    of: [shop]\n    to: [nas]\n    checks: " +
            checks + "\n",
        "lifeboat.yaml", testing::small_specs());
}

}  // namespace

TEST_CASE("a backup set says what has to hold in a restored copy of it") {
    const Loaded<Site> loaded =
        site_with("[{on: shop, name: orders present, query: \"select count(*) from orders\", expect: \"value > 0\"}]");
    INFO(loaded.diagnostics.render());
    REQUIRE(loaded.value);
    CHECK(loaded.value->backups.at("shop").checks == Json::array({{{"on", "shop"},
                                                                   {"name", "orders present"},
                                                                   {"query", "select count(*) from orders"},
                                                                   {"expect", "value > 0"}}}));
}

TEST_CASE("a check that asks what is not in the set, or has no right expression, is refused with its line") {
    const auto said = [](const std::string& checks) {
        const Loaded<Site> loaded = site_with(checks);
        CHECK_FALSE(loaded.value);
        return loaded.diagnostics.render();
    };
    CHECK_THAT(said("[{on: shp, name: a, query: select 1, expect: \"value == 1\"}]"),
               Catch::Matchers::Contains("'shp' is not in this backup set (did you mean 'shop'?)"));
    CHECK_THAT(said("[{on: shop, name: a, query: select 1, expect: \"value >\"}]"),
               Catch::Matchers::Contains("lifeboat.yaml:9"));
    CHECK_THAT(said("[{on: shop, name: a, query: select 1}]"), Catch::Matchers::Contains("expect"));
    CHECK_THAT(said("[]"), Catch::Matchers::Contains("'checks' is empty"));
}
