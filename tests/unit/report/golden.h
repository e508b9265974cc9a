// Whole outputs compared with files in `golden/`. With LIFEBOAT_ACCEPT=1 the files are rewritten, and the test fails
// all the same, so that accepting cannot pass for succeeding.
#pragma once

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace lifeboat::sample {

inline void check_golden(const std::string& name, const std::string& text) {
    const std::string path = LIFEBOAT_SOURCE_DIR "/tests/unit/report/golden/" + name;
    std::ifstream file(path, std::ios::binary);
    const std::string wanted{std::istreambuf_iterator<char>(file), {}};
    const bool same = text == wanted;
    const char* accept = std::getenv("LIFEBOAT_ACCEPT");
    if (!same && accept != nullptr && std::string(accept) == "1") {
        std::ofstream(path, std::ios::binary) << text;
        FAIL_CHECK("accepted a new " << path);
        return;
    }
    INFO("golden/" << name);
    CHECK(text == wanted);
}

}  // namespace lifeboat::sample
