#include "backup/retention.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>
#include <tuple>

#include "base/error.h"
#include "base/text.h"

namespace lifeboat {

namespace {

// As in the selection: clocks of different machines differ a little.
constexpr Duration clock_tolerance = std::chrono::minutes(5);

enum class Period { day, week, month, year };
constexpr std::array periods{Period::day, Period::week, Period::month, Period::year};

std::string padded(int number, int digits) {
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), "%0*d", digits, number);
    return text.data();
}

// "2026-W05": a week belongs to the year of its Thursday.
std::string iso_week(std::chrono::sys_days day) {
    using namespace std::chrono;
    const sys_days thursday = day - (weekday(day) - Monday) + days(3);
    const year_month_day date(thursday);
    const auto number = (thursday - sys_days(date.year() / January / 1)).count() / 7 + 1;
    return padded(static_cast<int>(date.year()), 4) + "-W" + padded(static_cast<int>(number), 2);
}

std::string label(Period period, Timestamp at) {
    const auto day = std::chrono::floor<std::chrono::days>(at);
    const std::chrono::year_month_day date(day);
    const std::string year = padded(static_cast<int>(date.year()), 4);
    const std::string month = year + "-" + padded(static_cast<int>(static_cast<unsigned>(date.month())), 2);
    switch (period) {
        case Period::day:
            return "day " + month + "-" + padded(static_cast<int>(static_cast<unsigned>(date.day())), 2);
        case Period::week:
            return "week " + iso_week(day);
        case Period::month:
            return "month " + month;
        case Period::year:
            return "year " + year;
    }
    return {};
}

unsigned wanted(const RetentionPolicy& policy, Period period) {
    switch (period) {
        case Period::day:
            return policy.daily.value_or(0);
        case Period::week:
            return policy.weekly.value_or(0);
        case Period::month:
            return policy.monthly.value_or(0);
        case Period::year:
            return policy.yearly.value_or(0);
    }
    return 0;
}

// Newest first; those without a time last. Of one instant `…Z-10` was begun after `…Z-9`, as in the catalogue.
bool comes_first(const RetentionEntry& a, const RetentionEntry& b) {
    const auto by_id = [](const std::string& id) {
        return std::tuple(std::string_view(id).substr(0, 20), id.size(), std::string_view(id));
    };
    if (a.consistent_at != b.consistent_at) return a.consistent_at > b.consistent_at;
    return by_id(a.id) > by_id(b.id);
}

struct Judged {
    const RetentionEntry* entry = nullptr;
    bool dated = false;  // it has a time, which is not in the future: the rules can place it
    bool sound = false;  // it and the chain of its parents are whole and undamaged
    std::size_t depth = 0;
    bool one_too_many = false;  // beyond `max_count`
    std::vector<std::string> kept_for;
};

class Judgement {
  public:
    explicit Judgement(const RetentionRequest& request) : request_(request), policy_(request.policy) {
        if (policy_ == RetentionPolicy{.max_count = policy_.max_count}) {
            policy_ = default_retention();
            policy_.max_count = request.policy.max_count;
        }
        for (const RetentionEntry& entry : request.entries)
            judged_.push_back(Judged{.entry = &entry});
        std::sort(judged_.begin(), judged_.end(),
                  [](const Judged& a, const Judged& b) { return comes_first(*a.entry, *b.entry); });
        for (std::size_t place = 0; place < judged_.size(); ++place)
            if (!by_id_.emplace(judged_[place].entry->id, place).second)
                throw Error{ErrorCode::internal, "backup '" + judged_[place].entry->id + "' is listed twice"};
        for (Judged& judged : judged_)
            look_at(judged);
    }

    Retention result() {
        keep_out_of_reach();
        if (const std::string why = failing(); !why.empty()) {
            for (Judged& judged : judged_)
                judged.kept_for.push_back(why + ": nothing is removed");
        }
        std::vector<std::size_t> whatever_the_policy;
        for (const Judged& judged : judged_)
            whatever_the_policy.push_back(judged.kept_for.size());
        apply_policy(true);
        apply_policy(false);
        limit_count(whatever_the_policy);
        keep_floor();
        keep_parents();
        return answer();
    }

  private:
    void look_at(Judged& judged) const {
        const RetentionEntry& entry = *judged.entry;
        judged.dated = entry.consistent_at && *entry.consistent_at <= request_.now + clock_tolerance;
        judged.sound = true;
        std::set<std::string> seen;
        for (const RetentionEntry* link = &entry; link != nullptr; ++judged.depth) {
            const bool again = !seen.insert(link->id).second;
            judged.sound = judged.sound && !again && link->whole && !link->damaged;
            if (again || link->parent.empty()) break;
            const auto found = by_id_.find(link->parent);
            if (found == by_id_.end()) judged.sound = false;
            link = found == by_id_.end() ? nullptr : judged_[found->second].entry;
        }
    }

    void keep_out_of_reach() {
        for (Judged& judged : judged_) {
            const RetentionEntry& entry = *judged.entry;
            if (!entry.consistent_at) {
                judged.kept_for.emplace_back("the time of its data is not known");
            } else if (!judged.dated) {
                judged.kept_for.push_back("its data is as of " + to_human(*entry.consistent_at) +
                                          ", in the future by this machine's clock");
            }
            if (entry.pinned) judged.kept_for.emplace_back("pinned");
        }
    }

    // Why nothing may be removed at all; empty when the newest backup is sound.
    std::string failing() const {
        if (!request_.failing.empty()) return "the newest backup is failing (" + request_.failing + ")";
        const auto newest =
            std::find_if(judged_.begin(), judged_.end(), [](const Judged& judged) { return judged.dated; });
        if (newest == judged_.end() || newest->sound) return {};
        return "the newest backup '" + newest->entry->id + "' is failing (" + trouble_of(*newest) + ")";
    }

