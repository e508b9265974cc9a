#include <algorithm>
#include <map>

#include "actions/backup_catalogue.h"
#include "actions/backup_family.h"
#include "actions/backup_restored.h"
#include "backup/fetch.h"
#include "backup/verification.h"
#include "base/error.h"
#include "base/text.h"
#include "world/files.h"

namespace lifeboat {

namespace {

ActionSpec declare() {
    ActionSpec spec;
    spec.name = "backup.verify";
    spec.summary = "Verify every copy of a backup as far as asked";
    spec.doc =
        "'complete': every object is there with its size; 'checksummed': every byte was read and is right; 'readable': "
        "the format's own reader went through it to the end; 'restored': it was restored into something throw-away (a "
        "PostgreSQL cluster of its version, a Redis server, a folder), and the rows, keys and entries there are those "
        "of the manifest; 'queried': the set's checks hold there. The result is noted beside each copy, where the "
        "catalogue of every machine shows it. Fails when something is wrong, unless 'required' is false. A copy in "
        "cold "
        "storage is looked at as far as that goes without reading it, and is not called damaged. It proves "
        "nothing about a database that a run restores.";
    spec.parameters = {
        {.name = "backup", .type = ValueType::resource, .doc = "The backup set.", .required = true, .kind = "backup"},
        {.name = "level",
         .doc = "How far to go.",
         .default_value = "checksummed",
         .choices = {"listed", "complete", "checksummed", "readable", "restored", "queried"}},
        {.name = "id", .doc = "This backup; without it the newest one."},
        {.name = "stores",
         .type = ValueType::list,
         .doc = "Only the copies in these stores of the set, by their names in the site.",
         .element = ValueType::text},
        {.name = "required",
         .type = ValueType::boolean,
         .doc = "Fail when the level is not reached, rather than only say so.",
         .default_value = true},
    };
    spec.outputs = {
        {.name = "id", .doc = "The backup."},
        {.name = "level", .doc = "The level that holds for every copy."},
        {.name = "signatures",
         .type = ValueType::list,
         .doc = "What is known of each copy's signature: store, signature."},
        {.name = "problems", .type = ValueType::list, .doc = "What is wrong: store, object, why."},
        {.name = "archived",
         .type = ValueType::list,
         .doc = "Copies that could not be read since they lie in cold storage: store, why."},
    };
    spec.effect = Effect::read;
    spec.repeatable = true;
    spec.errors = {{ErrorCode::no_candidate, true}, {ErrorCode::unsupported, true},     {ErrorCode::check_failed, true},
                   {ErrorCode::unreachable, true},  {ErrorCode::program_missing, true}, {ErrorCode::refused, true},
                   {ErrorCode::disk_full, true},    {ErrorCode::archived, true}};
    spec.example = "- id: verify\n  uses: backup.verify\n  with: {backup: backup, level: readable}\n";
    return spec;
}

class Verify final : public Action {
  public:
    explicit Verify(const ActionWorld& world) : world_(world) {}
    const ActionSpec& spec() const override { return spec_; }

    Intent prepare(Context&) const override { return Json::object(); }

