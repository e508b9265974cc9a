#include "runbook/graph.h"

#include <catch2/catch.hpp>
#include <random>

using namespace lifeboat;

namespace {

// The obvious way, to compare with.
bool reaches(const Needs& needs, std::size_t step, std::size_t ancestor) {
    for (const std::size_t need : needs[step])
        if (need == ancestor || reaches(needs, need, ancestor)) return true;
    return false;
}

}  // namespace

TEST_CASE("a cycle is found and named in its order") {
    CHECK(find_cycle({{}, {0}, {1, 0}}).empty());
    CHECK(find_cycle({{2}, {0}, {1}}) == std::vector<std::size_t>{0, 2, 1});
    CHECK(find_cycle({{}, {0, 3}, {1}, {2}}) == std::vector<std::size_t>{1, 3, 2});
    CHECK(find_cycle({{0}}) == std::vector<std::size_t>{0});
}

TEST_CASE("the order keeps what is written where the graph allows it") {
    CHECK(stable_order({{}, {0}, {1}}) == std::vector<std::size_t>{0, 1, 2});
    CHECK(stable_order({{}, {}, {}}) == std::vector<std::size_t>{0, 1, 2});
    CHECK(stable_order({{2}, {}, {}}) == std::vector<std::size_t>{1, 2, 0});
    CHECK(stable_order({{3}, {0}, {}, {}}) == std::vector<std::size_t>{2, 3, 0, 1});
}

TEST_CASE("who stands behind whom is answered as by walking the graph") {
    std::mt19937 random(7);
    for (int round = 0; round < 20; ++round) {
        Needs needs(100);
        for (std::size_t step = 1; step < needs.size(); ++step)
            for (int edge = static_cast<int>(random() % 3); edge > 0; --edge)
                needs[step].push_back(step - 1 - random() % std::min<std::size_t>(step, 8));
        std::vector<AncestorQuestion> questions;
        for (int i = 0; i < 300; ++i)
            questions.push_back({.step = random() % needs.size(), .ancestor = random() % needs.size()});
        std::vector<bool> expected;
        for (const AncestorQuestion& each : questions)
            expected.push_back(reaches(needs, each.step, each.ancestor));
        CHECK(stand_behind(needs, stable_order(needs), questions) == expected);
    }
}
