// Backups that other tools made, read by the names of their objects (base/name_pattern.h): a listing of a store becomes
// the manifests that nobody wrote. Pure but for `list_foreign`. Nothing states the digests of such objects; what holds
// a backup together, and tells that it changed, is its listing: keys, sizes and the store's validators.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backup/manifest.h"
#include "base/name_pattern.h"
#include "stores/store.h"

namespace lifeboat {

// One pattern of a set. Those of one component are alternatives of it: a dump in one of several formats.
struct ForeignPart {
    NamePattern pattern;
    std::string component;
    std::string kind;       // postgres, sqlite, redis, files, archive or json
    bool optional = false;  // a backup may be without it
};

struct ForeignLayout {
    std::vector<ForeignPart> parts;
};

// One backup of one store, as far as its names tell.
struct ForeignBackup {
    std::string id;
    std::optional<Manifest> manifest;
    std::string listing;  // what it consists of, canonical: the same text as long as nothing of it changed
    std::string refused;  // why there is no manifest; empty otherwise
    std::map<std::string, std::string> cold = {};  // those of its keys that lie in cold storage, with their classes
};

bool is_foreign(const Manifest& manifest);

// In the order of ids, whatever the order of `objects`. The id of a backup is its `<id>`, else its time as lifeboat
// writes it, `2026-02-01T02-00-00Z`; two of the same instant and component are `…Z` and `…Z-2`, in the order of their
// keys. What `latest` names is another backup once more and never one of its own.
std::vector<ForeignBackup> group_foreign(const std::string& set, const ForeignLayout& layout,
                                         std::span<const StoredObject> objects);

// Lists what lies below the patterns' common beginnings. Throws what the store throws.
std::vector<ForeignBackup> list_foreign(Store& store, const std::string& set, const ForeignLayout& layout,
                                        const WorkControl& control = {});
// The one of that id. Throws Error{not_found}, and Error{corrupt} for one that is refused.
ForeignBackup read_foreign(Store& store, const std::string& set, const ForeignLayout& layout, const std::string& id,
                           const WorkControl& control = {});

}  // namespace lifeboat
