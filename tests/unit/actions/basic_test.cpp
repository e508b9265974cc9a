#include <catch2/catch.hpp>

#include "unit/actions/deed_world.h"

using namespace lifeboat;
using namespace lifeboat::test;

TEST_CASE("log.note writes its text and nothing else") {
    DeedWorld here;
    const ActionList actions = basic_actions(here.world());
    const Action& note = action_named(actions, "log.note");
    CHECK(here.run(note, {{"text", "we begin"}}) == Json::object());
    CHECK(here.log == std::vector<std::string>{"we begin"});
    CHECK(note.spec().effect == Effect::read);
    CHECK(here.children.empty());
}

TEST_CASE("resources are found by name, with what a derived one replaces") {
    const Resources resources(
        {{"shop", {.name = "shop", .type = "postgres", .fields = {{"host", "db1"}, {"database", "shop"}}}}},
        {{"nightly", {.name = "nightly", .of = {"shop"}}}}, {});
    const ResolvedResource derived = resources.resolve({{"of", "shop"}, {"database", "shop_new"}});
    CHECK(derived.name == "shop");
    CHECK(derived.type == "postgres");
    CHECK(derived.fields == Json{{"host", "db1"}, {"database", "shop_new"}});
    CHECK(derived.reference == Json{{"of", "shop"}, {"database", "shop_new"}});
    CHECK(resources.resolve({{"of", "shop"}}).fields == Json{{"host", "db1"}, {"database", "shop"}});
    CHECK(resources.named("shop").reference == Json{{"of", "shop"}});
    CHECK(resources.backup({{"backup", "nightly"}}).of == std::vector<std::string>{"shop"});
    CHECK(resources.nonce_of("shop").empty());

    const auto message = [](const auto& call) {
        try {
            call();
        } catch (const Error& error) {
            CHECK(error.code == ErrorCode::invalid_file);
            return error.message;
        }
        return std::string("no error");
    };
    CHECK(message([&] { resources.named("shp"); }) == "the site has no resource 'shp' (did you mean 'shop'?)");
    CHECK(message([&] { resources.resolve("shop"); }) == "this names no resource: \"shop\"");
    CHECK(message([&] { resources.resolve({{"of", 3}}); }) == "this names no resource: {\"of\":3}");
    CHECK(message([&] { resources.backup({{"backup", "weekly"}}); }) == "the site has no backup set 'weekly'");
}

TEST_CASE("inside a drill a resource without a nonce is refused") {
    const Resources resources({{"in", {.name = "in", .type = "files"}}, {"out", {.name = "out", .type = "files"}}}, {},
                              DrillMark{.drill = "d", .nonces = {{"in", "n-1"}}});
    CHECK(resources.nonce_of("in") == "n-1");
    try {
        resources.nonce_of("out");
        FAIL("no error");
    } catch (const Error& error) {
        CHECK(error.code == ErrorCode::refused);
        CHECK(error.message == "'out' is not part of the sandbox of this drill");
    }
}
