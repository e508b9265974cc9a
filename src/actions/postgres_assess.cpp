#include "actions/postgres_catalogue.h"
#include "actions/postgres_connection.h"
#include "actions/postgres_family.h"
#include "base/text.h"

namespace lifeboat {

namespace {

constexpr std::string_view user_schemas = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'";

ActionSpec declare() {
    ActionSpec spec;
    spec.name = "postgres.assess";
    spec.summary = "Look how a database is";
    spec.doc =
        "Reports as outputs whether the database is there, lets people in, what it holds, and what is damaged: invalid "
        "indexes, and "
        "whatever amcheck finds where that extension is installed (else tables and indexes are 'not looked at': "
        "installing it takes a "
        "superuser and a writable session). Fails only when the server cannot be asked. Its sessions are read-only.";
    spec.parameters = {
        {.name = "database",
         .type = ValueType::resource,
         .doc = "The database to look at.",
         .required = true,
         .kind = "postgres"},
        {.name = "amcheck_within",
         .type = ValueType::duration,
         .doc = "Time for amcheck, smallest relations first; what it did not reach is counted. Zero: do not use it.",
         .default_value = "20s"},
    };
    spec.outputs = {
        {.name = "exists", .type = ValueType::boolean, .doc = "The server knows a database of that name."},
        {.name = "reachable", .type = ValueType::boolean, .doc = "A session on it could be opened."},
        {.name = "accepts_connections", .type = ValueType::boolean, .doc = "It is not fenced."},
        {.name = "in_recovery", .type = ValueType::boolean, .doc = "The server is a standby or still recovering."},
        {.name = "size", .type = ValueType::integer, .doc = "Bytes on disk."},
        {.name = "tables", .type = ValueType::integer, .doc = "Number of tables outside the system's schemas."},
        {.name = "rows_estimate", .type = ValueType::integer, .doc = "Rows in them, as the planner guesses."},
        {.name = "invalid_indexes", .type = ValueType::list, .doc = "Indexes that are marked invalid."},
        {.name = "amcheck", .type = ValueType::any, .doc = "'ok', 'not looked at', or the list of what it found."},
        {.name = "amcheck_skipped", .type = ValueType::integer, .doc = "Relations that amcheck had no time for."},
        {.name = "damage", .type = ValueType::boolean, .doc = "Something is wrong with it."},
        {.name = "damages", .type = ValueType::list, .doc = "What is wrong, in words."},
    };
    spec.effect = Effect::read;
    spec.repeatable = true;
    spec.cheap = true;
    spec.errors = {{ErrorCode::unreachable, true}, {ErrorCode::denied, true},     {ErrorCode::refused, true},
                   {ErrorCode::busy, true},        {ErrorCode::sql_failed, true}, {ErrorCode::connection_lost, true}};
    spec.example = "- id: assess\n  phase: assess\n  uses: postgres.assess\n  with: {database: db}\n";
    return spec;
}

class Assess final : public Action {
  public:
    explicit Assess(const ActionWorld& world) : world_(world) {}
    const ActionSpec& spec() const override { return spec_; }

    Intent prepare(Context&) const override { return Json::object(); }

    Outputs run(const Intent&, Context& context) const override {
        const ResolvedResource resource = postgres_resource(world_, context.arguments.at("database"));
        const std::string name = database_of(resource);
        PostgresConnection server =
            connect_postgres(world_, resource, context, {.maintenance = true, .read_only = true});
        Outputs outputs{{"exists", false},
                        {"reachable", false},
                        {"accepts_connections", false},
                        {"in_recovery", server.value("select pg_catalog.pg_is_in_recovery()") == "t"},
                        {"size", nullptr},
                        {"tables", nullptr},
                        {"rows_estimate", nullptr},
                        {"invalid_indexes", Json::array()},
                        {"amcheck", "not looked at"},
                        {"amcheck_skipped", 0}};
        Json damages = Json::array();
        if (const auto database = find_database(server, name)) {
            outputs["exists"] = true;
            outputs["accepts_connections"] = database->allows_connections;
            try {
                outputs["size"] = number_of(
                    server.value("select pg_catalog.pg_database_size($1::oid)", {std::to_string(database->oid)}));
            } catch (const Error& error) {
                note_damage(damages, "its size cannot be read", error);
            }
            look_inside(resource, context, outputs, damages);
        } else {
            damages.push_back("database '" + name + "' is missing");
        }
        outputs["damage"] = !damages.empty();
        outputs["damages"] = std::move(damages);
        return outputs;
    }

  private:
    // What the server says about the data is damage; that it went away, or that we had to stop, is not.
    static void note_damage(Json& damages, const std::string& what, const Error& error) {
        if (error.code == ErrorCode::cancelled || error.code == ErrorCode::timed_out ||
            error.code == ErrorCode::connection_lost) {
            throw Error(error);
        }
        damages.push_back(what + ": " + error.message);
    }

