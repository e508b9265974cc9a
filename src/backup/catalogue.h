// What backups of a set there are: every store's copies in one list with a total, deterministic order (R18): newest
// data first, by `consistent_at`, then by id, then in the order of the stores. The stores' own time stamps and the
// order of listings do not count.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backup/foreign.h"
#include "backup/manifest.h"
#include "backup/notes.h"
#include "backup/signature.h"
#include "base/error.h"
#include "stores/cold_storage.h"
#include "stores/store.h"

namespace lifeboat {

using Stores = std::vector<std::shared_ptr<Store>>;

// What of a copy lies in cold storage and cannot be read now. A listing names the objects; one of them that cannot be
// read speaks for the others, since all are asked for at once.
struct ColdShare {
    Thaw state = Thaw::ready;
    std::size_t objects = 0;
    Duration takes = Duration::zero();  // from asking to reading
};

struct CatalogueEntry {
    std::string id;
    std::string store;
    std::size_t store_rank = 0;   // place of the store in the set's list
    std::string manifest_sha256;  // of a foreign backup: of its listing; empty when it could not be read
    std::optional<Manifest> manifest;
    std::string refused;  // why there is no manifest here; empty otherwise
    Verified verified;
    std::optional<Pin> pin;
    ManifestSignature signature = {};
    ColdShare cold;  // where there is no manifest: of the manifest itself

    // Nothing is known to be wrong with it.
    bool sound() const { return manifest && !verified.damaged && signature.state != SignatureState::wrong; }
};

struct StoreTrouble {
    std::string store;
    Error error;
};

struct Catalogue {
    std::vector<CatalogueEntry> entries;  // in order; those without a manifest last
    std::vector<StoreTrouble> troubles;   // stores that could not be read: their backups are unknown, not absent
};

// Whether `a` comes before `b`.
bool comes_first(const CatalogueEntry& a, const CatalogueEntry& b);

// Folders without a manifest are no backups (being made, being removed). Throws only Error{cancelled | timed_out}.
Catalogue read_catalogue(const std::string& set, const Stores& stores, const WorkControl& control = {},
                         const TrustedKeys& trusted = {});
// The same of what other tools made: every backup that their names tell of.
Catalogue read_foreign_catalogue(const std::string& set, const Stores& stores, const ForeignLayout& layout,
                                 const WorkControl& control = {});
// One backup of one store, its notes included; nullopt when it does not exist there. Throws when the store cannot be
// read.
std::optional<CatalogueEntry> read_entry(Store& store, std::size_t rank, const std::string& set, const std::string& id,
                                         const WorkControl& control = {}, const TrustedKeys& trusted = {});

}  // namespace lifeboat
