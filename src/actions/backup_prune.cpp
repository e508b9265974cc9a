#include "actions/backup_catalogue.h"
#include "actions/backup_family.h"
#include "backup/prune.h"
#include "base/error.h"
#include "base/text.h"

namespace lifeboat {

namespace {

ActionSpec declare() {
    ActionSpec spec;
    spec.name = "backup.prune";
    spec.summary = "Remove the backups of a set that its retention does not keep";
    spec.doc =
        "What the set's `retain` keeps stays, and so do pinned backups, the newest sound and the newest verified one "
        "of each store, and everything while the newest backup is damaged or older than the set's `max_age`. Without "
        "`retain`: 7 daily, 4 weekly, 12 monthly, 3 yearly. A store that cannot be read is left alone.";
    spec.parameters = {
        {.name = "backup", .type = ValueType::resource, .doc = "The backup set.", .required = true, .kind = "backup"},
        {.name = "stores",
         .type = ValueType::list,
         .doc = "Only these stores of the set, by their names in the site.",
         .element = ValueType::text},
    };
    spec.outputs = {
        {.name = "removed", .type = ValueType::list, .doc = "What was removed: store, id."},
        {.name = "kept", .type = ValueType::integer, .doc = "Copies that stay, in all stores together."},
        {.name = "freed", .type = ValueType::integer, .doc = "Bytes that were freed."},
        {.name = "failed", .type = ValueType::list, .doc = "Stores that could not be pruned: store, why."},
    };
    spec.effect = Effect::destroy;
    spec.repeatable = true;
    spec.errors = {{ErrorCode::unreachable, false}, {ErrorCode::denied, false}, {ErrorCode::refused, true}};
    spec.example = "- id: prune\n  uses: backup.prune\n  with: {backup: backup}\n";
    return spec;
}

class Prune final : public Action {
  public:
    explicit Prune(const ActionWorld& world) : world_(world) {}
    const ActionSpec& spec() const override { return spec_; }

    Intent prepare(Context& context) const override {
        const BackupSet& set = backup_set(world_, context);
        refuse_foreign(set);
        const Stores stores = open_stores(world_, set, stores_argument(context), context.log);
        const PrunePlan plan = plan_of(set, stores, context);
        Json remove = Json::array();
        std::size_t kept = 0;
        for (const StorePrune& store : plan.stores) {
            for (const std::string& id : store.retention.removable)
                remove.push_back({{"store", store.store}, {"id", id}});
            kept += store.retention.verdicts.size() - store.retention.removable.size();
        }
        return {{"set", set.name}, {"remove", std::move(remove)}, {"kept", kept}};
    }

    Outputs run(const Intent& intent, Context& context) const override {
        const BackupSet& set = backup_set(world_, context);
        const BackupWork work = work_of(context);
        Json removed = Json::array();
        Json failed = Json::array();
        std::uint64_t freed = 0;
        for (const auto& store : open_stores(world_, set, stores_argument(context), context.log)) {
            try {
                for (const Json& each : intent.at("remove")) {
                    if (each.at("store") != store->name()) continue;
                    const std::string id = each.at("id");
                    context.progress({.what = "removing backup '" + id + "' from '" + store->name() + "'"});
                    freed += remove_backup(*store, set.name, id, work.control).count;
                    removed.push_back(each);
                }
            } catch (const Error& error) {
                if (error.code == ErrorCode::cancelled || error.code == ErrorCode::timed_out) throw;
                context.log("store '" + store->name() + "' could not be pruned: " + error.full_message());
                failed.push_back({{"store", store->name()}, {"why", error.full_message()}});
            }
        }
        return {{"removed", std::move(removed)},
                {"kept", intent.at("kept")},
                {"freed", freed},
                {"failed", std::move(failed)}};
    }

  private:
    static PrunePlan plan_of(const BackupSet& set, const Stores& stores, const Context& context) {
        std::vector<std::string> names;
        for (const auto& store : stores)
            names.push_back(store->name());
        return plan_prune(catalogue_of(set, stores, work_of(context).control), names,
                          policy_from(set.retain, set.max_count), set.max_age, context.clock->now());
    }

    const ActionWorld& world_;
    const ActionSpec spec_ = declare();
};

}  // namespace

std::unique_ptr<Action> backup_prune(const ActionWorld& world) {
    return std::make_unique<Prune>(world);
}

}  // namespace lifeboat
