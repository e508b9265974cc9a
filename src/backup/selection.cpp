#include "backup/selection.h"

#include <algorithm>

#include "base/text.h"

namespace lifeboat {

namespace {

// Clocks of different machines differ a little; a backup from further ahead would win over every other one for ever.
constexpr Duration clock_tolerance = std::chrono::minutes(5);

std::string refusal(const CatalogueEntry& entry, const SelectionLimits& limits) {
    if (!limits.id.empty() && entry.id != limits.id) return "another backup was asked for: '" + limits.id + "'";
    if (!entry.manifest) return entry.refused;
    if (entry.signature.state == SignatureState::wrong) return "its signature is wrong";
    if (!entry.manifest->time_known) {
        if (limits.id.empty()) return "the time of its data is not known: it is only taken when its id is asked for";
        if (limits.before || limits.max_age)
            return "the time of its data is not known, so it satisfies no limit of time";
    }
    const Timestamp at = entry.manifest->consistent_at;
    if (limits.id.empty() && at > limits.now + clock_tolerance)
        return "its data is as of " + to_human(at) + ", which by this machine's clock is " + to_human(at - limits.now) +
               " in the future";
    if (limits.before && at > *limits.before)
        return "its data is as of " + to_human(at) + ", newer than " + to_human(*limits.before);
    const Timestamp reference = limits.before ? std::min(*limits.before, limits.now) : limits.now;
    if (limits.max_age && elapsed(at, reference) > *limits.max_age)
        return "its data is " + to_human(elapsed(at, reference)) + " old, the limit is " + to_human(*limits.max_age);
    if (entry.manifest->size() < limits.min_size)
        return "it holds " + to_human(entry.manifest->size()) + ", the least is " + to_human(limits.min_size);
    if (!limits.archived && entry.cold.state != Thaw::ready)
        return "it lies in cold storage (" + counted(entry.cold.objects, "object") + "), which is not to be waited for";
    return {};
}

int hours_behind(Thaw state) {
    switch (state) {
        case Thaw::ready:
            return 0;
        case Thaw::thawing:
            return 1;
        case Thaw::frozen:
            return 2;
    }
    return 2;
}

// As the catalogue, but for copies of one backup.
bool is_tried_first(const CatalogueEntry& a, const CatalogueEntry& b) {
    const bool same_backup =
        a.id == b.id && a.manifest && b.manifest && a.manifest->consistent_at == b.manifest->consistent_at;
    if (same_backup && a.cold.state != b.cold.state) return hours_behind(a.cold.state) < hours_behind(b.cold.state);
    return comes_first(a, b);
}

}  // namespace

Selection select_backups(std::span<const CatalogueEntry> entries, const SelectionLimits& limits) {
    std::vector<CatalogueEntry> ordered(entries.begin(), entries.end());
    std::sort(ordered.begin(), ordered.end(), is_tried_first);
    Selection selection;
    for (CatalogueEntry& entry : ordered) {
        std::string why = refusal(entry, limits);
        if (why.empty()) {
            selection.eligible.push_back(std::move(entry));
        } else {
            selection.refused.push_back(RefusedEntry{.entry = std::move(entry), .why = std::move(why)});
        }
    }
    return selection;
}

}  // namespace lifeboat