    void look_inside(const ResolvedResource& resource, Context& context, Outputs& outputs, Json& damages) const {
        std::optional<PostgresConnection> inside;
        try {
            inside.emplace(connect_postgres(world_, resource, context, {.read_only = true}));
        } catch (const Error& error) {
            if (error.code == ErrorCode::cancelled || error.code == ErrorCode::timed_out ||
                error.code == ErrorCode::refused)
                throw;
            damages.push_back("no session on it can be opened: " + error.message);
            return;
        }
        outputs["reachable"] = true;
        try {
            const PostgresRows counts = inside->query(
                "select count(*), coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint from pg_catalog.pg_class c "
                "join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'm') and " +
                std::string(user_schemas));
            const std::uint64_t tables = number_of(counts.rows.at(0).at(0));
            outputs["tables"] = tables;
            outputs["rows_estimate"] = number_of(counts.rows.at(0).at(1));
            if (tables == 0) damages.push_back("it holds no tables");

            const PostgresRows invalid = inside->query(
                "select i.indexrelid::pg_catalog.regclass::text from pg_catalog.pg_index i where not i.indisvalid or "
                "not i.indisready "
                "order by 1");
            for (const auto& row : invalid.rows) {
                outputs["invalid_indexes"].push_back(row[0].value_or(""));
                damages.push_back("index '" + row[0].value_or("") + "' is invalid");
            }
        } catch (const Error& error) {
            note_damage(damages, "its catalogue cannot be read", error);
        }
        check_structure(*inside, context, outputs, damages);
    }

    static void check_structure(PostgresConnection& inside, Context& context, Outputs& outputs, Json& damages) {
        const auto within = parse_duration(context.arguments.value("amcheck_within", "20s"));
        if (!within || *within <= Duration::zero()) return;
        const PostgresValue schema = inside.value(
            "select pg_catalog.quote_ident(n.nspname) from pg_catalog.pg_extension e join pg_catalog.pg_namespace n "
            "on n.oid = e.extnamespace where e.extname = 'amcheck'");
        if (!schema) return;
        // toast tables and the catalogue's own indexes too: a database with a damaged catalogue is damaged
        const PostgresRows relations = inside.query(
            "select c.oid, c.relkind, c.oid::pg_catalog.regclass::text from pg_catalog.pg_class c "
            "left join pg_catalog.pg_index i on i.indexrelid = c.oid left join pg_catalog.pg_am a on a.oid = c.relam "
            "where c.relpersistence <> 't' and (c.relkind in ('r', 't', 'm') and a.amname = 'heap' "
            "or c.relkind = 'i' and a.amname = 'btree' and i.indisvalid and i.indisready) order by c.relpages, c.oid");
        const bool has_heap_check =
            inside.value("select pg_catalog.to_regproc($1)", {*schema + ".verify_heapam"}).has_value();
        const auto end = std::chrono::steady_clock::now() + *within;
        Json found = Json::array();
        std::uint64_t skipped = 0;
        std::uint64_t looked = 0;
        for (const auto& row : relations.rows) {
            const auto left =
                std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
            if (left.count() <= 0) {
                ++skipped;
                continue;
            }
            const std::string relation = row[2].value_or("");
            const bool index = row[1] == "i";
            if (!index && !has_heap_check) continue;
            context.progress({.what = "checking '" + relation + "'",
                              .done = looked++,
                              .total = relations.rows.size(),
                              .unit = "relations"});
            try {
                inside.execute("SET statement_timeout TO " + std::to_string(left.count()));
                if (index) {
                    inside.query("select " + *schema + ".bt_index_check($1::oid::pg_catalog.regclass)", {row[0]});
                } else {
                    const PostgresRows problems = inside.query(
                        "select coalesce(blkno::text, '?'), msg from " + *schema +
                            ".verify_heapam(relation => $1::oid::pg_catalog.regclass, on_error_stop => true) limit 3",
                        {row[0]});
                    for (const auto& problem : problems.rows) {
                        found.push_back("table '" + relation + "', block " + problem[0].value_or("?") + ": " +
                                        problem[1].value_or(""));
                    }
                }
            } catch (const Error& error) {
                if (error.code == ErrorCode::timed_out && !sqlstate_of(error).empty()) {
                    ++skipped;
                } else if (error.code == ErrorCode::denied) {
                    outputs["amcheck"] = "not looked at";
                    inside.execute("SET statement_timeout TO 0");
                    return;
                } else if (error.code == ErrorCode::corrupt || error.code == ErrorCode::io_failed) {
                    found.push_back((index ? "index '" : "table '") + relation + "': " + error.message);
                } else {
                    throw;
                }
            }
        }
        inside.execute("SET statement_timeout TO 0");
        outputs["amcheck_skipped"] = skipped;
        for (const Json& each : found)
            damages.push_back(each);
        outputs["amcheck"] = found.empty() ? (looked == 0 ? Json("not looked at") : Json("ok")) : found;
    }

    const ActionWorld& world_;
    const ActionSpec spec_ = declare();
};

}  // namespace

std::unique_ptr<Action> postgres_assess(const ActionWorld& world) {
    return std::make_unique<Assess>(world);
}

}  // namespace lifeboat
