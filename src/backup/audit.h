// Whether the backups of one set would save the day: the 3-2-1 rule (the original and two copies, on two kinds of
// media, one off site), freshness, verification, encryption, and whether a restore was ever tried. Judged by what the
// stores really hold.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backup/catalogue.h"
#include "base/json.h"

namespace lifeboat {

struct AuditedStore {
    std::string name;
    std::string media;     // "disk"
    std::string location;  // "onsite", "offsite"
};

struct AuditRequest {
    std::string set;
    std::vector<AuditedStore> stores;
    std::optional<Duration> max_age;  // that the newest backup may have
    bool encrypts = false;            // the set says that its backups are to be encrypted
    bool signs = false;               // the set says that its backups are to be signed, or by whom they are
    Timestamp now{};
};

struct AuditFinding {
    std::string rule;  // "copies", "media", "offsite", "fresh", "verified", "restored", "encrypted", "signed", "stores"
    bool holds = true;
    std::string message;
    bool operator==(const AuditFinding&) const = default;
};

struct Audit {
    std::string set;
    std::string newest;  // the id of the backup that is judged; empty: there is none
    std::vector<AuditFinding> findings;

    bool holds() const;
};

// Pure.
Audit audit_backups(const AuditRequest& request, const Catalogue& catalogue);
Json to_json(const Audit& audit);

}  // namespace lifeboat