    Outputs run(const Intent&, Context& context) const override {
        const BackupSet& set = backup_set(world_, context);
        const BackupWork work = work_of(context);
        const std::string level_name = text_argument(context, "level");
        const auto wanted = level_named(level_name.empty() ? "checksummed" : level_name);
        if (!wanted)
            throw Error{ErrorCode::invalid_file, "'" + printable(level_name) + "' is no level of verification"};
        require_checks(set, *wanted);
        const Stores stores = open_stores(world_, set, stores_argument(context), context.log);
        const KeyRing keys = keys_of(world_, set);
        const Catalogue catalogue = catalogue_of(set, stores, work.control);
        const std::string id = wanted_id(set, catalogue, text_argument(context, "id"));

        std::map<std::string, Verification> restored;  // by manifest
        Level reached = *wanted;
        Json problems = Json::array();
        Json signatures = Json::array();
        Json archived = Json::array();
        for (const CatalogueEntry& entry : catalogue.entries) {
            if (entry.id != id) continue;
            if (!entry.manifest) {
                reached = Level::listed;
                if (entry.cold.state != Thaw::ready) {
                    archived.push_back({{"store", entry.store}, {"why", entry.refused}});
                } else {
                    problems.push_back({{"store", entry.store}, {"object", "manifest.json"}, {"why", entry.refused}});
                }
                continue;
            }
            if (set.foreign.empty())
                signatures.push_back({{"store", entry.store}, {"signature", to_words(entry.signature)}});
            Store& store = *stores.at(entry.store_rank);
            // what is fetched to be restored is read through on arrival
            const Level looked = *wanted > Level::readable ? Level::checksummed : *wanted;
            Verification found = verify_backup(store, set.name, entry, keys, looked, work);
            if (!found.archived.empty()) archived.push_back({{"store", entry.store}, {"why", found.archived}});
            if (looked < *wanted && found.problems.empty() && found.archived.empty()) {
                // copies whose every byte is the same are restored once
                auto known = restored.find(entry.manifest_sha256);
                if (known == restored.end())
                    known = restored
                                .emplace(entry.manifest_sha256,
                                         fetch_and_restore(set, entry, stores.at(entry.store_rank), *wanted, context))
                                .first;
                found = known->second;
            }
            reached = std::min(reached, found.level);
            Json here = Json::array();
            for (const VerificationProblem& problem : found.problems) {
                here.push_back(to_json(problem));
                problems.push_back({{"store", entry.store}, {"object", problem.object}, {"why", problem.why}});
            }
            leave_note(store, set, entry, verified_note(context.clock->now(), entry.manifest_sha256, found.level, here),
                       context);
        }
        for (const StoreTrouble& trouble : catalogue.troubles) {
            reached = Level::listed;
            problems.push_back({{"store", trouble.store}, {"object", nullptr}, {"why", trouble.error.full_message()}});
        }
        Json outputs{{"id", id},
                     {"level", to_text(reached)},
                     {"signatures", signatures},
                     {"problems", problems},
                     {"archived", archived}};
        const bool required = context.arguments.value("required", Json(true)) != Json(false);
        if (required && problems.empty() && !archived.empty()) {
            Error error{ErrorCode::archived,
                        "backup '" + id + "' of set '" + set.name + "' is verified as '" +
                            std::string(to_text(reached)) + "' only: " + archived.front().at("why").get<std::string>(),
                        "Fetch it, which has it thawed, and verify it then."};
            error.details = std::move(outputs);
            throw error;
        }
        if (!problems.empty() && required) {
            Error error{ErrorCode::check_failed,
                        "backup '" + id + "' of set '" + set.name + "' has " + counted(problems.size(), "problem") +
                            ": " + problems.front().at("why").get<std::string>(),
                        "Make a new backup now, and find out what happened to this one."};
            error.details = std::move(outputs);
            throw error;
        }
        return outputs;
    }

  private:
    static void require_checks(const BackupSet& set, Level wanted) {
        if (wanted < Level::queried || !set.checks.empty()) return;
        throw Error{ErrorCode::refused, "backup set '" + set.name + "' has no checks, so nothing can be asked",
                    "Give the set 'checks' in the site, or verify it up to 'restored'."};
    }

    // From that copy into a folder of its own, and from there into something throw-away.
    Verification fetch_and_restore(const BackupSet& set, const CatalogueEntry& entry, std::shared_ptr<Store> store,
                                   Level wanted, const Context& context) const {
        const PrivateDirectory folder(context.workspace.path(), "verify-");
        FetchRequest request{
            .set = set.name,
            .candidates = {{.id = entry.id, .store = entry.store, .manifest_sha256 = entry.manifest_sha256}},
            .stores = {std::move(store)},
            .foreign = foreign_layout(set),
            .keys = keys_of(world_, set),
            .folder = folder.path(),
            .level = Level::readable};
        std::vector<FetchRefusal> refusals;
        request.refused = [&refusals](const std::vector<FetchRefusal>& so_far) { refusals = so_far; };
        try {
            const Fetched fetched = fetch_backup(request, work_of(context));
            return restore_and_ask(world_, set, fetched.manifest, fetched.components, wanted, context);
        } catch (const Error& error) {
            if (error.code != ErrorCode::no_candidate || refusals.empty()) throw;
            Verification found{.level = Level::checksummed, .problems = {}};
            for (const FetchRefusal& refusal : refusals)
                found.problems.push_back(VerificationProblem{.object = entry.id, .why = refusal.why});
            return found;
        }
    }

    static std::string wanted_id(const BackupSet& set, const Catalogue& catalogue, const std::string& id) {
        for (const CatalogueEntry& entry : catalogue.entries)
            if (id.empty() || entry.id == id) return entry.id;
        Selection selection;
        Error error = no_candidate(set, selection, catalogue);
        if (!id.empty()) error.message = "backup set '" + set.name + "' has no backup '" + printable(id) + "'";
        throw error;
    }

    // A store that takes no notes (read-only) can still be verified.
    static void leave_note(Store& store, const BackupSet& set, const CatalogueEntry& entry, const BackupNote& note,
                           const Context& context) {
        try {
            write_note(store, set.name, entry.id, note, work_of(context).control);
        } catch (const Error& error) {
            if (error.code == ErrorCode::cancelled || error.code == ErrorCode::timed_out) throw;
            context.log("the result could not be noted in store '" + entry.store + "': " + error.message);
        }
    }

    const ActionWorld& world_;
    const ActionSpec spec_ = declare();
};

}  // namespace

std::unique_ptr<Action> backup_verify(const ActionWorld& world) {
    return std::make_unique<Verify>(world);
}

}  // namespace lifeboat
