// The backups of a set as people and programs read them: lists, one backup in full, what pruning would do, audits.
#pragma once

#include <string>
#include <vector>

#include "backup/audit.h"
#include "backup/catalogue.h"
#include "backup/prune.h"
#include "base/json.h"
#include "runbook/site.h"

namespace lifeboat {

std::string list_text(const BackupSet& set, const Catalogue& catalogue);
Json list_json(const BackupSet& set, const Catalogue& catalogue);

// `copies` are the entries of one backup, at least one.
std::string info_text(const std::vector<CatalogueEntry>& copies);
Json info_json(const std::vector<CatalogueEntry>& copies);

std::string prune_text(const PrunePlan& plan);
Json prune_json(const BackupSet& set, const PrunePlan& plan);

std::string audits_text(const std::vector<Audit>& audits);
// {"holds": …, "sets": [each audit]}, also of one set.
Json audits_json(const std::vector<Audit>& audits);

}  // namespace lifeboat
