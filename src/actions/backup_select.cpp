#include "actions/backup_catalogue.h"
#include "actions/backup_family.h"
#include "engine/plan.h"

namespace lifeboat {

namespace {

ActionSpec declare() {
    ActionSpec spec;
    spec.name = "backup.select";
    spec.summary = "Choose the newest backup that satisfies the conditions";
    spec.doc =
        "Looks into every store of the set and chooses by the data's own time: newest first, then by id, then in the "
        "order of the "
        "stores. Says which one it takes, which ones come after it, and why every other one is refused. Nothing is "
        "fetched.";
    spec.parameters = choice_parameters();
    spec.outputs = {
        {.name = "id", .doc = "The backup."},
        {.name = "store", .doc = "The store that it would be fetched from first."},
        {.name = "consistent_at", .type = ValueType::timestamp, .doc = "Its data is as of then."},
        {.name = "manifest_sha256", .doc = "SHA-256 of its manifest."},
        {.name = "candidates", .type = ValueType::list, .doc = "All that may be restored, in the order to be tried."},
        {.name = "refused", .type = ValueType::list, .doc = "The others, with the reason: id, store, why."},
    };
    spec.effect = Effect::read;
    spec.repeatable = true;
    spec.cheap = true;
    spec.errors = {{ErrorCode::no_candidate, true}, {ErrorCode::unsupported, true}, {ErrorCode::refused, true}};
    spec.example = "- id: choose\n  uses: backup.select\n  with: {backup: backup, max_age: 24h}\n";
    return spec;
}

class Select final : public Action {
  public:
    explicit Select(const ActionWorld& world) : world_(world) {}
    const ActionSpec& spec() const override { return spec_; }

    Survey survey(Context& context) const override {
        Selection selection;
        return survey_choice(world_, context, selection);
    }

    Intent prepare(Context&) const override { return Json::object(); }

    Outputs run(const Intent&, Context& context) const override {
        const BackupSet& set = backup_set(world_, context);
        const Catalogue catalogue = catalogue_of(set, open_stores(world_, set), work_of(context).control);
        const Selection selection = select_backups(catalogue.entries, limits_of(context));
        if (selection.eligible.empty()) throw no_candidate(set, selection, catalogue);
        const CatalogueEntry& chosen = selection.eligible.front();
        Json candidates = Json::array();
        for (const CatalogueEntry& entry : selection.eligible)
            candidates.push_back(to_json(to_candidate(entry)));
        return {{"id", chosen.id},
                {"store", chosen.store},
                {"consistent_at", time_of(*chosen.manifest)},
                {"manifest_sha256", chosen.manifest_sha256},
                {"candidates", std::move(candidates)},
                {"refused", refused_json(selection, catalogue)}};
    }

  private:
    const ActionWorld& world_;
    const ActionSpec spec_ = declare();
};

}  // namespace

std::unique_ptr<Action> backup_select(const ActionWorld& world) {
    return std::make_unique<Select>(world);
}

}  // namespace lifeboat
