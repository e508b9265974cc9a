// The graph of steps by their `needs`: cycles, an order, and who stands behind whom. Indices into one list of steps.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace lifeboat {

using Needs = std::vector<std::vector<std::size_t>>;

// Steps that need each other in a circle, in the order in which each needs the next; empty when there is none.
std::vector<std::size_t> find_cycle(const Needs& needs);

// An order in which every step stands behind what it needs, otherwise as written. The graph has no cycle.
std::vector<std::size_t> stable_order(const Needs& needs);

struct AncestorQuestion {
    std::size_t step = 0;
    std::size_t ancestor = 0;
};

// For each question whether `step` stands behind `ancestor`. Sixty-four ancestors are followed through the graph at
// once: ten thousand of them in as many steps take milliseconds.
std::vector<bool> stand_behind(const Needs& needs, const std::vector<std::size_t>& order,
                               const std::vector<AncestorQuestion>& questions);

}  // namespace lifeboat
