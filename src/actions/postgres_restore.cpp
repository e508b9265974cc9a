#include <set>

#include "actions/postgres_connection.h"
#include "actions/postgres_dump.h"
#include "actions/postgres_family.h"
#include "actions/postgres_load.h"
#include "actions/postgres_server_facts.h"
#include "actions/postgres_staged.h"
#include "base/text.h"
#include "world/files.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

ActionSpec declare() {
    ActionSpec spec;
    spec.name = "postgres.restore";
    spec.summary = "Load a dump into a new database beside the live one";
    spec.doc =
        "Proves that the dump is whole (an archive is read to its end, a plain dump needs pg_dump's last line) and "
        "that it stays inside "
        "one database, then loads it into a new database with the live one's encoding and locale, which nobody else "
        "may connect to. "
        "Formats: custom, directory, tar, plain and gzipped plain, told by their content. The first error ends the "
        "load; what is left "
        "out by policy (owners that do not exist) is counted by class. Undoing drops the new database. The live one is "
        "not touched.";
    spec.parameters = {
        {.name = "from",
         .type = ValueType::path,
         .doc = "The dump: a file, or the folder of the directory format.",
         .required = true},
        {.name = "beside",
         .type = ValueType::resource,
         .doc = "The database it belongs to; the new one is made on the same server.",
         .required = true,
         .kind = "postgres",
         .target = true},
        {.name = "jobs",
         .type = ValueType::integer,
         .doc = "Sessions that load at the same time (custom and directory).",
         .default_value = 2},
        {.name = "owner",
         .doc = "'keep' gives objects their owners and privileges; 'none' leaves everything to the role that restores.",
         .default_value = "keep",
         .choices = {"keep", "none"}},
        {.name = "tolerate",
         .type = ValueType::list,
         .doc = "Classes of what may be left out: missing_role (owner or grantee does not exist), extension_comment "
                "(only a "
                "superuser may set it), not_permitted (an owner that this role may not give).",
         .default_value = Json::array({"missing_role", "extension_comment"}),
         .element = ValueType::text},
        {.name = "newer_dump",
         .doc = "What to do with a dump of a newer major version than the server's.",
         .default_value = "refuse",
         .choices = {"refuse", "try"}},
        {.name = "maintenance_work_mem",
         .type = ValueType::size,
         .doc = "Memory for building each index.",
         .default_value = "256MiB"},
        {.name = "analyze",
         .type = ValueType::boolean,
         .doc = "Gather the planner's statistics at the end.",
         .default_value = true},
    };
    spec.outputs = {
        {.name = "database", .type = ValueType::resource, .doc = "The new database, as a derived resource."},
        {.name = "format", .doc = "custom, directory, tar or plain."},
        {.name = "tables", .type = ValueType::integer, .doc = "Tables in it."},
        {.name = "size", .type = ValueType::integer, .doc = "Bytes on disk."},
        {.name = "seconds", .type = ValueType::number, .doc = "The load took so long, proof and statistics included."},
        {.name = "tolerated", .type = ValueType::map, .doc = "What was left out: class and number."},
        {.name = "dumped_from",
         .type = ValueType::integer,
         .doc = "Major version of the server the dump was made on; null: it does not say."},
        {.name = "findings", .type = ValueType::list, .doc = "What to look at: sequences behind their column."},
    };
    spec.effect = Effect::stage;
    spec.errors = {
        {ErrorCode::moved, true},         {ErrorCode::not_found, true},       {ErrorCode::corrupt, true},
        {ErrorCode::incomplete, true},    {ErrorCode::unsupported, true},     {ErrorCode::dump_leaves_database, true},
        {ErrorCode::refused, true},       {ErrorCode::program_missing, true}, {ErrorCode::unreachable, true},
        {ErrorCode::denied, false},       {ErrorCode::busy, false},           {ErrorCode::disk_full, false},
        {ErrorCode::sql_failed, false},   {ErrorCode::child_failed, false},   {ErrorCode::connection_lost, false},
        {ErrorCode::check_failed, false}, {ErrorCode::io_failed, false}};
    spec.example =
        "- id: restore\n  phase: restore\n  uses: postgres.restore\n  with: {from: \"${{ steps.fetch.outputs.path "
        "}}\", beside: db}\n";
    return spec;
}

enum class Class { missing_role, extension_comment, not_permitted };

std::string name_of(Class which) {
    switch (which) {
        case Class::missing_role:
            return "missing_role";
        case Class::extension_comment:
            return "extension_comment";
        case Class::not_permitted:
            return "not_permitted";
    }
    return "";
}

