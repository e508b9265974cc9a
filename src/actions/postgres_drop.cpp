#include "actions/postgres_catalogue.h"
#include "actions/postgres_connection.h"
#include "actions/postgres_family.h"

namespace lifeboat {

namespace {

ActionSpec declare() {
    ActionSpec spec;
    spec.name = "postgres.drop";
    spec.summary = "Drop a database for good";
    spec.doc =
        "Drops the database that a derived resource names, ending its sessions. The database that a resource was "
        "declared with is "
        "refused unless 'confirm' repeats its name. There is no undo. The probe looks whether the OID is gone.";
    spec.parameters = {
        {.name = "database",
         .type = ValueType::resource,
         .doc = "The database to drop, as a derived resource.",
         .required = true,
         .kind = "postgres",
         .target = true},
        {.name = "confirm", .doc = "The name of the database, needed when it is the declared one."},
        {.name = "only_if_empty",
         .type = ValueType::boolean,
         .doc = "Refuse when it holds any table.",
         .default_value = false},
    };
    spec.outputs = {{.name = "dropped", .type = ValueType::boolean, .doc = "False when there was no such database."}};
    spec.effect = Effect::destroy;
    spec.has_probe = true;
    spec.errors = {{ErrorCode::moved, true},      {ErrorCode::refused, true}, {ErrorCode::unreachable, true},
                   {ErrorCode::denied, false},    {ErrorCode::busy, false},   {ErrorCode::connection_lost, false},
                   {ErrorCode::sql_failed, false}};
    spec.example = "- id: tidy\n  uses: postgres.drop\n  with: {database: \"${{ steps.restore.outputs.database }}\"}\n";
    return spec;
}

class Drop final : public Action {
  public:
    explicit Drop(const ActionWorld& world) : world_(world) {}
    const ActionSpec& spec() const override { return spec_; }

    Intent prepare(Context& context) const override {
        const ResolvedResource resource = postgres_resource(world_, context.arguments.at("database"));
        const std::string name = database_of(resource);
        const std::string confirmed = context.arguments.value("confirm", Json()).is_string()
                                          ? context.arguments.at("confirm").get<std::string>()
                                          : std::string();
        if (database_of(world_.resources.named(resource.name)) == name && confirmed != name) {
            throw Error{ErrorCode::refused, "'" + name + "' is the database of resource '" + resource.name + "' itself",
                        "Say 'confirm: " + name + "' if it really has to go."};
        }
        PostgresConnection session = connect_maintenance(world_, resource, context);
        const auto database = find_database(session, name);
        Intent intent{{"database", name}, {"oid", nullptr}};
        if (database) {
            intent["oid"] = database->oid;
            if (context.arguments.value("only_if_empty", Json()) == true) require_empty(resource, context);
        }
        return intent;
    }

    Outputs run(const Intent& intent, Context& context) const override {
        const ResolvedResource resource = postgres_resource(world_, context.arguments.at("database"));
        PostgresConnection session = connect_maintenance(world_, resource, context);
        const std::string name = intent.at("database").get<std::string>();
        const auto database = find_database(session, name);
        if (intent.at("oid").is_null() && !database) return {{"dropped", false}};
        if (!database || database->oid != intent.at("oid").get<std::uint32_t>()) {
            throw Error{ErrorCode::moved, "database '" + name + "' " + (database ? "is another one now" : "is gone")};
        }
        if (context.arguments.value("only_if_empty", Json()) == true && database->allows_connections)
            require_empty(resource, context);
        if (database->allows_connections) allow_connections(session, name, false);
        end_sessions(session, database->oid, context);
        session.execute("DROP DATABASE " + quote_identifier(name) + " WITH (FORCE)");
        return {{"dropped", true}};
    }

    ProbeResult probe(const Intent& intent, const Notes&, Context& context) const override {
        const ResolvedResource resource = postgres_resource(world_, context.arguments.at("database"));
        PostgresConnection session = connect_maintenance(world_, resource, context);
        const std::string name = intent.at("database").get<std::string>();
        using enum ProbeResult::Answer;
        if (intent.at("oid").is_null()) {
            if (find_database(session, name))
                return {.answer = not_done, .evidence = "database '" + name + "' is there"};
            return {done, {{"dropped", false}}, "there was no database '" + name + "'"};
        }
        const auto oid = intent.at("oid").get<std::uint32_t>();
        if (find_database(session, oid)) {
            return {.answer = not_done,
                    .evidence = "database '" + name + "' with OID " + std::to_string(oid) + " is there"};
        }
        return {done, {{"dropped", true}}, "the database with OID " + std::to_string(oid) + " is gone"};
    }

  private:
    void require_empty(const ResolvedResource& resource, const Context& context) const {
        PostgresConnection inside = connect_postgres(world_, resource, context, {.read_only = true});
        const std::uint64_t tables = number_of(inside.value(
            "select count(*) from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace "
            "where c.relkind in ('r', 'p', 'm', 'f') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"));
        if (tables > 0) {
            throw Error{ErrorCode::refused, "database '" + database_of(resource) + "' is not empty: it holds " +
                                                std::to_string(tables) + " tables"};
        }
    }

    const ActionWorld& world_;
    const ActionSpec spec_ = declare();
};

}  // namespace

std::unique_ptr<Action> postgres_drop(const ActionWorld& world) {
    return std::make_unique<Drop>(world);
}

}  // namespace lifeboat
