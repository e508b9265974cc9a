#include "actions/files_family.h"
#include "actions/postgres_connection.h"
#include "actions/sql_family.h"
#include "base/text.h"
#include "world/sqlite.h"

namespace lifeboat {

namespace {

ActionSpec declare() {
    ActionSpec spec;
    spec.name = "fault.sql";
    spec.summary = "Damage a sandbox's database on purpose";
    spec.doc =
        "Runs statements in a database of the drill's sandbox, each in a transaction of its own. Outside of a drill it "
        "is refused.";
    spec.parameters = {
        {.name = "database",
         .type = ValueType::resource,
         .doc = "The database of the sandbox.",
         .required = true,
         .kind = "sqlite|postgres",
         .target = true},
        {.name = "statements",
         .type = ValueType::list,
         .doc = "What to run, in order.",
         .required = true,
         .element = ValueType::text},
        {.name = "from_maintenance",
         .type = ValueType::boolean,
         .doc = "Run them in the maintenance database instead, to drop or rename this one (PostgreSQL).",
         .default_value = false},
    };
    spec.outputs = {{.name = "statements", .type = ValueType::integer, .doc = "How many were run."}};
    spec.effect = Effect::change;
    spec.drill_only = true;
    spec.errors = {{ErrorCode::refused, true},
                   {ErrorCode::unreachable, true},
                   {ErrorCode::sql_failed, false},
                   {ErrorCode::denied, false}};
    spec.example = "- id: hit\n  uses: fault.sql\n  with: {database: db, statements: [\"truncate orders\"]}\n";
    return spec;
}

class FaultSql final : public Action {
  public:
    explicit FaultSql(const ActionWorld& world) : world_(world) {}
    const ActionSpec& spec() const override { return spec_; }

    Intent prepare(Context& context) const override {
        require_drill();
        return {{"statements", context.arguments.at("statements").size()}};
    }

    Outputs run(const Intent&, Context& context) const override {
        require_drill();
        const ResolvedResource resource = world_.resources.resolve(context.arguments.at("database"));
        const Json& statements = context.arguments.at("statements");
        if (resource.type == "sqlite") {
            SqliteDatabase database = SqliteDatabase::open(place_of_resource(world_, resource));
            for (const Json& statement : statements)
                database.execute(statement.get<std::string>());
        } else if (resource.type == "postgres") {
            PostgresConnection session = connect_postgres(
                world_, resource, context, {.maintenance = context.arguments.value("from_maintenance", false)});
            for (const Json& statement : statements)
                session.execute(statement.get<std::string>());
        } else {
            throw Error{ErrorCode::invalid_file,
                        "resource '" + resource.name + "' is no database: its type is '" + resource.type + "'"};
        }
        return {{"statements", statements.size()}};
    }

  private:
    void require_drill() const {
        if (world_.resources.drill()) return;
        throw Error{ErrorCode::refused, "'fault.sql' damages a database, and this is no drill"};
    }

    const ActionWorld& world_;
    const ActionSpec spec_ = declare();
};

}  // namespace

std::unique_ptr<Action> fault_sql(const ActionWorld& world) {
    return std::make_unique<FaultSql>(world);
}

}  // namespace lifeboat