// What was left out, and whether it may be.
class Tolerance {
  public:
    explicit Tolerance(const Json& allowed) {
        if (!allowed.is_array()) return;
        for (const Json& each : allowed) {
            if (each.is_string()) allowed_.insert(each.get<std::string>());
        }
    }
    void count(Class which, const std::string& what) {
        if (!allowed_.contains(name_of(which))) {
            throw Error{ErrorCode::refused, "the dump holds what cannot be restored as it is: " + what,
                        "Put it right on the server, say 'owner: none', or tolerate '" + name_of(which) + "'."};
        }
        ++counts_[name_of(which)];
    }
    Json counts() const { return counts_; }

  private:
    std::set<std::string> allowed_;
    std::map<std::string, std::uint64_t> counts_;
};

// A dump that was proven, and what is loaded of it.
struct ProvenDump {
    PostgresDump dump;
    ArchiveContents archive;
    PlainDump plain;

    bool is_plain() const { return dump.format == PostgresDump::Format::plain; }
    int server_major() const { return is_plain() ? plain.server_major : archive.server_major; }
    std::vector<OptionalStatement>& optional() { return is_plain() ? plain.optional : archive.optional; }
};

std::string first_missing(const std::vector<std::string>& roles, const PostgresServerFacts& facts) {
    for (const std::string& role : roles) {
        if (!facts.roles.contains(role)) return role;
    }
    return {};
}

class Restore final : public Action {
  public:
    explicit Restore(const ActionWorld& world) : world_(world) {}
    const ActionSpec& spec() const override { return spec_; }

    Survey survey(Context& context) const override { return survey_postgres_restore(world_, context); }

    Intent prepare(Context& context) const override {
        const ResolvedResource resource = postgres_resource(world_, context.arguments.at("beside"));
        const fs::path from = context.arguments.at("from").get<std::string>();
        const PostgresDump dump = recognise_dump(from);
        PostgresConnection session = connect_maintenance(world_, resource, context);
        const std::string live = database_of(resource);
        return {{"database", free_staged_name(session, live, context.run_id)},
                {"like", clauses_like(session, live)},
                {"server", system_identifier(session)},
                {"from", from.string()},
                {"format", to_text(dump.format)},
                {"bytes", dump.size}};
    }

    Outputs run(const Intent& intent, Context& context) const override {
        const SteadyTime began = context.clock->steady();
        const ResolvedResource resource = postgres_resource(world_, context.arguments.at("beside"));
        const std::string name = intent.at("database").get<std::string>();
        const PostgresDump dump = recognise_dump(intent.at("from").get<std::string>());
        PostgresConnection session = connect_maintenance(world_, resource, context);
        if (system_identifier(session) != intent.at("server").get<std::string>()) {
            throw Error{ErrorCode::moved, "'" + session.where() + "' is another server now"};
        }
        if (find_database(session, name)) throw Error{ErrorCode::moved, "there is a database '" + name + "' already"};

        const PostgresServerFacts facts = server_facts(session);
        ProvenDump proven = prove(dump, database_of(resource), context);
        require_versions(proven, facts, context);
        Tolerance tolerance(context.arguments.value("tolerate", Json()));
        const bool keep_owners = context.arguments.value("owner", "keep") == "keep";
        std::vector<OptionalStatement> afterwards;
        const std::vector<ByteRange> left_out = choose_optional(proven, facts, keep_owners, tolerance, afterwards);

        context.progress({.what = "creating database '" + name + "'"});
        const std::uint32_t oid = create_staged(session, name, intent.at("like").get<std::string>());
        context.note("oid", oid);

        PostgresLoad load;
        load.target = postgres_target(world_, resource, context.run_id);
        load.target.database = name;
        load.server_major = facts.major;
        load.jobs = std::max(1, context.arguments.value("jobs", 2));
        load.settings = session_settings(facts, context);
        load.look = look_at_load(resource, context, oid, name);
        if (proven.is_plain()) {
            load_plain(load, proven.dump, ranges_to_load(proven.plain, left_out), context);
            if (proven.dump.path != dump.path) fs::remove(proven.dump.path);
        } else {
            load_archive(
                load, proven.dump, proven.archive,
                [&facts](std::string_view line) {
                    return !facts.superuser && line.find(" COMMENT - EXTENSION ") != std::string_view::npos;
                },
                context);
        }
        return finish(resource, context, proven, afterwards, tolerance, oid, began);
    }

    std::string undo(const Intent& intent, const Notes& notes, Context& context) const override {
        const ResolvedResource resource = postgres_resource(world_, context.arguments.at("beside"));
        PostgresConnection session = connect_maintenance(world_, resource, context);
        const std::string name = intent.at("database").get<std::string>();
        const auto noted = notes.find("oid");
        const std::uint32_t oid = noted != notes.end() ? noted->second.get<std::uint32_t>() : 0;
        std::error_code ignored;
        fs::remove(context.workspace / "unpacked.sql", ignored);
        return drop_staged(session, name, oid, context) ? "dropped database '" + name + "'" : std::string();
    }

