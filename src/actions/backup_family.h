// The actions of backups, each made by one function in the file named after it, and what they share: from a deed and
// the site's backup set to the stores, limits and work that the room `backup` wants.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "actions/family.h"
#include "backup/audit.h"
#include "backup/encryption.h"
#include "backup/selection.h"
#include "backup/work.h"
#include "world/signature.h"

namespace lifeboat {

std::unique_ptr<Action> backup_create(const ActionWorld& world);
std::unique_ptr<Action> backup_complete(const ActionWorld& world);
std::unique_ptr<Action> backup_select(const ActionWorld& world);
std::unique_ptr<Action> backup_fetch(const ActionWorld& world);
std::unique_ptr<Action> backup_verify(const ActionWorld& world);
std::unique_ptr<Action> backup_prune(const ActionWorld& world);
std::unique_ptr<Action> backup_audit(const ActionWorld& world);

// A store that tries again, and keeps to its rate; what it tries again is said to `log`, which may be empty. Throws
// Error{refused} outside of a drill's sandbox, Error{invalid_file} for fields that cannot be, and what its secrets
// throw.
std::shared_ptr<Store> open_store(const ActionWorld& world, const ResolvedResource& resource,
                                  const std::function<void(std::string_view line)>& log = {});
// Whether a resource of that type is one.
bool is_store(const std::string& type);
// The set's stores in its order; `only` picks some of them by name (empty: all).
Stores open_stores(const ActionWorld& world, const BackupSet& set, const std::vector<std::string>& only = {},
                   const std::function<void(std::string_view line)>& log = {});

// The key that a set's new backups are encrypted with; nullopt where they lie in the open. Throws what the secret and
// EncryptionKey throw.
std::optional<EncryptionKey> key_of(const ActionWorld& world, const BackupSet& set);
// That key and the set's old ones, for whatever has to be decrypted.
KeyRing keys_of(const ActionWorld& world, const BackupSet& set);

// The key that the manifests of new backups are signed with; nullopt where they are not.
std::optional<Ed25519Signer> signing_key_of(const ActionWorld& world, const BackupSet& set);

const BackupSet& backup_set(const ActionWorld& world, const Context& context);
// Refers to `context`, which must outlive it.
BackupWork work_of(const Context& context);
// What the site says of the set and of its stores.
AuditRequest audit_request(const ActionWorld& world, const BackupSet& set, Timestamp now);

// Arguments that were not given and those that are not known yet (null) are both empty here.
std::string text_argument(const Context& context, const char* name);
// A list of names; empty when it was not given. Throws Error{invalid_file} for a list of nothing.
std::vector<std::string> stores_argument(const Context& context, const char* name = "stores");
// Given, but its value comes from a step that has not run.
bool unknown_argument(const Context& context, const char* name);
// `before`, `max_age`, `archived` and `id` of the arguments. Throws Error{invalid_file}.
SelectionLimits limits_of(const Context& context);
// Whether `archived` lets what lies in cold storage be waited for.
bool waits_for_archived(const Context& context);

Candidate to_candidate(const CatalogueEntry& entry, const std::string& refused = {});
// [{id, store, why}], unreadable stores at the end.
Json refused_json(const Selection& selection, const Catalogue& catalogue);
// Error{no_candidate} with every reason in its details.
Error no_candidate(const BackupSet& set, const Selection& selection, const Catalogue& catalogue);

// What both choosing actions see before the run: candidates, their age, stores that cannot be read.
Survey survey_choice(const ActionWorld& world, const Context& context, Selection& selection);

// The parameters that choose a backup.
std::vector<ParameterSpec> choice_parameters();

}  // namespace lifeboat
