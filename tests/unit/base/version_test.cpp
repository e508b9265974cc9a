#include "base/version.h"

#include <catch2/catch.hpp>
#include <regex>
#include <string>

using namespace lifeboat;

TEST_CASE("the version has three numbers") {
    CHECK(std::regex_match(std::string(version()), std::regex(R"(\d+\.\d+\.\d+)")));
}
