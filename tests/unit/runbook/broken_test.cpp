// Every broken file under tests/cases/broken with the exact diagnostics it gets. LIFEBOAT_ACCEPT=1 writes the
// `.expected` files anew, and fails, so that nothing is accepted unseen.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "unit/runbook/specs.h"

using namespace lifeboat;

namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
    std::ifstream stream(path, std::ios::binary);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

std::vector<fs::path> broken_files() {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(fs::path(LIFEBOAT_SOURCE_DIR) / "tests/cases/broken"))
        if (entry.path().extension() == ".yaml") files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
}

template <typename T>
std::string rendered(const Loaded<T>& loaded) {
    CHECK(loaded.diagnostics.has_errors());
    CHECK_FALSE(loaded.value.has_value());
    return loaded.diagnostics.render();
}

std::string diagnostics_of(const fs::path& path) {
    const Specs specs = testing::small_specs();
    const std::string text = read(path);
    const std::string name = path.filename().string();
    switch (kind_of(text).value_or(FileKind::runbook)) {
        case FileKind::site:
            return rendered(load_site(text, name, specs));
        case FileKind::runbook:
            return rendered(load_runbook(text, name, specs, testing::small_scripts));
        case FileKind::drill:
            return rendered(load_drill(text, name, specs, testing::small_scripts));
    }
    return "";
}

}  // namespace

TEST_CASE("R30 every mistake of a broken file is reported with its place, a caret and what was meant") {
    const bool accept = std::getenv("LIFEBOAT_ACCEPT") != nullptr;
    const std::vector<fs::path> files = broken_files();
    CHECK(files.size() >= 60);
    for (const fs::path& file : files) {
        SECTION(file.stem().string()) {
            const std::string found = diagnostics_of(file);
            fs::path expected = file;
            expected.replace_extension(".expected");
            if (accept) {
                std::ofstream(expected, std::ios::binary) << found;
                FAIL("accepted: look at the difference, then run the tests again without LIFEBOAT_ACCEPT");
            }
            CHECK(found == read(expected));
        }
    }
}
