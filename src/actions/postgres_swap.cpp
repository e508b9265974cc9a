#include "actions/postgres_catalogue.h"
#include "actions/postgres_connection.h"
#include "actions/postgres_family.h"
#include "actions/waiting.h"

namespace lifeboat {

namespace {

ActionSpec declare() {
    ActionSpec spec;
    spec.name = "postgres.swap";
    spec.summary = "Put a restored database in the place of the live one, atomically";
    spec.doc =
        "Copies owner, privileges, settings, connection limit and comment from the live database to the staged one, "
        "closes both, ends "
        "their sessions and renames both in one transaction; both stay closed until postgres.unfence. The old one is "
        "kept under the "
        "run's name. Also when the live database is missing. Refused while the live one has prepared transactions, "
        "logical replication "
        "slots or subscriptions. Undoing swaps back and puts the flags as they were. The probe compares OIDs.";
    spec.parameters = {{.name = "live",
                        .type = ValueType::resource,
                        .doc = "The database to replace; it may be missing.",
                        .required = true,
                        .kind = "postgres",
                        .target = true},
                       {.name = "staged",
                        .type = ValueType::resource,
                        .doc = "The database that takes its place, on the same server.",
                        .required = true,
                        .kind = "postgres"}};
    spec.outputs = {
        {.name = "database", .type = ValueType::resource, .doc = "The live database."},
        {.name = "kept",
         .type = ValueType::list,
         .doc = "What is kept until the commit: 'database:<resource>/<name>'."},
        {.name = "swapped_at", .type = ValueType::timestamp, .doc = "When the names changed."},
        {.name = "writes_stopped_at",
         .type = ValueType::timestamp,
         .doc = "From then on nothing was written to the old one; null when it was closed before.",
         .role = OutputRole::writes_stopped_at},
    };
    spec.effect = Effect::change;
    spec.has_probe = true;
    spec.errors = {
        {ErrorCode::moved, true},         {ErrorCode::refused, true},     {ErrorCode::not_found, true},
        {ErrorCode::unreachable, true},   {ErrorCode::denied, false},     {ErrorCode::busy, false},
        {ErrorCode::check_failed, false}, {ErrorCode::sql_failed, false}, {ErrorCode::connection_lost, false}};
    spec.example =
        "- id: swap\n  phase: restore\n  uses: postgres.swap\n  with: {live: db, staged: \"${{ "
        "steps.restore.outputs.database }}\"}\n";
    return spec;
}

// One of the two, as it was when the step was prepared.
Json before_of(PostgresConnection& session, const PostgresDatabase& database) {
    return {{"name", database.name},
            {"oid", database.oid},
            {"allows_connections", database.allows_connections},
            {"properties", to_json(properties_of(session, database.oid))}};
}

std::uint32_t oid_of(const Json& before) {
    return before.at("oid").get<std::uint32_t>();
}

std::string name_of(const Json& before) {
    return before.at("name").get<std::string>();
}

// What a rename would leave attached to the old database, so that it would be lost from the live name.
void refuse_attachments(PostgresConnection& session, const PostgresDatabase& database) {
    const auto refuse = [&](const std::string& what, const std::string& names, const std::string& hint) {
        if (names.empty()) return;
        throw Error{ErrorCode::refused, "database '" + database.name + "' has " + what + ": " + names, hint};
    };
    refuse("prepared transactions",
           session
               .value("select string_agg(pg_catalog.quote_literal(gid), ', ' order by gid) from "
                      "pg_catalog.pg_prepared_xacts where database = $1",
                      {database.name})
               .value_or(""),
           "Commit or roll them back first: COMMIT PREPARED, ROLLBACK PREPARED.");
    refuse("logical replication slots",
           session
               .value("select string_agg(slot_name, ', ' order by slot_name) from pg_catalog.pg_replication_slots "
                      "where database = $1",
                      {database.name})
               .value_or(""),
           "Their consumers would go on with the old data; drop the slots first.");
    refuse("subscriptions",
           session
               .value("select string_agg(subname, ', ' order by subname) from pg_catalog.pg_subscription where subdbid "
                      "= $1::oid",
                      {std::to_string(database.oid)})
               .value_or(""),
           "They would go on writing to the old database; drop them first.");
}

enum class Place { not_swapped, swapped, neither };

struct Seen {
    Place place = Place::neither;
    std::string evidence;
    std::optional<PostgresDatabase> live;  // what has the live name now
};

Seen look(PostgresConnection& session, const Json& intent) {
    Seen seen;
    const std::string live_name = intent.at("name").get<std::string>();
    const std::string staged_name = name_of(intent.at("staged"));
    const std::string old_name = intent.at("old_name").get<std::string>();
    seen.live = find_database(session, live_name);
    const auto staged = find_database(session, staged_name);
    const auto old = find_database(session, old_name);
    const Json& before = intent.at("live");
    const std::uint32_t staged_oid = oid_of(intent.at("staged"));
    const bool staged_in_place = seen.live && seen.live->oid == staged_oid && !staged;
    const bool staged_waits = staged && staged->oid == staged_oid;
    if (staged_in_place && (before.is_null() ? !old : old && old->oid == oid_of(before))) seen.place = Place::swapped;
    if (staged_waits && !old && (before.is_null() ? !seen.live : seen.live && seen.live->oid == oid_of(before))) {
        seen.place = Place::not_swapped;
    }
    const auto say = [](const std::string& name, const std::optional<PostgresDatabase>& database) {
        return "'" + name + "' " + (database ? "has OID " + std::to_string(database->oid) : "is missing");
    };
    seen.evidence = say(live_name, seen.live) + ", " + say(staged_name, staged) + ", " + say(old_name, old) +
                    "; the restored one is OID " + std::to_string(staged_oid);
    return seen;
}

void close(PostgresConnection& session, std::uint32_t oid, const Context& context) {
    const auto database = find_database(session, oid);
    if (!database) return;
    if (database->allows_connections) allow_connections(session, database->name, false);
    end_sessions(session, oid, context);
}

// `ALTER DATABASE … RENAME` of one or two, all or none. Sessions were ended before; an autovacuum worker may still be
// in the way.
void rename(PostgresConnection& session, const std::vector<std::pair<std::string, std::string>>& moves,
            const Context& context) {
    std::string sql = "BEGIN;";
    for (const auto& [from, to] : moves)
        sql += "ALTER DATABASE " + quote_identifier(from) + " RENAME TO " + quote_identifier(to) + ";";
    sql += "COMMIT";
    for (int attempt = 1;; ++attempt) {
        try {
            session.execute(sql);
            return;
        } catch (const Error& error) {
            if (error.code == ErrorCode::connection_lost) throw;
            session.execute("ROLLBACK");
            if (error.code != ErrorCode::busy || attempt == 5) throw;
        }
        wait_for(context, std::chrono::milliseconds(100));
    }
}

class Swap final : public Action {
  public:
    explicit Swap(const ActionWorld& world) : world_(world) {}
    const ActionSpec& spec() const override { return spec_; }