    static std::string trouble_of(const Judged& judged) {
        if (judged.entry->damaged) return "it is damaged";
        if (!judged.entry->whole) return "it is incomplete";
        return "a parent that it needs is damaged, incomplete or missing";
    }

    // To the sound ones, or to all that have a time.
    void apply_policy(bool sound_only) {
        std::vector<Judged*> candidates;
        for (Judged& judged : judged_)
            if (judged.dated && (judged.sound || !sound_only)) candidates.push_back(&judged);
        if (candidates.empty()) return;
        // a sound one that the rules keep among all, they keep among the sound ones too
        const auto keep = [&](Judged& judged, const std::string& why) {
            if (sound_only) judged.kept_for.push_back(why);
            if (!judged.sound) judged.kept_for.push_back(why + ", although " + trouble_of(judged));
        };
        for (const Period period : periods) {
            std::string current;
            unsigned found = 0;
            for (Judged* candidate : candidates) {
                const std::string name = label(period, *candidate->entry->consistent_at);
                if (name == current) continue;
                if (found++ == wanted(policy_, period)) break;
                current = name;
                keep(*candidate, "newest of " + name);
            }
        }
        const std::size_t last = std::min<std::size_t>(policy_.last.value_or(0), candidates.size());
        for (std::size_t place = 0; place < last; ++place)
            keep(*candidates[place], "one of the last " + std::to_string(*policy_.last));
        if (!policy_.within) return;
        const Timestamp newest = *candidates.front()->entry->consistent_at;
        for (Judged* candidate : candidates)
            if (elapsed(*candidate->entry->consistent_at, newest) <= *policy_.within)
                keep(*candidate, "within " + to_text(*policy_.within) + " of the newest");
    }

    // Takes from the oldest what the policy kept them for; `before` is how much each was kept for without it.
    void limit_count(const std::vector<std::size_t>& before) {
        if (!policy_.max_count) return;
        std::size_t kept = 0;
        for (std::size_t place = 0; place < judged_.size(); ++place) {
            std::vector<std::string>& reasons = judged_[place].kept_for;
            if (reasons.size() == before[place] || ++kept <= *policy_.max_count) continue;
            reasons.resize(before[place]);
            judged_[place].one_too_many = true;
        }
    }

    void keep_floor() {
        Judged* newest = nullptr;
        std::vector<Judged*> verified;
        for (Judged& judged : judged_) {
            if (!judged.dated || !judged.sound) continue;
            if (newest == nullptr) newest = &judged;
            if (judged.entry->verified >= Level::checksummed) verified.push_back(&judged);
        }
        if (newest != nullptr) newest->kept_for.emplace_back("the newest whole backup");
        if (!verified.empty())
            verified.front()->kept_for.emplace_back(verified.size() == 1 ? "the only verified copy"
                                                                         : "the newest verified copy");
    }

    void keep_parents() {
        std::map<std::size_t, std::set<std::size_t>> children;  // kept child by parent
        std::vector<std::size_t> to_do;
        for (std::size_t place = 0; place < judged_.size(); ++place)
            if (!judged_[place].kept_for.empty()) to_do.push_back(place);
        while (!to_do.empty()) {
            const std::size_t child = to_do.back();
            to_do.pop_back();
            const auto parent = by_id_.find(judged_[child].entry->parent);
            if (parent == by_id_.end() || parent->second == child) continue;
            const bool first = judged_[parent->second].kept_for.empty() && !children.contains(parent->second);
            children[parent->second].insert(child);
            if (first) to_do.push_back(parent->second);
        }
        for (const auto& [parent, kept] : children)
            judged_[parent].kept_for.push_back("parent of '" + judged_[*kept.begin()].entry->id + "'" +
                                               (kept.size() > 1 ? " and " + counted(kept.size() - 1, "other") : ""));
    }

    std::string why_removed(const Judged& judged) const {
        std::string why = judged.sound ? "" : trouble_of(judged) + "; ";
        if (judged.one_too_many) return why + "at most " + std::to_string(*policy_.max_count) + " are kept";
        for (const Period period : periods) {
            if (wanted(policy_, period) == 0) continue;
            const std::string name = label(period, *judged.entry->consistent_at);
            for (const Judged& other : judged_) {
                if (&other == &judged) break;
                if (other.dated && other.sound && !other.kept_for.empty() &&
                    label(period, *other.entry->consistent_at) == name)
                    return why + "'" + other.entry->id + "' stands for " + name;
            }
        }
        return why + "older than what the policy keeps";
    }

    Retention answer() const {
        Retention retention;
        std::vector<const Judged*> going;
        for (const Judged& judged : judged_) {
            const bool keep = !judged.kept_for.empty();
            retention.verdicts.push_back(
                {.id = judged.entry->id,
                 .keep = keep,
                 .reasons = keep ? judged.kept_for : std::vector<std::string>{why_removed(judged)}});
            if (!keep) going.push_back(&judged);
        }
        // oldest first, but whoever needs another goes before it
        std::reverse(going.begin(), going.end());
        std::stable_sort(going.begin(), going.end(),
                         [](const Judged* a, const Judged* b) { return a->depth > b->depth; });
        for (const Judged* judged : going)
            retention.removable.push_back(judged->entry->id);
        return retention;
    }

    const RetentionRequest& request_;
    RetentionPolicy policy_;
    std::vector<Judged> judged_;
    std::map<std::string, std::size_t> by_id_;
};

}  // namespace

RetentionPolicy default_retention() {
    return RetentionPolicy{.daily = 7, .weekly = 4, .monthly = 12, .yearly = 3};
}

Retention apply_retention(const RetentionRequest& request) {
    return Judgement(request).result();
}

}  // namespace lifeboat
