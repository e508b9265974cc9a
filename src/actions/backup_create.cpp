#include "actions/backup_catalogue.h"
#include "actions/backup_family.h"
#include "actions/files_family.h"
#include "actions/output_resource.h"
#include "actions/postgres_connection.h"
#include "actions/redis.h"
#include "backup/creation.h"
#include "base/error.h"
#include "base/text.h"

namespace lifeboat {

namespace {

ActionSpec declare() {
    ActionSpec spec;
    spec.name = "backup.create";
    spec.summary = "Make a new backup of a set in its stores";
    spec.doc =
        "Dumps every resource of the set (PostgreSQL by pg_dump from one snapshot, SQLite by its backup interface, "
        "Redis by a snapshot as its replicas get it, files and the objects of stores as tar, a program's output as it "
        "is) and "
        "writes the result to every store, the manifest last. A store that fails does not stop the others: it is named "
        "in the outputs. Where the set is incremental, files and objects that have not changed stay in the backups "
        "that "
        "hold them. "
        "Fails when no store took the backup. Undo removes what this deed wrote and nothing else.";
    spec.parameters = {
        {.name = "backup", .type = ValueType::resource, .doc = "The backup set.", .required = true, .kind = "backup"},
        {.name = "stores",
         .type = ValueType::list,
         .doc = "Only these stores of the set, by their names in the site.",
         .element = ValueType::text},
    };
    spec.outputs = {
        {.name = "id", .doc = "The new backup."},
        {.name = "stores", .type = ValueType::list, .doc = "The stores that hold it."},
        {.name = "failed", .type = ValueType::list, .doc = "The stores that do not, with the reason: store, why."},
        {.name = "size", .type = ValueType::integer, .doc = "Of all its objects together, in bytes."},
        {.name = "consistent_at", .type = ValueType::timestamp, .doc = "Its data is as of then."},
        {.name = "manifest_sha256", .doc = "SHA-256 of its manifest."},
    };
    spec.effect = Effect::stage;
    spec.errors = {{ErrorCode::unsupported, true},      {ErrorCode::moved, false},
                   {ErrorCode::unreachable, false},     {ErrorCode::denied, false},
                   {ErrorCode::disk_full, false},       {ErrorCode::corrupt, false},
                   {ErrorCode::program_missing, false}, {ErrorCode::child_failed, false}};
    spec.example = "- id: save\n  uses: backup.create\n  with: {backup: backup}\n";
    return spec;
}

std::vector<std::string> names_in(const Json& fields, const char* name) {
    const auto found = fields.is_object() ? fields.find(name) : fields.end();
    if (!fields.is_object() || found == fields.end() || !found->is_array()) return {};
    return found->get<std::vector<std::string>>();
}

class Create final : public Action {
  public:
    explicit Create(const ActionWorld& world) : world_(world) {}
    const ActionSpec& spec() const override { return spec_; }

    Survey survey(Context& context) const override {
        Survey survey;
        const BackupSet& set = backup_set(world_, context);
        try {
            refuse_foreign(set);
            key_of(world_, set);
            for (const std::string& name : set.of)
                source_of(set, name, context);
            open_stores(world_, set);
        } catch (const Error& error) {
            survey.findings.push_back(Finding{.kind = FindingKind::blocker,
                                              .subject = "backup set '" + set.name + "'",
                                              .message = error.message,
                                              .hint = error.hint});
        }
        return survey;
    }

    Intent prepare(Context& context) const override {
        const BackupSet& set = backup_set(world_, context);
        refuse_foreign(set);
        const Stores stores = open_stores(world_, set, stores_argument(context));
        const Timestamp now = context.clock->now();
        Json names = Json::array();
        for (const auto& store : stores)
            names.push_back(store->name());
        return {{"set", set.name},
                {"id", free_backup_id(set.name, stores, now, work_of(context).control)},
                {"started_at", to_text(now)},
                {"stores", std::move(names)},
                {"claim", new_claim_token()}};
    }

