#include <algorithm>

#include "actions/backup_catalogue.h"
#include "actions/backup_family.h"
#include "base/error.h"
#include "base/text.h"
#include "engine/plan.h"

namespace lifeboat {

ActionList backup_actions(const ActionWorld& world) {
    ActionList list;
    list.push_back(backup_create(world));
    list.push_back(backup_complete(world));
    list.push_back(backup_select(world));
    list.push_back(backup_fetch(world));
    list.push_back(backup_verify(world));
    list.push_back(backup_prune(world));
    list.push_back(backup_audit(world));
    return list;
}

namespace {

EncryptionKey key_from(const ActionWorld& world, const Json& secret) {
    const std::vector<std::string> names = secrets_in(secret);
    return EncryptionKey(resolve_secret(secret, world.secrets), names.empty() ? "key" : names.front());
}

}  // namespace

std::optional<EncryptionKey> key_of(const ActionWorld& world, const BackupSet& set) {
    if (set.encrypt.is_null()) return std::nullopt;
    return key_from(world, set.encrypt.at("key"));
}

KeyRing keys_of(const ActionWorld& world, const BackupSet& set) {
    std::vector<EncryptionKey> keys;
    if (!set.encrypt.is_null()) {
        keys.push_back(key_from(world, set.encrypt.at("key")));
        for (const Json& old : set.encrypt.value("old_keys", Json::array()))
            keys.push_back(key_from(world, old));
    }
    return KeyRing(std::move(keys));
}

std::optional<Ed25519Signer> signing_key_of(const ActionWorld& world, const BackupSet& set) {
    if (set.sign.is_null()) return std::nullopt;
    const Json& key = set.sign.at("key");
    const std::vector<std::string> names = secrets_in(key);
    return Ed25519Signer(resolve_secret(key, world.secrets), names.empty() ? "key" : names.front());
}

const BackupSet& backup_set(const ActionWorld& world, const Context& context) {
    return world.resources.backup(context.arguments.at("backup"));
}

BackupWork work_of(const Context& context) {
    return BackupWork{
        .control = WorkControl{.stop = context.stop, .deadline = context.deadline},
        .workspace = context.workspace,
        .run = [&context](const Command& command) { return run_for(context, command); },
        .progress =
            [&context](const std::string& what, std::optional<std::uint64_t> done, std::optional<std::uint64_t> total) {
                context.progress(Progress{.what = what, .done = done, .total = total});
            },
        .log = [&context](std::string_view line) { context.log(line); },
    };
}

std::string text_argument(const Context& context, const char* name) {
    const auto found = context.arguments.find(name);
    if (found == context.arguments.end() || found->is_null()) return {};
    if (!found->is_string())
        throw Error{ErrorCode::invalid_file, "'" + std::string(name) + "' is no text: " + to_text(*found)};
    return found->get<std::string>();
}

std::vector<std::string> stores_argument(const Context& context, const char* argument) {
    std::vector<std::string> names;
    const auto found = context.arguments.find(argument);
    if (found == context.arguments.end() || found->is_null()) return names;
    for (const Json& name : *found)
        names.push_back(name.get<std::string>());
    if (names.empty())
        throw Error{ErrorCode::invalid_file,
                    "'" + std::string(argument) + "' is empty: that would mean nothing, or everything"};
    return names;
}

bool unknown_argument(const Context& context, const char* name) {
    const auto found = context.arguments.find(name);
    return found != context.arguments.end() && found->is_null();
}

bool waits_for_archived(const Context& context) {
    return text_argument(context, "archived") != "refuse";
}

SelectionLimits limits_of(const Context& context) {
    SelectionLimits limits{
        .now = context.clock->now(), .id = text_argument(context, "id"), .archived = waits_for_archived(context)};
    if (const std::string before = text_argument(context, "before"); !before.empty()) {
        limits.before = parse_timestamp(before);
        if (!limits.before)
            throw Error{ErrorCode::invalid_file, "'before' is no time with a zone: '" + printable(before) + "'"};
    }
    if (const std::string max_age = text_argument(context, "max_age"); !max_age.empty()) {
        limits.max_age = parse_duration(max_age);
        if (!limits.max_age)
            throw Error{ErrorCode::invalid_file, "'max_age' is no duration: '" + printable(max_age) + "'"};
    }
    return limits;
}

Candidate to_candidate(const CatalogueEntry& entry, const std::string& refused) {
    Candidate candidate{
        .id = entry.id, .manifest_sha256 = entry.manifest_sha256, .store = entry.store, .refused = refused};
    if (entry.manifest) {
        if (entry.manifest->time_known) candidate.consistent_at = entry.manifest->consistent_at;
        candidate.size = entry.manifest->size();
        candidate.verified = entry.verified.damaged ? "damaged" : std::string(to_text(entry.verified.level));
    }
    return candidate;
}

Json refused_json(const Selection& selection, const Catalogue& catalogue) {
    Json list = Json::array();
    for (const RefusedEntry& refused : selection.refused)
        list.push_back({{"id", refused.entry.id}, {"store", refused.entry.store}, {"why", refused.why}});
    for (const StoreTrouble& trouble : catalogue.troubles)
        list.push_back({{"id", nullptr}, {"store", trouble.store}, {"why", trouble.error.full_message()}});
    return list;
}

Error no_candidate(const BackupSet& set, const Selection& selection, const Catalogue& catalogue) {
    const std::size_t refused = selection.refused.size();
    std::string message = "no backup of set '" + set.name + "' satisfies the conditions";
    if (!catalogue.troubles.empty()) {
        message += ": " + catalogue.troubles.front().error.message;
    } else if (refused == 0) {
        message += ": there is none";
    } else {
        message += ": '" + selection.refused.front().entry.id + "' is refused because " + selection.refused.front().why;
        if (refused > 1) message += ", and " + counted(refused - 1, "other") + " too";
    }
    const bool none = refused == 0 && catalogue.troubles.empty();
    Error error{ErrorCode::no_candidate, std::move(message),
                none && set.foreign.empty() ? "'lifeboat backup create " + set.name + "' makes one."
                                            : "'lifeboat backup list " + set.name + "' shows every backup."};
    error.details = Json{{"refused", refused_json(selection, catalogue)}};
    return error;
}

namespace {

Finding age_finding(const BackupSet& set, const CatalogueEntry& newest, const Context& context) {
    Finding finding{.subject = "age of the newest backup of '" + set.name + "'"};
    if (!newest.manifest->time_known) {
        finding.kind = FindingKind::unknown;
        finding.message = "the name of '" + newest.id + "' does not state the time of its data";
        return finding;
    }
    const Duration age = elapsed(newest.manifest->consistent_at, context.clock->now());
    finding.message = "its data is " + to_human(age) + " old";
    if (set.max_age && age > *set.max_age) {
        finding.kind = FindingKind::warning;
        finding.message += ", the set wants at most " + to_human(*set.max_age);
        finding.hint = "Find out why no newer backup was made.";
    }
    return finding;
}

// What is chosen although it takes hours, and what is passed over because it would.
void find_cold_storage(const Selection& selection, std::vector<Finding>& findings) {
    const CatalogueEntry& chosen = selection.eligible.front();
    const auto is_copy = [&](const CatalogueEntry& entry) { return entry.id == chosen.id; };
    if (chosen.cold.state == Thaw::ready) {
        for (const CatalogueEntry& entry : selection.eligible)
            if (is_copy(entry) && entry.cold.state != Thaw::ready && entry.store_rank < chosen.store_rank)
                findings.push_back(
                    Finding{.subject = "backup '" + entry.id + "' in '" + entry.store + "'",
                            .message = "it lies in cold storage: its copy in '" + chosen.store + "' is taken first"});
        return;
    }
    std::string message = chosen.cold.state == Thaw::thawing ? "it is being thawed: " : "it lies in cold storage: ";
    message += "fetching it takes about " + to_human(chosen.cold.takes) + "; ";
    const auto at_hand = std::find_if(selection.eligible.begin(), selection.eligible.end(),
                                      [](const CatalogueEntry& entry) { return entry.cold.state == Thaw::ready; });
    if (at_hand == selection.eligible.end()) {
        message += "no other one is at hand";
    } else {
        message += "the next one at hand is '" + at_hand->id + "' in '" + at_hand->store + "'";
        if (chosen.manifest->time_known && at_hand->manifest->time_known)
            message +=
                ", " + to_human(elapsed(at_hand->manifest->consistent_at, chosen.manifest->consistent_at)) + " older";
    }
    findings.push_back(
        Finding{.kind = FindingKind::warning,
                .subject = "backup '" + chosen.id + "' in '" + chosen.store + "'",
                .message = std::move(message),
                .hint = at_hand == selection.eligible.end() ? "" : "'archived: refuse' takes that one instead."});
}

// Nobody knows what backup that is: it may be newer than the one that is chosen.
void find_archived_manifests(const Selection& selection, std::vector<Finding>& findings) {
    for (const RefusedEntry& refused : selection.refused)
        if (!refused.entry.manifest && refused.entry.cold.state != Thaw::ready)
            findings.push_back(
                Finding{.kind = FindingKind::warning,
                        .subject = "backup '" + refused.entry.id + "' in '" + refused.entry.store + "'",
                        .message = refused.why,
                        .hint = "Without its manifest it is no candidate: have that object thawed, and keep manifests "
                                "out of the rules that archive."});
}

}  // namespace

Survey survey_choice(const ActionWorld& world, const Context& context, Selection& selection) {
    Survey survey;
    const BackupSet& set = backup_set(world, context);
    for (const char* name : {"before", "max_age", "archived", "id"}) {
        if (!unknown_argument(context, name)) continue;
        survey.findings.push_back(Finding{.kind = FindingKind::unknown,
                                          .subject = "backups of '" + set.name + "'",
                                          .message = "'" + std::string(name) + "' is not known before the run"});
        return survey;
    }
    WorkControl control{.stop = context.stop, .deadline = context.deadline};
    const Catalogue catalogue = catalogue_of(set, open_stores(world, set), control);
    selection = select_backups(catalogue.entries, limits_of(context));
    for (const CatalogueEntry& entry : selection.eligible)
        survey.candidates.push_back(to_candidate(entry));
    for (const RefusedEntry& refused : selection.refused)
        survey.candidates.push_back(to_candidate(refused.entry, refused.why));
    for (const StoreTrouble& trouble : catalogue.troubles)
        survey.findings.push_back(Finding{.kind = FindingKind::warning,
                                          .subject = "store '" + trouble.store + "'",
                                          .message = trouble.error.full_message(),
                                          .hint = "What it holds is not among the candidates."});
    find_archived_manifests(selection, survey.findings);
    if (selection.eligible.empty()) {
        const Error error = no_candidate(set, selection, catalogue);
        survey.findings.push_back(Finding{.kind = FindingKind::blocker,
                                          .subject = "backups of '" + set.name + "'",
                                          .message = error.message,
                                          .hint = error.hint});
        return survey;
    }
    const CatalogueEntry& newest = selection.eligible.front();
    survey.findings.push_back(age_finding(set, newest, context));
    find_cold_storage(selection, survey.findings);
    if (newest.verified.damaged)
        survey.findings.push_back(Finding{.kind = FindingKind::warning,
                                          .subject = "backup '" + newest.id + "' in '" + newest.store + "'",
                                          .message = "it was found damaged on " + to_human(*newest.verified.at),
                                          .hint = "It will be refused and the next one taken if that is still so."});
    survey.bytes = newest.manifest->size();
    return survey;
}

std::vector<ParameterSpec> choice_parameters() {
    return {
        {.name = "backup", .type = ValueType::resource, .doc = "The backup set.", .required = true, .kind = "backup"},
        {.name = "before",
         .type = ValueType::timestamp,
         .doc = "Newest acceptable data: backups whose data is as of a later time are refused."},
        {.name = "max_age",
         .type = ValueType::duration,
         .doc = "Oldest acceptable data, counted back from 'before', else from now."},
        {.name = "archived",
         .doc = "What becomes of backups in cold storage: 'wait' takes them like others, which costs hours; 'refuse' "
                "takes the newest one at hand.",
         .default_value = "wait",
         .choices = {"wait", "refuse"}},
    };
}

}  // namespace lifeboat
