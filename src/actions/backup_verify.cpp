#include <algorithm>

#include "actions/backup_catalogue.h"
#include "actions/backup_family.h"
#include "backup/verification.h"
#include "base/error.h"
#include "base/text.h"

namespace lifeboat {

namespace {

ActionSpec declare() {
    ActionSpec spec;
    spec.name = "backup.verify";
    spec.summary = "Verify every copy of a backup as far as asked";
    spec.doc =
        "'complete': every object is there with its size; 'checksummed': every byte was read and is right; 'readable': "
        "the format's own "
        "reader went through it to the end. The result is noted beside each copy, where the catalogue of every machine "
        "shows it. Fails "
        "when something is wrong, unless 'required' is false. It proves nothing about a restored database.";
    spec.parameters = {
        {.name = "backup", .type = ValueType::resource, .doc = "The backup set.", .required = true, .kind = "backup"},
        {.name = "level",
         .doc = "How far to go.",
         .default_value = "checksummed",
         .choices = {"listed", "complete", "checksummed", "readable"}},
        {.name = "id", .doc = "This backup; without it the newest one."},
        {.name = "required",
         .type = ValueType::boolean,
         .doc = "Fail when the level is not reached, rather than only say so.",
         .default_value = true},
    };
    spec.outputs = {
        {.name = "id", .doc = "The backup."},
        {.name = "level", .doc = "The level that holds for every copy."},
        {.name = "problems", .type = ValueType::list, .doc = "What is wrong: store, object, why."},
    };
    spec.effect = Effect::read;
    spec.repeatable = true;
    spec.errors = {{ErrorCode::no_candidate, true},
                   {ErrorCode::unsupported, true},
                   {ErrorCode::check_failed, true},
                   {ErrorCode::unreachable, true},
                   {ErrorCode::program_missing, true}};
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
        const Stores stores = open_stores(world_, set);
        const Catalogue catalogue = catalogue_of(set, stores, work.control);
        const std::string id = wanted_id(set, catalogue, text_argument(context, "id"));

        Level reached = *wanted;
        Json problems = Json::array();
        for (const CatalogueEntry& entry : catalogue.entries) {
            if (entry.id != id) continue;
            if (!entry.manifest) {
                reached = Level::listed;
                problems.push_back({{"store", entry.store}, {"object", "manifest.json"}, {"why", entry.refused}});
                continue;
            }
            Store& store = *stores.at(entry.store_rank);
            const Verification found = verify_backup(store, set.name, entry, *wanted, work);
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
        Json outputs{{"id", id}, {"level", to_text(reached)}, {"problems", problems}};
        if (!problems.empty() && context.arguments.value("required", Json(true)) != Json(false)) {
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
