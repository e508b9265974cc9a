#include "actions/postgres_catalogue.h"
#include "actions/postgres_connection.h"
#include "actions/postgres_family.h"

namespace lifeboat {

namespace {

ActionSpec declare() {
    ActionSpec spec;
    spec.name = "postgres.unfence";
    spec.summary = "Let everybody into a database again";
    spec.doc =
        "Sets ALLOW_CONNECTIONS true on the database that has the resource's name now: after a swap that is the "
        "restored one, which "
        "has the old one's owner, privileges, settings and connection limit. From then on new data may come in. "
        "Undoing fences it "
        "again, if it was fenced. The probe looks at the flag.";
    spec.parameters = {{.name = "database",
                        .type = ValueType::resource,
                        .doc = "The database to open.",
                        .required = true,
                        .kind = "postgres",
                        .target = true}};
    spec.outputs = {
        {.name = "reopened_at", .type = ValueType::timestamp, .doc = "New data may have come in since then."}};
    spec.effect = Effect::change;
    spec.reopens = true;
    spec.repeatable = true;
    spec.has_probe = true;
    spec.errors = {{ErrorCode::moved, true},       {ErrorCode::refused, true}, {ErrorCode::not_found, true},
                   {ErrorCode::unreachable, true}, {ErrorCode::denied, false}, {ErrorCode::connection_lost, false},
                   {ErrorCode::sql_failed, false}};
    spec.example = "- id: unfence\n  phase: reopen\n  uses: postgres.unfence\n  with: {database: db}\n";
    return spec;
}

class Unfence final : public Action {
  public:
    explicit Unfence(const ActionWorld& world) : world_(world) {}
    const ActionSpec& spec() const override { return spec_; }

    Intent prepare(Context& context) const override {
        const ResolvedResource resource = postgres_resource(world_, context.arguments.at("database"));
        PostgresConnection session = connect_maintenance(world_, resource, context);
        const std::string name = database_of(resource);
        const auto database = find_database(session, name);
        if (!database) {
            throw Error{ErrorCode::not_found,
                        "there is no database '" + name + "' on '" + session.where() + "' to open"};
        }
        return {{"database", name}, {"oid", database->oid}, {"allows_connections", database->allows_connections}};
    }

    Outputs run(const Intent& intent, Context& context) const override {
        const ResolvedResource resource = postgres_resource(world_, context.arguments.at("database"));
        PostgresConnection session = connect_maintenance(world_, resource, context);
        const std::string name = intent.at("database").get<std::string>();
        const auto database = find_database(session, name);
        if (!database || database->oid != intent.at("oid").get<std::uint32_t>()) {
            throw Error{ErrorCode::moved, "database '" + name + "' " + (database ? "is another one now" : "is gone")};
        }
        // before, not after: the first write may follow at once
        const std::string at = to_text(context.clock->now());
        context.note("reopened_at", at);
        if (!database->allows_connections) allow_connections(session, name, true);
        return {{"reopened_at", at}};
    }

    ProbeResult probe(const Intent& intent, const Notes& notes, Context& context) const override {
        const ResolvedResource resource = postgres_resource(world_, context.arguments.at("database"));
        PostgresConnection session = connect_maintenance(world_, resource, context);
        const std::string name = intent.at("database").get<std::string>();
        const auto database = find_database(session, name);
        using enum ProbeResult::Answer;
        if (!database || database->oid != intent.at("oid").get<std::uint32_t>()) {
            return {.answer = cannot_tell, .evidence = "database '" + name + "' is not the one that was to be opened"};
        }
        if (!database->allows_connections) {
            return {.answer = not_done, .evidence = "database '" + name + "' allows no connections"};
        }
        const auto noted = notes.find("reopened_at");
        return {done,
                {{"reopened_at", noted != notes.end() ? noted->second : Json(to_text(context.clock->now()))}},
                "database '" + name + "' allows connections"};
    }

    std::string undo(const Intent& intent, const Notes&, Context& context) const override {
        if (intent.at("allows_connections").get<bool>()) return {};
        const ResolvedResource resource = postgres_resource(world_, context.arguments.at("database"));
        PostgresConnection session = connect_maintenance(world_, resource, context);
        const auto database = find_database(session, intent.at("oid").get<std::uint32_t>());
        if (!database) return {};
        if (database->allows_connections) allow_connections(session, database->name, false);
        const std::uint64_t ended = end_sessions(session, database->oid, context);
        if (!database->allows_connections && ended == 0) return {};
        return "database '" + database->name + "' allows no connections again";
    }

  private:
    const ActionWorld& world_;
    const ActionSpec spec_ = declare();
};

}  // namespace

std::unique_ptr<Action> postgres_unfence(const ActionWorld& world) {
    return std::make_unique<Unfence>(world);
}

}  // namespace lifeboat
