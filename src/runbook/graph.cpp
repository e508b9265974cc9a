#include "runbook/graph.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <queue>

namespace lifeboat {

std::vector<std::size_t> find_cycle(const Needs& needs) {
    enum class Mark : char { fresh, open, closed };
    struct Visit {
        std::size_t step = 0;
        std::size_t next = 0;
    };
    std::vector<Mark> marks(needs.size(), Mark::fresh);
    std::vector<Visit> trail;
    for (std::size_t start = 0; start < needs.size(); ++start) {
        if (marks[start] != Mark::fresh) continue;
        trail.push_back({.step = start});
        marks[start] = Mark::open;
        while (!trail.empty()) {
            Visit& visit = trail.back();
            if (visit.next == needs[visit.step].size()) {
                marks[visit.step] = Mark::closed;
                trail.pop_back();
                continue;
            }
            const std::size_t need = needs[visit.step][visit.next++];
            if (marks[need] == Mark::open) {
                std::vector<std::size_t> cycle;
                auto from =
                    std::find_if(trail.begin(), trail.end(), [need](const Visit& each) { return each.step == need; });
                for (; from != trail.end(); ++from)
                    cycle.push_back(from->step);
                return cycle;
            }
            if (marks[need] == Mark::fresh) {
                marks[need] = Mark::open;
                trail.push_back({.step = need});
            }
        }
    }
    return {};
}

std::vector<std::size_t> stable_order(const Needs& needs) {
    std::vector<std::size_t> open(needs.size(), 0);
    std::vector<std::vector<std::size_t>> dependents(needs.size());
    for (std::size_t step = 0; step < needs.size(); ++step) {
        open[step] = needs[step].size();
        for (const std::size_t need : needs[step])
            dependents[need].push_back(step);
    }
    std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready;
    for (std::size_t step = 0; step < needs.size(); ++step)
        if (open[step] == 0) ready.push(step);
    std::vector<std::size_t> order;
    order.reserve(needs.size());
    while (!ready.empty()) {
        const std::size_t step = ready.top();
        ready.pop();
        order.push_back(step);
        for (const std::size_t dependent : dependents[step])
            if (--open[dependent] == 0) ready.push(dependent);
    }
    return order;
}

std::vector<bool> stand_behind(const Needs& needs, const std::vector<std::size_t>& order,
                               const std::vector<AncestorQuestion>& questions) {
    std::map<std::size_t, std::vector<std::size_t>> by_ancestor;  // ancestor → positions in questions
    for (std::size_t i = 0; i < questions.size(); ++i)
        by_ancestor[questions[i].ancestor].push_back(i);
    std::vector<bool> answers(questions.size(), false);
    std::vector<std::uint64_t> behind(needs.size());
    for (auto batch = by_ancestor.begin(); batch != by_ancestor.end();) {
        std::fill(behind.begin(), behind.end(), 0);
        std::map<std::size_t, std::uint64_t> bits;
        auto next = batch;
        for (int bit = 0; bit < 64 && next != by_ancestor.end(); ++bit, ++next)
            bits.emplace(next->first, std::uint64_t{1} << bit);
        std::vector<std::uint64_t> own(needs.size(), 0);
        for (const auto& [ancestor, bit] : bits)
            own[ancestor] = bit;
        for (const std::size_t step : order)
            for (const std::size_t need : needs[step])
                behind[step] |= behind[need] | own[need];
        for (; batch != next; ++batch)
            for (const std::size_t question : batch->second)
                answers[question] = (behind[questions[question].step] & bits[batch->first]) != 0;
    }
    return answers;
}

}  // namespace lifeboat