    Survey survey(Context& context) const override {
        Survey survey;
        const Json live = context.arguments.value("live", Json());
        if (live.is_null()) return survey;
        const ResolvedResource resource = postgres_resource(world_, live);
        const std::string subject = "swapping '" + database_of(resource) + "'";
        try {
            PostgresConnection session =
                connect_postgres(world_, resource, context, {.maintenance = true, .read_only = true});
            const auto database = find_database(session, database_of(resource));
            if (database) refuse_attachments(session, *database);
            survey.findings.push_back(
                {FindingKind::ok, context.step_id, subject,
                 database ? "no prepared transactions, logical slots or subscriptions" : "the database is missing",
                 ""});
        } catch (const Error& error) {
            survey.findings.push_back({FindingKind::blocker, context.step_id, subject, error.message, error.hint});
        }
        return survey;
    }

    Intent prepare(Context& context) const override {
        const ResolvedResource resource = postgres_resource(world_, context.arguments.at("live"));
        const ResolvedResource other = postgres_resource(world_, context.arguments.at("staged"));
        PostgresConnection session = connect_maintenance(world_, resource, context);
        const std::string live_name = database_of(resource);
        const std::string staged_name = database_of(other);
        if (live_name == staged_name)
            throw Error{ErrorCode::refused, "'" + live_name + "' cannot be swapped with itself"};
        if (other.name != resource.name) {
            PostgresConnection there = connect_maintenance(world_, other, context);
            if (system_identifier(there) != system_identifier(session)) {
                throw Error{ErrorCode::refused,
                            "'" + resource.name + "' and '" + other.name + "' are on different servers"};
            }
        }
        const auto staged = find_database(session, staged_name);
        if (!staged) {
            throw Error{ErrorCode::not_found,
                        "there is no database '" + staged_name + "' on '" + session.where() + "' to swap in"};
        }
        Intent intent{{"name", live_name}, {"live", nullptr}, {"staged", before_of(session, *staged)}};
        if (const auto live = find_database(session, live_name)) {
            refuse_attachments(session, *live);
            intent["live"] = before_of(session, *live);
        }
        const std::string suffix = "_old_" + short_run_id(context.run_id);
        std::string old_name = postgres_name(live_name, suffix);
        for (int number = 2; find_database(session, old_name); ++number) {
            old_name = postgres_name(live_name, suffix + "_" + std::to_string(number));
        }
        intent["old_name"] = old_name;
        return intent;
    }

