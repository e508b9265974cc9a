#include "actions/postgres_catalogue.h"
#include "actions/postgres_connection.h"
#include "actions/postgres_family.h"

namespace lifeboat {

namespace {

ActionSpec declare() {
    ActionSpec spec;
    spec.name = "postgres.fence";
    spec.summary = "Let nobody into a database any more";
    spec.doc =
        "Sets ALLOW_CONNECTIONS false on the database, which keeps superusers out too, and ends its sessions from the "
        "maintenance "
        "database until none is left. A database that is missing counts as fenced. Undoing puts the flag and the "
        "connection limit back "
        "as they were, wherever the database has been renamed to. The probe looks at the flag and at the sessions.";
    spec.parameters = {{.name = "database",
                        .type = ValueType::resource,
                        .doc = "The database to close.",
                        .required = true,
                        .kind = "postgres",
                        .target = true}};
    spec.outputs = {{.name = "writes_stopped_at",
                     .type = ValueType::timestamp,
                     .doc = "From then on nothing was written to it.",
                     .role = OutputRole::writes_stopped_at},
                    {.name = "sessions_ended", .type = ValueType::integer, .doc = "How many sessions had to be ended."},
                    {.name = "existed", .type = ValueType::boolean, .doc = "False when there was no such database."}};
    spec.effect = Effect::change;
    spec.repeatable = true;
    spec.has_probe = true;
    spec.errors = {{ErrorCode::moved, true},      {ErrorCode::refused, true}, {ErrorCode::unreachable, true},
                   {ErrorCode::denied, false},    {ErrorCode::busy, false},   {ErrorCode::connection_lost, false},
                   {ErrorCode::sql_failed, false}};
    spec.example = "- id: fence\n  phase: isolate\n  uses: postgres.fence\n  with: {database: db}\n";
    return spec;
}

std::uint32_t oid_in(const Json& intent) {
    return intent.at("oid").get<std::uint32_t>();
}

class Fence final : public Action {
  public:
    explicit Fence(const ActionWorld& world) : world_(world) {}
    const ActionSpec& spec() const override { return spec_; }

    Intent prepare(Context& context) const override {
        const ResolvedResource resource = postgres_resource(world_, context.arguments.at("database"));
        PostgresConnection session = connect_maintenance(world_, resource, context);
        const std::string name = database_of(resource);
        Intent intent{{"database", name}, {"oid", nullptr}};
        if (const auto database = find_database(session, name)) {
            intent["oid"] = database->oid;
            intent["allows_connections"] = database->allows_connections;
            intent["connection_limit"] = database->connection_limit;
        }
        return intent;
    }

    Outputs run(const Intent& intent, Context& context) const override {
        const ResolvedResource resource = postgres_resource(world_, context.arguments.at("database"));
        PostgresConnection session = connect_maintenance(world_, resource, context);
        const std::string name = intent.at("database").get<std::string>();
        const auto database = find_database(session, name);
        if (!database.has_value() != intent.at("oid").is_null()) {
            throw Error{ErrorCode::moved, "database '" + name + "' " + (database ? "is there now" : "is gone")};
        }
        std::uint64_t ended = 0;
        if (database) {
            if (database->oid != oid_in(intent)) {
                throw Error{ErrorCode::moved, "database '" + name + "' is another one now: OID " +
                                                  std::to_string(database->oid) + " instead of " +
                                                  std::to_string(oid_in(intent))};
            }
            context.progress({.what = "ending sessions on '" + name + "'", .unit = "sessions"});
            if (database->allows_connections) allow_connections(session, name, false);
            ended = end_sessions(session, database->oid, context);
        }
        const std::string stopped = to_text(context.clock->now());
        context.note("writes_stopped_at", stopped);
        return {{"writes_stopped_at", stopped}, {"sessions_ended", ended}, {"existed", database.has_value()}};
    }

    ProbeResult probe(const Intent& intent, const Notes& notes, Context& context) const override {
        const ResolvedResource resource = postgres_resource(world_, context.arguments.at("database"));
        PostgresConnection session = connect_maintenance(world_, resource, context);
        const std::string name = intent.at("database").get<std::string>();
        const auto database = find_database(session, name);
        const auto noted = notes.find("writes_stopped_at");
        // without the note a moment that is certainly not too early: now
        Outputs outputs{
            {"writes_stopped_at", noted != notes.end() ? noted->second : Json(to_text(context.clock->now()))},
            {"sessions_ended", nullptr},
            {"existed", database.has_value()}};
        using enum ProbeResult::Answer;
        if (intent.at("oid").is_null() && !database)
            return {done, outputs, "database '" + name + "' is missing, as it was"};
        if (intent.at("oid").is_null() || !database || database->oid != oid_in(intent)) {
            return {.answer = cannot_tell, .evidence = "database '" + name + "' is not the one that was to be fenced"};
        }
        if (database->allows_connections) {
            return {.answer = not_done, .evidence = "database '" + name + "' allows connections"};
        }
        const std::uint64_t left = count_sessions(session, database->oid);
        if (left > 0) {
            return {.answer = not_done,
                    .evidence =
                        "database '" + name + "' allows no connections, but has " + std::to_string(left) + " sessions"};
        }
        return {done, outputs, "database '" + name + "' allows no connections and has no session"};
    }

    std::string undo(const Intent& intent, const Notes&, Context& context) const override {
        if (intent.at("oid").is_null()) return {};
        const ResolvedResource resource = postgres_resource(world_, context.arguments.at("database"));
        PostgresConnection session = connect_maintenance(world_, resource, context);
        const auto database = find_database(session, oid_in(intent));
        if (!database) {
            throw Error{ErrorCode::not_found, "database '" + intent.at("database").get<std::string>() + "' with OID " +
                                                  std::to_string(oid_in(intent)) +
                                                  " is gone: its fence cannot be lifted"};
        }
        std::string what;
        if (const int limit = intent.at("connection_limit").get<int>(); database->connection_limit != limit) {
            limit_connections(session, database->name, limit);
            what = "connection limit of '" + database->name + "' is " + std::to_string(limit) + " again";
        }
        if (const bool allowed = intent.at("allows_connections").get<bool>(); database->allows_connections != allowed) {
            allow_connections(session, database->name, allowed);
            what = "database '" + database->name + "' " +
                   (allowed ? "allows connections again" : "allows no connections, as before");
        }
        return what;
    }

  private:
    const ActionWorld& world_;
    const ActionSpec spec_ = declare();
};

}  // namespace

std::unique_ptr<Action> postgres_fence(const ActionWorld& world) {
    return std::make_unique<Fence>(world);
}

}  // namespace lifeboat
