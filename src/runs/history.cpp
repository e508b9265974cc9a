#include "runs/history.h"

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "base/error.h"

namespace lifeboat {

namespace {

struct Samples {
    std::vector<Duration> took;
    std::vector<Bytes> moved;
};
using SamplesByStep = std::map<std::string, Samples>;

// From the first attempt to the step's end, retries and waits between them included: that is what it costs.
void add_samples(const RunRecord& run, SamplesByStep& samples) {
    std::map<std::size_t, Timestamp> begun;
    for (const Event& event : run.events) {
        if (const auto* attempt = std::get_if<AttemptStarted>(&event.body)) {
            begun.emplace(attempt->step, event.at);
        } else if (std::holds_alternative<Paused>(event.body) || std::holds_alternative<RunResumed>(event.body)) {
            begun.clear();
        } else if (const auto* ended = std::get_if<StepEnded>(&event.body)) {
            const auto start = begun.find(ended->step);
            if (start == begun.end() || ended->end != StepEnd::done || ended->step >= step_count(run.plan)) continue;
            Samples& own = samples[step_at(run.plan, ended->step).id];
            own.took.push_back(elapsed(start->second, event.at));
            if (ended->step < run.plan.surveys.size()) {
                if (const auto& bytes = run.plan.surveys[ended->step].bytes) own.moved.push_back(*bytes);
            }
        }
    }
}

// The smallest value that at least `share` of them do not exceed.
template <typename T>
T quantile(std::vector<T> values, double share) {
    std::sort(values.begin(), values.end());
    const auto rank = static_cast<std::size_t>(share * static_cast<double>(values.size()) + 0.999999);
    return values[std::clamp<std::size_t>(rank, 1, values.size()) - 1];
}

SamplesByStep collect(const RunStore& store, const std::string& runbook, std::size_t most) {
    SamplesByStep samples;
    std::size_t read = 0;
    for (const StoredRun& run : store.list()) {
        if (read == most) break;
        if (!run.ended || run.runbook != runbook) continue;
        try {
            const RunRecord record = store.read(run.run_id);
            if (record.plan.draft.drill) continue;
            add_samples(record, samples);
            ++read;
        } catch (const Error&) {
            continue;  // an old run that this binary cannot read must not stop today's recovery
        }
    }
    return samples;
}

}  // namespace

History history_of(const RunStore& store, std::string runbook, std::size_t runs) {
    auto samples = std::make_shared<std::optional<SamplesByStep>>();
    return [&store, runbook = std::move(runbook), runs,
            samples](const std::string& step_id) -> std::optional<StepHistory> {
        if (!*samples) *samples = collect(store, runbook, runs);
        const auto found = (*samples)->find(step_id);
        if (found == (*samples)->end() || found->second.took.empty()) return std::nullopt;
        StepHistory history{.runs = found->second.took.size(),
                            .p50 = quantile(found->second.took, 0.5),
                            .p90 = quantile(found->second.took, 0.9)};
        if (!found->second.moved.empty()) history.bytes_p50 = quantile(found->second.moved, 0.5);
        return history;
    };
}

}  // namespace lifeboat
