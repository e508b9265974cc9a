// What is committed is what this program generates (law 8): `lifeboat docs --write .` makes it fresh.
#include <catch2/catch.hpp>

#include "actions/family.h"
#include "cli/init_texts.h"
#include "cli/places.h"
#include "cli/reference.h"
#include "runbook/load.h"

using namespace lifeboat;

namespace {

std::string committed(const std::string& path) {
    return read_text_file(std::string(LIFEBOAT_SOURCE_DIR) + "/" + path);
}

}  // namespace

TEST_CASE("the reference pages are fresh") {
    const Specs specs = all_specs();
    CHECK(committed("docs/reference/actions.md") == actions_reference(specs));
    CHECK(committed("docs/reference/cli.md") == cli_reference(all_verbs()));
    CHECK(committed("docs/reference/errors.md") == errors_reference(specs));
    CHECK(committed("docs/reference/events.md") == events_reference());
}

TEST_CASE("the JSON Schemas are fresh") {
    const Specs specs = all_specs();
    CHECK(committed("schemas/site.json") == to_pretty_text(schema_of(FileKind::site, specs)) + "\n");
    CHECK(committed("schemas/runbook.json") == to_pretty_text(schema_of(FileKind::runbook, specs)) + "\n");
    CHECK(committed("schemas/drill.json") == to_pretty_text(schema_of(FileKind::drill, specs)) + "\n");
}

TEST_CASE("what `init` writes is the quickstart that ships") {
    CHECK(std::string(initial_runbook()) == committed("runbooks/quickstart.yaml"));
    CHECK(std::string(initial_drill()) == committed("drills/quickstart.yaml"));
    CHECK(std::string(initial_database()) == committed("drills/fixtures/quickstart.sql"));
    CHECK(std::string(initial_settings()) == committed("drills/fixtures/quickstart-config/shop.conf"));
    CHECK(std::string(initial_features()) == committed("drills/fixtures/quickstart-config/features.json"));
}