    Outputs run(const Intent& intent, Context& context) const override {
        const ResolvedResource resource = postgres_resource(world_, context.arguments.at("live"));
        PostgresConnection session = connect_maintenance(world_, resource, context);
        const Seen seen = look(session, intent);
        if (seen.place != Place::not_swapped)
            throw Error{ErrorCode::moved, "the databases are not as they were: " + seen.evidence};
        if (seen.live) refuse_attachments(session, *seen.live);
        const Json& live = intent.at("live");
        const Json& staged = intent.at("staged");

        PostgresProperties properties = properties_from_json((live.is_null() ? staged : live).at("properties"));
        if (live.is_null()) {
            // nothing is left to copy from: everybody may connect, as to any new database
            properties.grants.push_back({"", "CONNECT", false});
            properties.grants.push_back({"", "TEMPORARY", false});
            std::sort(properties.grants.begin(), properties.grants.end());
            properties.grants.erase(std::unique(properties.grants.begin(), properties.grants.end()),
                                    properties.grants.end());
        }
        give_properties(session, name_of(staged), properties);

        Json stopped = nullptr;
        if (!live.is_null()) {
            close(session, oid_of(live), context);
            if (live.at("allows_connections").get<bool>()) stopped = to_text(context.clock->now());
        }
        close(session, oid_of(staged), context);
        if (!stopped.is_null()) context.note("writes_stopped_at", stopped);
        const std::string at = to_text(context.clock->now());
        context.note("swapped_at", at);

        std::vector<std::pair<std::string, std::string>> moves;
        if (!live.is_null()) moves.emplace_back(name_of(live), intent.at("old_name").get<std::string>());
        moves.emplace_back(name_of(staged), intent.at("name").get<std::string>());
        rename(session, moves, context);
        return outputs(intent, resource, context, at, stopped);
    }

    ProbeResult probe(const Intent& intent, const Notes& notes, Context& context) const override {
        const ResolvedResource resource = postgres_resource(world_, context.arguments.at("live"));
        PostgresConnection session = connect_maintenance(world_, resource, context);
        const Seen seen = look(session, intent);
        const auto noted = [&notes](const char* key, const Json& otherwise) {
            const auto found = notes.find(key);
            return found != notes.end() ? found->second : otherwise;
        };
        using enum ProbeResult::Answer;
        switch (seen.place) {
            case Place::swapped:
                return {done,
                        outputs(intent, resource, context, noted("swapped_at", to_text(context.clock->now())),
                                noted("writes_stopped_at", nullptr)),
                        seen.evidence};
            case Place::not_swapped:
                return {.answer = not_done, .evidence = seen.evidence};
            case Place::neither:
                break;
        }
        return {.answer = cannot_tell, .evidence = seen.evidence};
    }

    std::string undo(const Intent& intent, const Notes&, Context& context) const override {
        const ResolvedResource resource = postgres_resource(world_, context.arguments.at("live"));
        PostgresConnection session = connect_maintenance(world_, resource, context);
        const Seen seen = look(session, intent);
        const Json& live = intent.at("live");
        const Json& staged = intent.at("staged");
        std::string what;
        switch (seen.place) {
            case Place::neither:
                throw Error{ErrorCode::refused, "the databases are neither swapped nor as they were: " + seen.evidence,
                            "Look at them by hand; nothing was changed."};
            case Place::swapped: {
                close(session, oid_of(staged), context);
                if (!live.is_null()) close(session, oid_of(live), context);
                std::vector<std::pair<std::string, std::string>> moves{
                    {intent.at("name").get<std::string>(), name_of(staged)}};
                if (!live.is_null()) moves.emplace_back(intent.at("old_name").get<std::string>(), name_of(live));
                rename(session, moves, context);
                what = live.is_null() ? "took '" + intent.at("name").get<std::string>() + "' away again"
                                      : "swapped '" + name_of(live) + "' back";
                break;
            }
            case Place::not_swapped:
                break;
        }
        give_properties(session, name_of(staged), properties_from_json(staged.at("properties")));
        for (const Json* before : {&staged, &live}) {
            if (before->is_null()) continue;
            const auto database = find_database(session, oid_of(*before));
            const bool allowed = before->at("allows_connections").get<bool>();
            if (!database || database->allows_connections == allowed) continue;
            allow_connections(session, database->name, allowed);
            if (before == &live && what.empty()) what = "database '" + database->name + "' allows connections again";
        }
        return what;
    }

  private:
    static Outputs outputs(const Intent& intent, const ResolvedResource& resource, const Context& context,
                           const Json& at, const Json& stopped) {
        Json kept = Json::array();
        if (!intent.at("live").is_null()) {
            kept.push_back("database:" + resource.name + "/" + intent.at("old_name").get<std::string>());
        }
        return {{"database", context.arguments.at("live")},
                {"kept", std::move(kept)},
                {"swapped_at", at},
                {"writes_stopped_at", stopped}};
    }

    const ActionWorld& world_;
    const ActionSpec spec_ = declare();
};

}  // namespace

std::unique_ptr<Action> postgres_swap(const ActionWorld& world) {
    return std::make_unique<Swap>(world);
}

}  // namespace lifeboat
