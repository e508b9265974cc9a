// The catalogue of a backup set of the site, whoever makes its backups: lifeboat, or another tool whose names the set
// says how to read. Whoever wants to know what backups a set has asks here.
#pragma once

#include <optional>

#include "backup/catalogue.h"
#include "runbook/site.h"

namespace lifeboat {

// nullopt for a set that lifeboat itself fills. Throws Error{invalid_file} for patterns that cannot be.
std::optional<ForeignLayout> foreign_layout(const BackupSet& set);

// The keys whose signatures count. Throws Error{invalid_file} for what is no key.
TrustedKeys trusted_keys(const BackupSet& set);

// Throws only Error{cancelled | timed_out | invalid_file}.
Catalogue catalogue_of(const BackupSet& set, const Stores& stores, const WorkControl& control = {});

// Throws Error{unsupported} where another tool makes the set's backups.
void refuse_foreign(const BackupSet& set);

// As plans, outputs and people see it: null where a foreign backup's name states no time.
Json time_of(const Manifest& manifest);

}  // namespace lifeboat