  private:
    static ProvenDump prove(const PostgresDump& dump, const std::string& database, Context& context) {
        ProvenDump proven;
        if (dump.format == PostgresDump::Format::plain) {
            proven.dump = unpacked(dump, context);
            proven.plain = prove_plain(proven.dump, database, context);
        } else {
            proven.dump = dump;
            proven.archive = prove_archive(dump, context);
        }
        return proven;
    }

    // R25: the versions and extensions that the dump itself names.
    static void require_versions(const ProvenDump& proven, const PostgresServerFacts& facts, const Context& context) {
        if (proven.server_major() > facts.major && context.arguments.value("newer_dump", "refuse") != "try") {
            throw Error{ErrorCode::unsupported,
                        "dump '" + proven.dump.name() + "' was made on PostgreSQL " +
                            std::to_string(proven.server_major()) + ", the server is version " +
                            std::to_string(facts.major),
                        "Restore it on a newer server, or say 'newer_dump: try'."};
        }
        for (const std::string& extension : proven.archive.extensions) {
            if (!facts.extensions.contains(extension)) {
                throw Error{ErrorCode::unsupported,
                            "dump '" + proven.dump.name() + "' needs the extension '" + extension +
                                "', which the server does not have",
                            "Install the extension's package on the server."};
            }
        }
    }

    // Owners and privileges of an archive are given after the load, one by one; those of a plain dump are read by psql
    // unless left out.
    static std::vector<ByteRange> choose_optional(ProvenDump& proven, const PostgresServerFacts& facts,
                                                  bool keep_owners, Tolerance& tolerance,
                                                  std::vector<OptionalStatement>& afterwards) {
        std::vector<ByteRange> left_out;
        for (OptionalStatement& statement : proven.optional()) {
            bool leave_out = false;
            switch (statement.kind) {
                case OptionalStatement::Kind::transaction:
                case OptionalStatement::Kind::of_database:
                    leave_out = true;
                    break;
                case OptionalStatement::Kind::owner:
                case OptionalStatement::Kind::privilege:
                    leave_out = !keep_owners;
                    if (keep_owners) {
                        if (const std::string role = first_missing(statement.roles, facts); !role.empty()) {
                            tolerance.count(Class::missing_role, "role '" + role + "' does not exist");
                            leave_out = true;
                        } else if (!proven.is_plain()) {
                            afterwards.push_back(statement);
                        }
                    }
                    break;
                case OptionalStatement::Kind::extension_comment:
                    if (!facts.superuser) {
                        tolerance.count(Class::extension_comment, "only a superuser may comment on an extension");
                        leave_out = true;
                    }
                    break;
            }
            if (leave_out) left_out.push_back(statement.range);
        }
        return left_out;
    }

    // Only what is safe for a database that nobody uses yet, on a server that others do use.
    static std::map<std::string, std::string> session_settings(const PostgresServerFacts& facts,
                                                               const Context& context) {
        const auto memory = parse_bytes(context.arguments.value("maintenance_work_mem", "256MiB"));
        std::map<std::string, std::string> settings{{"synchronous_commit", "off"},
                                                    {"statement_timeout", "0"},
                                                    {"lock_timeout", "0"},
                                                    {"idle_in_transaction_session_timeout", "0"}};
        if (memory)
            settings["maintenance_work_mem"] = std::to_string(std::max<std::uint64_t>(1, memory->count >> 20U)) + "MB";
        if (facts.superuser && facts.lz4) settings["wal_compression"] = "lz4";
        return settings;
    }

    // Moves when the database grows, rows come in or an index is built; a session that works without waiting for a lock
    // counts too (checking foreign keys shows nothing else).
    std::function<std::optional<Progress>()> look_at_load(const ResolvedResource& resource, const Context& context,
                                                          std::uint32_t oid, const std::string& name) const {
        struct State {
            std::optional<PostgresConnection> session;
            std::string before;
        };
        const auto state = std::make_shared<State>();
        return [this, resource, run_id = context.run_id, stop = context.stop, oid, name,
                state]() -> std::optional<Progress> {
            if (!state->session) {
                state->session.emplace(connect_postgres(world_, resource, run_id, {.stop = stop},
                                                        {.maintenance = true, .read_only = true}));
            }
            const PostgresRows rows = state->session->query(
                "select pg_catalog.pg_database_size($1::oid), "
                "(select coalesce(sum(bytes_processed), 0) from pg_catalog.pg_stat_progress_copy where datid = "
                "$1::oid), "
                "(select coalesce(sum(blocks_done + tuples_done), 0) from pg_catalog.pg_stat_progress_create_index "
                "where datid = $1::oid), "
                "(select count(*) from pg_catalog.pg_stat_activity where datid = $1::oid and state = 'active' "
                "and wait_event_type is distinct from 'Lock')",
                {std::to_string(oid)});
            const auto& row = rows.rows.at(0);
            const std::string now = row[0].value_or("") + "/" + row[1].value_or("") + "/" + row[2].value_or("");
            const bool working = number_of(row[3]) > 0;
            if (now == state->before && !working) return std::nullopt;
            state->before = now;
            return Progress{.what = "loading into '" + name + "'", .done = number_of(row[0])};
        };
    }

