#include "actions/backup_catalogue.h"
#include "actions/backup_family.h"
#include "backup/completion.h"
#include "backup/prune.h"
#include "base/error.h"
#include "base/text.h"

namespace lifeboat {

namespace {

ActionSpec declare() {
    ActionSpec spec;
    spec.name = "backup.complete";
    spec.summary = "Copy a backup to the stores of its set that miss it";
    spec.doc =
        "For stores that were down when a backup was made, or that came to the set later. Objects are copied as they "
        "are stored, so no key is needed; each is compared with the manifest before it goes anywhere, and taken from "
        "the next store that has it when it is wrong; the manifest goes last. What the maker of the backup left "
        "half-written is finished; what anybody else has begun is left alone and named in the outputs, like a store "
        "that fails. Fails when something was missing and no store took it. Undo removes the copies that this deed "
        "made and nothing else.";
    spec.parameters = {
        {.name = "backup", .type = ValueType::resource, .doc = "The backup set.", .required = true, .kind = "backup"},
        {.name = "id", .doc = "This backup; without it the newest sound one."},
        {.name = "all",
         .type = ValueType::boolean,
         .doc = "Every backup that the set's retention would keep in the store that misses it.",
         .default_value = false},
        {.name = "to",
         .type = ValueType::list,
         .doc = "Complete only these stores of the set, by their names in the site.",
         .element = ValueType::text},
        {.name = "from",
         .type = ValueType::list,
         .doc = "Copy only from these stores of the set, by their names in the site.",
         .element = ValueType::text},
    };
    spec.outputs = {
        {.name = "completed", .type = ValueType::list, .doc = "The copies that were made: store, id."},
        {.name = "failed", .type = ValueType::list, .doc = "Those that could not be made: store, id, why."},
        {.name = "copied", .type = ValueType::integer, .doc = "Bytes that were written."},
    };
    spec.effect = Effect::stage;
    spec.resumable = true;
    spec.errors = {{ErrorCode::no_candidate, true}, {ErrorCode::unsupported, true},     {ErrorCode::refused, false},
                   {ErrorCode::unreachable, false}, {ErrorCode::denied, false},         {ErrorCode::disk_full, false},
                   {ErrorCode::corrupt, false},     {ErrorCode::already_exists, false}, {ErrorCode::moved, false}};
    spec.example = "- id: complete\n  uses: backup.complete\n  with: {backup: backup}\n";
    return spec;
}

Json to_json(const CompletionTrouble& trouble) {
    return {{"store", trouble.store},
            {"id", trouble.id.empty() ? Json(nullptr) : Json(trouble.id)},
            {"why", trouble.error.full_message()}};
}

Json to_json(const MissingCopies& missing) {
    Json json{{"id", missing.id},
              {"manifest_sha256", missing.manifest_sha256},
              {"from", missing.from},
              {"to", missing.to},
              {"pin", nullptr}};
    if (const auto& pin = missing.pin)
        json["pin"] = {{"reason", pin->reason}, {"by", pin->by}, {"at", to_text(pin->at)}};
    return json;
}

std::optional<Pin> pin_from(const Json& json) {
    if (json.is_null()) return std::nullopt;
    return Pin{.reason = json.at("reason"),
               .by = json.at("by"),
               .at = parse_timestamp(json.at("at").get<std::string>()).value_or(Timestamp{})};
}

class Complete final : public Action {
  public:
    explicit Complete(const ActionWorld& world) : world_(world) {}
    const ActionSpec& spec() const override { return spec_; }

    Intent prepare(Context& context) const override {
        const BackupSet& set = backup_set(world_, context);
        refuse_foreign(set);
        const Stores stores = open_stores(world_, set, {}, context.log);
        CompletionWish wish{.id = text_argument(context, "id"),
                            .all = context.arguments.value("all", Json(false)) == Json(true),
                            .policy = policy_from(set.retain, set.max_count),
                            .now = context.clock->now(),
                            .from = stores_argument(context, "from"),
                            .to = stores_argument(context, "to")};
        if (wish.all && !wish.id.empty())
            throw Error{ErrorCode::invalid_file, "'id' asks for one backup and 'all' for every one"};
        open_stores(world_, set, wish.from);  // names that the set does not have
        open_stores(world_, set, wish.to);
        if (wish.to.empty())
            for (const auto& store : stores)
                if (store->features().writes) wish.to.push_back(store->name());
        const Catalogue catalogue = catalogue_of(set, stores, work_of(context).control);
        const CompletionPlan plan = plan_completion(catalogue, wish);
        if (!plan.found) throw nothing_to_copy(set, wish, catalogue);
        Json backups = Json::array();
        for (const MissingCopies& missing : plan.backups)
            backups.push_back(to_json(missing));
        Json failed = Json::array();
        for (const CompletionTrouble& trouble : plan.troubles) {
            failed.push_back(to_json(trouble));
            failed.back()["code"] = info(trouble.error.code).name;
        }
        return {{"set", set.name},
                {"claim", new_claim_token()},
                {"at", to_text(context.clock->now())},
                {"backups", std::move(backups)},
                {"failed", std::move(failed)}};
    }

