#include "cli/backup_shown.h"

#include <algorithm>

#include "actions/backup_catalogue.h"
#include "backup/layout.h"
#include "base/text.h"
#include "report/words.h"

namespace lifeboat {

namespace {

std::string cold_words(Thaw state) {
    switch (state) {
        case Thaw::ready:
            return {};
        case Thaw::frozen:
            return "archived";
        case Thaw::thawing:
            return "being thawed";
    }
    return {};
}

Json cold_json(const ColdShare& cold) {
    if (cold.state == Thaw::ready) return nullptr;
    return {{"state", cold_words(cold.state)}, {"objects", cold.objects}, {"takes", to_text(cold.takes)}};
}

std::string verified_words(const CatalogueEntry& entry) {
    if (!entry.manifest) return "refused: " + printable(entry.refused);
    std::string text = entry.verified.damaged ? "damaged" : std::string(to_text(entry.verified.level));
    if (entry.verified.at) text += " " + to_human(*entry.verified.at);
    if (entry.cold.state != Thaw::ready) text += ", " + cold_words(entry.cold.state);
    if (entry.pin) text += ", pinned" + (entry.pin->reason.empty() ? "" : ": " + printable(entry.pin->reason));
    return text;
}

std::string signature_words(const CatalogueEntry& entry) {
    return entry.manifest && time_of_backup_id(entry.id) ? ", " + to_words(entry.signature) : "";
}

std::string data_time(const CatalogueEntry& entry) {
    if (!entry.manifest || time_of(*entry.manifest).is_null()) return "unknown";
    return to_human(entry.manifest->consistent_at);
}

Json verified_json(const CatalogueEntry& entry) {
    return {{"level", to_text(entry.verified.level)},
            {"at", entry.verified.at ? Json(to_text(*entry.verified.at)) : Json(nullptr)},
            {"damaged", entry.verified.damaged}};
}

Json pin_json(const CatalogueEntry& entry) {
    if (!entry.pin) return nullptr;
    return {{"reason", entry.pin->reason}, {"by", entry.pin->by}, {"at", to_text(entry.pin->at)}};
}

std::string encryption_words(const ManifestComponent& component) {
    std::vector<std::string> hints;
    for (const ManifestObject& object : component.objects) {
        const std::string hint = object.encryption ? "key " + object.encryption->key_hint : "in the open";
        if (std::find(hints.begin(), hints.end(), hint) == hints.end()) hints.push_back(hint);
    }
    return join(hints, ", ");
}

}  // namespace

std::string list_text(const BackupSet& set, const Catalogue& catalogue) {
    const bool signs = !set.sign.is_null() || !set.trust.empty();
    std::string text =
        padded("backup", 24) + padded("store", 12) + padded("data as of", 22) + padded("size", 11) + "verified\n";
    for (const CatalogueEntry& entry : catalogue.entries)
        text += padded(printable(entry.id), 24) + padded(entry.store, 12) + padded(data_time(entry), 22) +
                padded(entry.manifest ? to_human(entry.manifest->size()) : "unknown", 11) + verified_words(entry) +
                (signs ? signature_words(entry) : "") + "\n";
    return text;
}

Json list_json(const BackupSet& set, const Catalogue& catalogue) {
    Json backups = Json::array();
    for (const CatalogueEntry& entry : catalogue.entries)
        backups.push_back({{"set", set.name},
                           {"id", entry.id},
                           {"store", entry.store},
                           {"consistent_at", entry.manifest ? time_of(*entry.manifest) : Json(nullptr)},
                           {"bytes", entry.manifest ? Json(entry.manifest->size().count) : Json(nullptr)},
                           {"encrypted", entry.manifest ? Json(entry.manifest->encrypted()) : Json(nullptr)},
                           {"verified", verified_json(entry)},
                           {"cold_storage", cold_json(entry.cold)},
                           {"pinned", pin_json(entry)},
                           {"signature", to_json(entry.signature)},
                           {"refused", entry.refused}});
    Json troubles = Json::array();
    for (const StoreTrouble& trouble : catalogue.troubles)
        troubles.push_back({{"store", trouble.store}, {"why", trouble.error.full_message()}});
    return {{"set", set.name}, {"backups", std::move(backups)}, {"unread", std::move(troubles)}};
}

std::string info_text(const std::vector<CatalogueEntry>& copies) {
    std::string text = "backup " + printable(copies.front().id) + "\n";
    const auto whole = std::find_if(copies.begin(), copies.end(),
                                    [](const CatalogueEntry& copy) { return copy.manifest.has_value(); });
    if (whole != copies.end()) {
        const Manifest& manifest = *whole->manifest;
        text += "  set         " + manifest.set + "\n";
        text += "  data as of  " + data_time(*whole) + "\n";
        text += "  made by     " + printable(manifest.made_by) + ", begun " + to_human(manifest.started_at) + "\n";
        text += "  size        " + to_human(manifest.size()) + " in " + counted(manifest.objects(), "object") + "\n";
        if (!manifest.parent.empty())
            text += "  builds on   " + manifest.parent + ": " + to_human(manifest.own_size()) + " of it are new\n";
        text += "  manifest    SHA-256 " + whole->manifest_sha256 + "\n";
        for (const ManifestComponent& component : manifest.components) {
            text += "\n  " + component.name + "  " + std::string(to_text(component.kind)) + ", " + component.format +
                    ", " + encryption_words(component) + "\n";
            for (const ManifestObject& object : component.objects)
                text += "    " + padded(to_human(object.size), 11) + object.key + "\n";
            for (const auto& [name, value] : component.facts.items())
                text += "    " + name + ": " + value_text(value) + "\n";
        }
    }
    text += "\n  copies\n";
    for (const CatalogueEntry& copy : copies)
        text += "    " + padded(copy.store, 12) + verified_words(copy) + signature_words(copy) + "\n";
    return text;
}

Json info_json(const std::vector<CatalogueEntry>& copies) {
    Json seen = Json::array();
    Json manifest;
    for (const CatalogueEntry& copy : copies) {
        if (copy.manifest && manifest.is_null()) manifest = to_json(*copy.manifest);
        seen.push_back({{"store", copy.store},
                        {"manifest_sha256", copy.manifest_sha256},
                        {"verified", verified_json(copy)},
                        {"cold_storage", cold_json(copy.cold)},
                        {"pinned", pin_json(copy)},
                        {"signature", to_json(copy.signature)},
                        {"refused", copy.refused}});
    }
    return {{"id", copies.front().id}, {"manifest", std::move(manifest)}, {"copies", std::move(seen)}};
}

std::string prune_text(const PrunePlan& plan) {
    std::string text;
    for (const StorePrune& store : plan.stores) {
        text += "store '" + store.store + "': " + counted(store.retention.removable.size(), "backup") + " to remove, " +
                std::to_string(store.retention.verdicts.size() - store.retention.removable.size()) + " to keep\n";
        for (const RetentionVerdict& verdict : store.retention.verdicts)
            text += std::string(verdict.keep ? "  keep    " : "  remove  ") + padded(printable(verdict.id), 24) +
                    join(verdict.reasons, "; ") + "\n";
    }
    return text;
}

Json prune_json(const BackupSet& set, const PrunePlan& plan) {
    Json stores = Json::array();
    for (const StorePrune& store : plan.stores) {
        Json verdicts = Json::array();
        for (const RetentionVerdict& verdict : store.retention.verdicts)
            verdicts.push_back({{"id", verdict.id}, {"keep", verdict.keep}, {"reasons", verdict.reasons}});
        stores.push_back({{"store", store.store}, {"backups", std::move(verdicts)}});
    }
    return {{"set", set.name}, {"stores", std::move(stores)}};
}

std::string audits_text(const std::vector<Audit>& audits) {
    std::string text;
    for (const Audit& audit : audits) {
        text += "backup set '" + audit.set + "'" +
                (audit.newest.empty() ? ": no sound backup" : ", newest backup " + audit.newest) + "\n";
        for (const AuditFinding& each : audit.findings)
            text += std::string(each.holds ? "  ok    " : "  FAIL  ") + padded(each.rule, 11) +
                    printable(each.message) + "\n";
    }
    return text;
}

Json audits_json(const std::vector<Audit>& audits) {
    Json sets = Json::array();
    for (const Audit& audit : audits)
        sets.push_back(to_json(audit));
    const bool holds = std::all_of(audits.begin(), audits.end(), [](const Audit& each) { return each.holds(); });
    return {{"holds", holds}, {"sets", std::move(sets)}};
}

}  // namespace lifeboat
