#include "backup/audit.h"

#include <algorithm>
#include <set>

#include "base/text.h"

namespace lifeboat {

namespace {

class Auditor {
  public:
    Auditor(const AuditRequest& request, const Catalogue& catalogue) : request_(request), catalogue_(catalogue) {
        for (const CatalogueEntry& entry : catalogue.entries) {
            if (!entry.sound()) continue;
            if (newest_ == nullptr) newest_ = &entry;
            if (entry.id == newest_->id) copies_.push_back(&entry);
        }
    }

    Audit audit() {
        audit_ = {.set = request_.set, .newest = newest_ == nullptr ? "" : newest_->id, .findings = {}};
        look_at_stores();
        look_at_copies();
        look_at_age();
        look_at_levels();
        look_at_encryption();
        look_at_signature();
        return std::move(audit_);
    }

  private:
    void found(const char* rule, bool holds, std::string message) {
        audit_.findings.push_back({.rule = rule, .holds = holds, .message = std::move(message)});
    }

    void look_at_stores() {
        if (catalogue_.troubles.empty())
            return found("stores", true, "every one of " + counted(request_.stores.size(), "store") + " can be read");
        std::vector<std::string> lines;
        for (const StoreTrouble& trouble : catalogue_.troubles)
            lines.push_back("store '" + trouble.store + "' cannot be read: " + trouble.error.message);
        found("stores", false, join(lines, "; "));
    }

    void look_at_copies() {
        std::vector<std::string> names;
        std::set<std::string> media;
        bool offsite = false;
        for (const CatalogueEntry* copy : copies_) {
            names.push_back("'" + copy->store + "'");
            for (const AuditedStore& store : request_.stores) {
                if (store.name != copy->store) continue;
                media.insert(store.media);
                offsite = offsite || store.location == "offsite";
            }
        }
        const std::string where = names.empty() ? "nowhere" : "in " + join(names, ", ");
        found("copies", names.size() >= 2,
              "the newest backup lies " + where + ", with the original " + counted(names.size() + 1, "copy", "copies") +
                  " of 3");
        found("media", media.size() >= 2,
              media.empty() ? "on no kind of media"
                            : "on " + counted(media.size(), "kind") + " of media of 2: " +
                                  join(std::vector<std::string>(media.begin(), media.end()), ", "));
        found("offsite", offsite, offsite ? "a copy lies off site" : "no copy lies off site");
    }

    void look_at_age() {
        if (newest_ == nullptr) return found("fresh", false, "there is no sound backup");
        const Duration age = elapsed(newest_->manifest->consistent_at, request_.now);
        const std::string text = "the newest data is " + to_human(age) + " old";
        if (!request_.max_age) return found("fresh", false, text + ", and the set does not say how old it may be");
        found("fresh", age <= *request_.max_age, text + ", at most " + to_human(*request_.max_age) + " wanted");
    }

    // The newest backup that reached a level, of all that are there.
    void look_at_level(const char* rule, Level level, const std::string& nothing) {
        const CatalogueEntry* best = nullptr;
        for (const CatalogueEntry& entry : catalogue_.entries) {
            if (!entry.sound() || entry.verified.level < level) continue;
            if (best == nullptr || entry.verified.at > best->verified.at) best = &entry;
        }
        if (best == nullptr) return found(rule, false, nothing);
        found(rule, true,
              "backup '" + best->id + "' in '" + best->store + "' was " + std::string(to_text(best->verified.level)) +
                  " " + to_human(elapsed(*best->verified.at, request_.now)) + " ago");
    }

    void look_at_levels() {
        std::vector<std::string> damaged;
        for (const CatalogueEntry& entry : catalogue_.entries)
            if (!entry.sound()) damaged.push_back("'" + entry.id + "' in '" + entry.store + "'");
        if (!damaged.empty()) {
            found("verified", false, "damaged: " + join(damaged, ", "));
        } else {
            look_at_level("verified", Level::checksummed, "no backup was ever verified by its checksums");
        }
        look_at_level("restored", Level::restored, "no backup was ever restored to try it");
    }

    void look_at_encryption() {
        if (newest_ == nullptr) return;
        const bool encrypted = newest_->manifest->encrypted();
        found("encrypted", encrypted,
              encrypted           ? "the newest backup is encrypted"
              : request_.encrypts ? "the newest backup is not encrypted, though the set says so"
                                  : "the newest backup lies in the open");
    }

    // Only where the set says something of signatures.
    void look_at_signature() {
        if (newest_ == nullptr || !request_.signs) return;
        found("signed", newest_->signature.state == SignatureState::good,
              "the newest backup: " + to_words(newest_->signature));
    }

    const AuditRequest& request_;
    const Catalogue& catalogue_;
    const CatalogueEntry* newest_ = nullptr;
    std::vector<const CatalogueEntry*> copies_;  // of that one
    Audit audit_;
};

}  // namespace

bool Audit::holds() const {
    return std::all_of(findings.begin(), findings.end(), [](const AuditFinding& each) { return each.holds; });
}

Audit audit_backups(const AuditRequest& request, const Catalogue& catalogue) {
    return Auditor(request, catalogue).audit();
}

Json to_json(const Audit& audit) {
    Json findings = Json::array();
    for (const AuditFinding& each : audit.findings)
        findings.push_back({{"rule", each.rule}, {"holds", each.holds}, {"message", each.message}});
    return {{"set", audit.set},
            {"newest", audit.newest.empty() ? Json(nullptr) : Json(audit.newest)},
            {"holds", audit.holds()},
            {"findings", std::move(findings)}};
}

}  // namespace lifeboat
