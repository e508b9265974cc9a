#include "actions/backup_catalogue.h"

#include "base/error.h"

namespace lifeboat {

std::optional<ForeignLayout> foreign_layout(const BackupSet& set) {
    if (set.foreign.empty()) return std::nullopt;
    ForeignLayout layout;
    for (const ForeignPattern& each : set.foreign)
        layout.parts.push_back(ForeignPart{.pattern = NamePattern(each.pattern, each.time, each.zone),
                                           .component = each.component,
                                           .kind = each.kind,
                                           .optional = each.optional});
    return layout;
}

TrustedKeys trusted_keys(const BackupSet& set) {
    TrustedKeys keys;
    for (const std::string& text : set.trust) {
        const auto key = parse_ed25519_public(text);
        if (!key)
            throw Error{ErrorCode::invalid_file, "backup set '" + set.name + "' trusts what is no Ed25519 public key"};
        keys.push_back(*key);
    }
    return keys;
}

Catalogue catalogue_of(const BackupSet& set, const Stores& stores, const WorkControl& control) {
    if (const auto layout = foreign_layout(set)) return read_foreign_catalogue(set.name, stores, *layout, control);
    return read_catalogue(set.name, stores, control, trusted_keys(set));
}

void refuse_foreign(const BackupSet& set) {
    if (set.foreign.empty()) return;
    throw Error{ErrorCode::unsupported, "the backups of set '" + set.name + "' are made by another tool",
                "Nothing was written: make a set with 'of' for backups by lifeboat."};
}

Json time_of(const Manifest& manifest) {
    return manifest.time_known ? Json(to_text(manifest.consistent_at)) : Json(nullptr);
}

}  // namespace lifeboat