    Outputs finish(const ResolvedResource& resource, Context& context, const ProvenDump& proven,
                   const std::vector<OptionalStatement>& afterwards, Tolerance& tolerance, std::uint32_t oid,
                   SteadyTime began) const {
        const std::string name = context_database(resource, context, oid);
        PostgresConnection inside = connect_postgres(world_, resource, context,
                                                     {.database = name, .settings = {{"synchronous_commit", "off"}}});
        std::uint64_t given = 0;
        for (const OptionalStatement& statement : afterwards) {
            if (given++ % 100 == 0) {
                context.progress({.what = "giving objects their owners",
                                  .done = given,
                                  .total = afterwards.size(),
                                  .unit = "statements"});
            }
            try {
                inside.execute(statement.text);
            } catch (const Error& error) {
                const std::string state = sqlstate_of(error);
                if (state != "42501" && state != "42704") throw;
                tolerance.count(state == "42501" ? Class::not_permitted : Class::missing_role, error.message);
            }
        }
        if (context.arguments.value("analyze", true)) {
            context.progress({.what = "gathering statistics of '" + name + "'"});
            inside.execute("ANALYZE");
        }
        const std::uint64_t tables = number_of(inside.value(
            "select count(*) from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace "
            "where c.relkind in ('r', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"));
        const Json findings = sequences_behind(inside);
        const std::uint64_t size =
            number_of(inside.value("select pg_catalog.pg_database_size($1::oid)", {std::to_string(oid)}));
        // the load was committed lazily: from here on it is on disk
        inside.execute("SET synchronous_commit TO on; BEGIN; SELECT pg_catalog.pg_current_xact_id(); COMMIT");

        Json database = context.arguments.at("beside");
        database["database"] = name;
        const std::chrono::duration<double> seconds = context.clock->steady() - began;
        return {{"database", std::move(database)},
                {"format", to_text(proven.dump.format)},
                {"tables", tables},
                {"size", size},
                {"seconds", seconds.count()},
                {"tolerated", tolerance.counts()},
                {"dumped_from", proven.server_major() > 0 ? Json(proven.server_major()) : Json()},
                {"findings", findings}};
    }

    std::string context_database(const ResolvedResource& resource, Context& context, std::uint32_t oid) const {
        PostgresConnection session = connect_maintenance(world_, resource, context);
        const auto database = find_database(session, oid);
        if (!database) throw Error{ErrorCode::moved, "the database with OID " + std::to_string(oid) + " is gone"};
        return database->name;
    }

    // A sequence that lags behind its column gives numbers that are taken (R25).
    static Json sequences_behind(PostgresConnection& inside) {
        Json findings = Json::array();
        const PostgresRows owned = inside.query(
            "select pg_catalog.format('%I.%I', sn.nspname, s.relname), pg_catalog.format('%I.%I', tn.nspname, "
            "t.relname), "
            "pg_catalog.quote_ident(a.attname) from pg_catalog.pg_class s join pg_catalog.pg_namespace sn on sn.oid = "
            "s.relnamespace "
            "join pg_catalog.pg_sequence q on q.seqrelid = s.oid and q.seqincrement > 0 "
            "join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = s.oid "
            "and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.deptype in ('a', 'i') "
            "join pg_catalog.pg_class t on t.oid = d.refobjid join pg_catalog.pg_namespace tn on tn.oid = "
            "t.relnamespace "
            "join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum = d.refobjsubid "
            // only where an index answers at once
            "where exists (select from pg_catalog.pg_index i where i.indrelid = t.oid and i.indkey[0] = a.attnum and "
            "i.indpred is null)");
        for (const auto& row : owned.rows) {
            const std::string sequence = row[0].value_or("");
            const std::string column = row[2].value_or("");
            const PostgresRows found =
                inside.query("select m, last_value from " + sequence + ", (select max(" + column +
                             ")::bigint as m from " + row[1].value_or("") + ") t where m > last_value");
            for (const auto& behind : found.rows) {
                findings.push_back("sequence '" + sequence + "' stands at " + behind[1].value_or("") + ", column " +
                                   row[1].value_or("") + "." + column + " at " + behind[0].value_or(""));
            }
        }
        return findings;
    }

    const ActionWorld& world_;
    const ActionSpec spec_ = declare();
};

}  // namespace

std::unique_ptr<Action> postgres_restore(const ActionWorld& world) {
    return std::make_unique<Restore>(world);
}

}  // namespace lifeboat
