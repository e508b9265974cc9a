#include "backup/catalogue.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <tuple>

#include "backup/layout.h"
#include "base/sha256.h"

namespace lifeboat {

namespace {

constexpr Bytes manifest_limit{64u << 20};

bool ends_the_call(const Error& error) {
    return error.code == ErrorCode::cancelled || error.code == ErrorCode::timed_out;
}

// The names of the folders in the set's own one.
std::vector<std::string> folders_in(Store& store, const std::string& set, const WorkControl& control) {
    const std::string folder = set + "/";
    std::vector<std::string> names;
    store.list(
        ListQuery{.prefix = folder, .one_level = true},
        [&](std::span<const Listed> page) {
            for (const Listed& line : page) {
                if (!line.folder) continue;
                std::string name = line.object.key.substr(folder.size());
                name.pop_back();
                names.push_back(std::move(name));
            }
            return true;
        },
        control);
    return names;
}

void add_notes(CatalogueEntry& entry, Store& store, const std::string& set, const WorkControl& control) {
    const std::vector<BackupNote> notes = read_notes(store, set, entry.id, control);
    entry.verified = verification_of(notes, entry.manifest_sha256);
    entry.pin = pin_of(notes);
}

using ColdClasses = std::map<std::string, std::string>;  // by key

ColdClasses cold_below(Store& store, const std::string& prefix, const WorkControl& control) {
    ColdClasses cold;
    if (store.cold_storage() == nullptr) return cold;
    store.list(
        ListQuery{.prefix = prefix},
        [&](std::span<const Listed> page) {
            for (const Listed& line : page)
                if (!line.object.cold_class.empty()) cold[line.object.key] = line.object.cold_class;
            return true;
        },
        control);
    return cold;
}

Thaw state_of(ColdStorage& storage, const std::string& key, const WorkControl& control) {
    try {
        return storage.thaw_state(key, control).state;
    } catch (const Error& error) {
        // it went while we were looking: whoever fetches it will say so
        if (error.code != ErrorCode::not_found) throw;
        return Thaw::ready;
    }
}

ColdShare share_of(Store& store, const std::vector<std::string>& keys, const ColdClasses& cold,
                   const WorkControl& control) {
    ColdShare share;
    ColdStorage* storage = store.cold_storage();
    if (storage == nullptr || cold.empty()) return share;
    for (const std::string& key : keys) {
        const auto found = cold.find(key);
        if (found == cold.end()) continue;
        if (share.state == Thaw::ready) share.state = state_of(*storage, key, control);
        if (share.state == Thaw::ready) continue;
        ++share.objects;
        share.takes = std::max(share.takes, storage->thaw_takes(found->second));
    }
    return share;
}

void add_cold_share(CatalogueEntry& entry, Store& store, const std::string& set, const ColdClasses& cold,
                    const WorkControl& control) {
    const std::vector<std::string> keys =
        entry.manifest ? stored_keys(*entry.manifest) : std::vector{manifest_key(set, entry.id)};
    entry.cold = share_of(store, keys, cold, control);
}

std::optional<CatalogueEntry> entry_without_cold_share(Store& store, std::size_t rank, const std::string& set,
                                                       const std::string& id, const WorkControl& control,
                                                       const TrustedKeys& trusted) {
    CatalogueEntry entry{.id = id, .store = store.name(), .store_rank = rank};
    std::string text;
    try {
        text = read_all(store, manifest_key(set, id), manifest_limit, control);
        entry.manifest_sha256 = sha256_hex(text);
        Manifest manifest = parse_manifest(text, "backup '" + id + "'");
        if (manifest.id != id || manifest.set != set)
            throw Error{ErrorCode::corrupt, "manifest of backup '" + id + "': it belongs to backup '" + manifest.id +
                                                "' of set '" + manifest.set + "'"};
        entry.signature = judge_signature(read_signature(store, set, id, control), text, trusted);
        entry.manifest = std::move(manifest);
    } catch (const Error& error) {
        if (error.code == ErrorCode::not_found) return std::nullopt;
        if (ends_the_call(error) || error.code == ErrorCode::unreachable) throw;
        entry.refused = error.message;
    }
    add_notes(entry, store, set, control);
    return entry;
}

std::vector<CatalogueEntry> own_entries(Store& store, std::size_t rank, const std::string& set,
                                        const WorkControl& control, const TrustedKeys& trusted) {
    const ColdClasses cold = cold_below(store, set + "/", control);
    std::vector<CatalogueEntry> entries;
    for (const std::string& id : folders_in(store, set, control)) {
        if (!time_of_backup_id(id)) continue;
        auto entry = entry_without_cold_share(store, rank, set, id, control, trusted);
        if (!entry) continue;
        add_cold_share(*entry, store, set, cold, control);
        entries.push_back(std::move(*entry));
    }
    return entries;
}

std::vector<CatalogueEntry> foreign_entries(Store& store, std::size_t rank, const std::string& set,
                                            const ForeignLayout& layout, const WorkControl& control) {
    const std::vector<std::string> noted = folders_in(store, set, control);
    std::vector<CatalogueEntry> entries;
    for (ForeignBackup& backup : list_foreign(store, set, layout, control)) {
        CatalogueEntry entry{.id = backup.id, .store = store.name(), .store_rank = rank};
        entry.refused = std::move(backup.refused);
        if (backup.manifest) {
            entry.manifest_sha256 = sha256_hex(backup.listing);
            entry.manifest = std::move(backup.manifest);
            add_cold_share(entry, store, set, backup.cold, control);
            if (std::find(noted.begin(), noted.end(), entry.id) != noted.end()) add_notes(entry, store, set, control);
        }
        entries.push_back(std::move(entry));
    }
    return entries;
}

// What each store has, in one order; a store that cannot be read becomes a trouble.
Catalogue collect(const Stores& stores,
                  const std::function<std::vector<CatalogueEntry>(Store& store, std::size_t rank)>& entries_of) {
    Catalogue catalogue;
    for (std::size_t rank = 0; rank < stores.size(); ++rank) {
        try {
            std::vector<CatalogueEntry> entries = entries_of(*stores[rank], rank);
            std::move(entries.begin(), entries.end(), std::back_inserter(catalogue.entries));
        } catch (const Error& error) {
            if (ends_the_call(error)) throw;
            catalogue.troubles.push_back(StoreTrouble{.store = stores[rank]->name(), .error = error});
        }
    }
    std::sort(catalogue.entries.begin(), catalogue.entries.end(), comes_first);
    return catalogue;
}

}  // namespace

bool comes_first(const CatalogueEntry& a, const CatalogueEntry& b) {
    if (a.manifest.has_value() != b.manifest.has_value()) return a.manifest.has_value();
    if (a.manifest && a.manifest->consistent_at != b.manifest->consistent_at)
        return a.manifest->consistent_at > b.manifest->consistent_at;
    // of one second, `…Z-10` was begun after `…Z-9`
    const auto by_id = [](const CatalogueEntry& entry) {
        return std::tuple(std::string_view(entry.id).substr(0, 20), entry.id.size(), std::string_view(entry.id));
    };
    if (a.id != b.id) return by_id(a) > by_id(b);
    return std::tie(a.store_rank, a.store, a.manifest_sha256) < std::tie(b.store_rank, b.store, b.manifest_sha256);
}

std::optional<CatalogueEntry> read_entry(Store& store, std::size_t rank, const std::string& set, const std::string& id,
                                         const WorkControl& control, const TrustedKeys& trusted) {
    auto entry = entry_without_cold_share(store, rank, set, id, control, trusted);
    if (entry) add_cold_share(*entry, store, set, cold_below(store, backup_folder(set, id), control), control);
    return entry;
}

Catalogue read_catalogue(const std::string& set, const Stores& stores, const WorkControl& control,
                         const TrustedKeys& trusted) {
    check_part_name(set, "backup set");
    return collect(stores,
                   [&](Store& store, std::size_t rank) { return own_entries(store, rank, set, control, trusted); });
}

Catalogue read_foreign_catalogue(const std::string& set, const Stores& stores, const ForeignLayout& layout,
                                 const WorkControl& control) {
    check_part_name(set, "backup set");
    return collect(stores,
                   [&](Store& store, std::size_t rank) { return foreign_entries(store, rank, set, layout, control); });
}

}  // namespace lifeboat
