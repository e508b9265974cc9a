#include "backup/prune.h"

#include <algorithm>

#include "backup/layout.h"
#include "base/error.h"

namespace lifeboat {

namespace {

RetentionEntry entry_of(const CatalogueEntry& seen) {
    RetentionEntry entry{
        .id = seen.id, .damaged = !seen.sound(), .verified = seen.verified.level, .pinned = seen.pin.has_value()};
    if (seen.manifest) {
        entry.consistent_at = seen.manifest->consistent_at;
        entry.parent = seen.manifest->parent;
    } else {
        entry.consistent_at = time_of_backup_id(seen.id);
    }
    return entry;
}

std::string why_failing(const Catalogue& catalogue, std::optional<Duration> stale_after, Timestamp now) {
    std::optional<Timestamp> newest;
    for (const CatalogueEntry& entry : catalogue.entries)
        if (entry.sound())
            newest = std::max(newest.value_or(entry.manifest->consistent_at), entry.manifest->consistent_at);
    if (!newest) return catalogue.entries.empty() ? "" : "no sound backup is left";
    if (stale_after && elapsed(*newest, now) > *stale_after)
        return "the newest backup is " + to_human(elapsed(*newest, now)) + " old, the set wants at most " +
               to_human(*stale_after);
    return {};
}

}  // namespace

PrunePlan plan_prune(const Catalogue& catalogue, const std::vector<std::string>& stores, const RetentionPolicy& policy,
                     std::optional<Duration> stale_after, Timestamp now) {
    PrunePlan plan{.stores = {}, .troubles = catalogue.troubles};
    const std::string failing = why_failing(catalogue, stale_after, now);
    for (const std::string& store : stores) {
        const bool unread = std::any_of(catalogue.troubles.begin(), catalogue.troubles.end(),
                                        [&](const StoreTrouble& trouble) { return trouble.store == store; });
        if (unread) continue;
        RetentionRequest request{.policy = policy, .now = now, .failing = failing};
        for (const CatalogueEntry& entry : catalogue.entries)
            if (entry.store == store) request.entries.push_back(entry_of(entry));
        plan.stores.push_back({.store = store, .retention = apply_retention(request)});
    }
    return plan;
}

RetentionPolicy policy_from(const Json& retain, std::optional<unsigned> max_count) {
    if (!retain.is_object()) {
        RetentionPolicy policy = default_retention();
        policy.max_count = max_count;
        return policy;
    }
    const auto count = [&](const char* name) -> std::optional<unsigned> {
        const auto found = retain.find(name);
        if (found == retain.end() || found->is_null()) return std::nullopt;
        return found->get<unsigned>();
    };
    RetentionPolicy policy{.daily = count("daily"),
                           .weekly = count("weekly"),
                           .monthly = count("monthly"),
                           .yearly = count("yearly"),
                           .last = count("last"),
                           .max_count = max_count};
    if (const auto within = retain.find("within"); within != retain.end() && within->is_string())
        policy.within = parse_duration(within->get<std::string>());
    return policy;
}

Bytes remove_backup(Store& store, const std::string& set, const std::string& id, const WorkControl& control) {
    check_part_name(set, "backup set");
    if (!time_of_backup_id(id))
        throw Error{ErrorCode::refused, "'" + id + "' is no backup that lifeboat made, so it is not removed",
                    "Remove it by the tool that made it."};
    store.remove(manifest_key(set, id), control);
    std::vector<std::string> keys;
    Bytes freed;
    store.list(
        ListQuery{.prefix = backup_folder(set, id)},
        [&](std::span<const Listed> page) {
            for (const Listed& line : page) {
                keys.push_back(line.object.key);
                freed.count += line.object.size.count;
            }
            return true;
        },
        control);
    // what is learnt of a backup goes last: with it somebody can still tell what the rest was
    const std::string notes = object_key(set, id, notes_folder) + "/";
    std::stable_partition(keys.begin(), keys.end(), [&](const std::string& key) { return !key.starts_with(notes); });
    for (const std::string& key : keys)
        store.remove(key, control);
    return freed;
}

}  // namespace lifeboat
