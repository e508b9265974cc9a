#include "backup/catalogue.h"

#include <algorithm>
#include <tuple>

#include "backup/layout.h"
#include "base/sha256.h"

namespace lifeboat {

namespace {

constexpr Bytes manifest_limit{64u << 20};

bool ends_the_call(const Error& error) {
    return error.code == ErrorCode::cancelled || error.code == ErrorCode::timed_out;
}

std::vector<std::string> ids_in(Store& store, const std::string& set, const WorkControl& control) {
    const std::string folder = set + "/";
    std::vector<std::string> ids;
    store.list(
        ListQuery{.prefix = folder, .one_level = true},
        [&](std::span<const Listed> page) {
            for (const Listed& line : page) {
                if (!line.folder) continue;
                std::string id = line.object.key.substr(folder.size());
                id.pop_back();
                if (time_of_backup_id(id)) ids.push_back(std::move(id));
            }
            return true;
        },
        control);
    return ids;
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
                                         const WorkControl& control) {
    CatalogueEntry entry{.id = id, .store = store.name(), .store_rank = rank};
    std::string text;
    try {
        text = read_all(store, manifest_key(set, id), manifest_limit, control);
        entry.manifest_sha256 = sha256_hex(text);
        Manifest manifest = parse_manifest(text, "backup '" + id + "'");
        if (manifest.id != id || manifest.set != set)
            throw Error{ErrorCode::corrupt, "manifest of backup '" + id + "': it belongs to backup '" + manifest.id +
                                                "' of set '" + manifest.set + "'"};
        entry.manifest = std::move(manifest);
    } catch (const Error& error) {
        if (error.code == ErrorCode::not_found) return std::nullopt;
        if (ends_the_call(error) || error.code == ErrorCode::unreachable) throw;
        entry.refused = error.message;
        return entry;
    }
    entry.verified = verification_of(read_notes(store, set, id, control), entry.manifest_sha256);
    return entry;
}

Catalogue read_catalogue(const std::string& set, const Stores& stores, const WorkControl& control) {
    check_part_name(set, "backup set");
    Catalogue catalogue;
    for (std::size_t rank = 0; rank < stores.size(); ++rank) {
        Store& store = *stores[rank];
        std::vector<CatalogueEntry> entries;
        try {
            for (const std::string& id : ids_in(store, set, control))
                if (auto entry = read_entry(store, rank, set, id, control)) entries.push_back(std::move(*entry));
        } catch (const Error& error) {
            if (ends_the_call(error)) throw;
            catalogue.troubles.push_back(StoreTrouble{.store = store.name(), .error = error});
            continue;
        }
        std::move(entries.begin(), entries.end(), std::back_inserter(catalogue.entries));
    }
    std::sort(catalogue.entries.begin(), catalogue.entries.end(), comes_first);
    return catalogue;
}

}  // namespace lifeboat