    Outputs run(const Intent& intent, Context& context) const override {
        const BackupSet& set = backup_set(world_, context);
        const BackupWork work = work_of(context);
        Json completed = Json::array();
        Json failed = Json::array();
        std::uint64_t copied = 0;
        std::optional<Error> why;
        for (Json trouble : intent.at("failed")) {
            if (!why)
                why = Error{error_code_named(trouble.at("code").get<std::string>()).value_or(ErrorCode::io_failed),
                            trouble.at("why").get<std::string>()};
            trouble.erase("code");
            failed.push_back(std::move(trouble));
        }
        const auto fail = [&](const CompletionTrouble& trouble) {
            context.log("store '" + trouble.store + "' was not completed: " + trouble.error.full_message());
            if (!why) why = trouble.error;
            failed.push_back(to_json(trouble));
        };
        for (const Json& missing : intent.at("backups")) {
            const std::string id = missing.at("id");
            const auto names = missing.at("to").get<std::vector<std::string>>();
            try {
                const CompletedBackup done = complete_backup(request_for(intent, missing, set, context), work);
                for (const std::string& store : done.stores)
                    completed.push_back({{"store", store}, {"id", id}});
                for (const StoreTrouble& trouble : done.troubles)
                    fail({.store = trouble.store, .id = id, .error = trouble.error});
                copied += done.copied;
            } catch (const Error& error) {
                // one backup that no store has right does not stop the others
                if (error.code == ErrorCode::cancelled || error.code == ErrorCode::timed_out) throw;
                for (const std::string& store : names)
                    fail({.store = store, .id = id, .error = error});
            }
        }
        if (completed.empty() && why) throw Error(*why);
        return {{"completed", std::move(completed)}, {"failed", std::move(failed)}, {"copied", copied}};
    }

    std::string undo(const Intent& intent, const Notes&, Context& context) const override {
        const BackupSet& set = backup_set(world_, context);
        const BackupWork work = work_of(context);
        std::vector<std::string> removed;
        for (const Json& missing : intent.at("backups")) {
            const std::string id = missing.at("id");
            for (const auto& store : open_stores(world_, set, missing.at("to").get<std::vector<std::string>>())) {
                try {
                    if (remove_claimed(*store, set.name, id, intent.at("claim"), work.control))
                        removed.push_back("'" + id + "' from '" + store->name() + "'");
                } catch (const Error& error) {
                    // a store that could not be reached before holds nothing of it
                    if (error.code != ErrorCode::unreachable) throw;
                    context.log("store '" + store->name() + "' cannot be looked at: " + error.message);
                }
            }
        }
        remove_spooled(work);
        if (removed.empty()) return {};
        return "removed copies of backups of set '" + set.name + "': " + join(removed, ", ");
    }

  private:
    CompletionRequest request_for(const Intent& intent, const Json& missing, const BackupSet& set,
                                  const Context& context) const {
        CompletionRequest request{
            .set = set.name,
            .id = missing.at("id"),
            .manifest_sha256 = missing.at("manifest_sha256"),
            .claim = intent.at("claim"),
            .at = parse_timestamp(intent.at("at").get<std::string>()).value_or(Timestamp{}),
            .from = {},
            .to = open_stores(world_, set, missing.at("to").get<std::vector<std::string>>(), context.log),
            .pin = pin_from(missing.at("pin")),
            .trusted = trusted_keys(set)};
        for (const std::string& name : missing.at("from").get<std::vector<std::string>>())
            request.from.push_back(open_stores(world_, set, {name}, context.log).front());
        return request;
    }

    static Error nothing_to_copy(const BackupSet& set, const CompletionWish& wish, const Catalogue& catalogue) {
        Error error = no_candidate(set, {}, catalogue);
        if (!wish.id.empty() && catalogue.troubles.empty())
            error.message = "backup set '" + set.name + "' has no backup '" + printable(wish.id) + "' to copy";
        return error;
    }

    const ActionWorld& world_;
    const ActionSpec spec_ = declare();
};

}  // namespace

std::unique_ptr<Action> backup_complete(const ActionWorld& world) {
    return std::make_unique<Complete>(world);
}

}  // namespace lifeboat