    Outputs run(const Intent& intent, Context& context) const override {
        const BackupSet& set = backup_set(world_, context);
        CreateRequest request{
            .set = intent.at("set"),
            .id = intent.at("id"),
            .started_at = parse_timestamp(intent.at("started_at").get<std::string>()).value_or(Timestamp{}),
            .claim = intent.at("claim"),
            .stores = open_stores(world_, set, intent.at("stores").get<std::vector<std::string>>(), context.log),
            .key = key_of(world_, set),
            .compress = set.compress,
            .full_every = set.full_every,
            .keys = set.full_every ? keys_of(world_, set) : KeyRing(),
            .trusted = trusted_keys(set),
            .max_size = set.max_size,
            .sign = signing_key_of(world_, set)};
        for (const std::string& name : set.of)
            request.sources.push_back(source_of(set, name, context));
        const CreatedBackup created = create_backup(request, *context.clock, work_of(context));
        Json failed = Json::array();
        for (const StoreTrouble& trouble : created.troubles) {
            context.log("store '" + trouble.store + "' did not take the backup: " + trouble.error.full_message());
            failed.push_back({{"store", trouble.store}, {"why", trouble.error.full_message()}});
        }
        return {{"id", created.manifest.id},
                {"stores", created.stores},
                {"failed", std::move(failed)},
                {"size", created.manifest.size().count},
                {"consistent_at", to_text(created.manifest.consistent_at)},
                {"manifest_sha256", created.manifest_sha256}};
    }

    std::string undo(const Intent& intent, const Notes&, Context& context) const override {
        const BackupSet& set = backup_set(world_, context);
        const std::string id = intent.at("id");
        std::vector<std::string> removed;
        for (const auto& store : open_stores(world_, set, intent.at("stores").get<std::vector<std::string>>())) {
            try {
                if (remove_claimed(*store, set.name, id, intent.at("claim"), work_of(context).control))
                    removed.push_back("'" + store->name() + "'");
            } catch (const Error& error) {
                // a store that could not be reached when the backup was made holds nothing of it
                if (error.code != ErrorCode::unreachable) throw;
                context.log("store '" + store->name() + "' cannot be looked at: " + error.message);
            }
        }
        remove_dumps(work_of(context));
        if (removed.empty()) return {};
        return "removed backup '" + id + "' of set '" + set.name + "' from " + join(removed, ", ");
    }

  private:
    ComponentSource source_of(const BackupSet& set, const std::string& name, const Context& context) const {
        const ResolvedResource resource = world_.resources.named(name);
        if (resource.type == "postgres") {
            const std::string format = set.format.empty() ? "custom" : set.format;
            return {.name = name,
                    .from = PostgresSource{
                        .target = postgres_target(world_, resource, context.run_id),
                        .connect = [this, resource, &context] { return connect_postgres(world_, resource, context); },
                        .format = format,
                        .jobs = set.postgres.is_object() ? set.postgres.value("jobs", 0U) : 0U,
                        .schemas = names_in(set.postgres, "schemas"),
                        .exclude_tables = names_in(set.postgres, "exclude_tables")}};
        }
        if (resource.type == "redis") {
            return {.name = name,
                    .from = RedisSource{[this, resource, run_id = context.run_id](const WorkControl& control) {
                        return RedisConnection(redis_target(world_, resource, run_id), control);
                    }}};
        }
        if (resource.type == "output") return {.name = name, .from = OutputSource{output_command(world_, resource)}};
        if (is_store(resource.type))
            return {.name = name,
                    .from = ObjectsSource{.store = open_store(world_, resource, context.log),
                                          .exclude = PathPatterns(set.exclude)}};
        if (resource.type != "sqlite" && resource.type != "files")
            throw Error{ErrorCode::unsupported, "resource '" + name + "' of backup set '" + set.name +
                                                    "' is of type '" + resource.type + "', which cannot be backed up"};
        const std::filesystem::path path = place_of_resource(world_, resource);
        if (resource.type == "sqlite") return {.name = name, .from = SqliteSource{path}};
        return {.name = name, .from = FilesSource{.path = path, .exclude = PathPatterns(set.exclude)}};
    }

    const ActionWorld& world_;
    const ActionSpec spec_ = declare();
};

}  // namespace

std::unique_ptr<Action> backup_create(const ActionWorld& world) {
    return std::make_unique<Create>(world);
}

}  // namespace lifeboat
