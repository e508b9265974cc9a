#include "actions/postgres_staged.h"

#include "actions/postgres_family.h"
#include "actions/waiting.h"

namespace lifeboat {

std::string free_staged_name(PostgresConnection& session, const std::string& live, const std::string& run_id) {
    const std::string suffix = "_lifeboat_" + short_run_id(run_id);
    std::string name = postgres_name(live, suffix);
    for (int number = 2; find_database(session, name); ++number)
        name = postgres_name(live, suffix + "_" + std::to_string(number));
    return name;
}

std::string clauses_like(PostgresConnection& session, const std::string& live) {
    // by name, not by column: what the columns of the locale are called differs between versions
    const PostgresRows rows = session.query(
        "select pg_catalog.to_jsonb(d), pg_catalog.pg_encoding_to_char(d.encoding), t.spcname from "
        "pg_catalog.pg_database d "
        "join pg_catalog.pg_tablespace t on t.oid = d.dattablespace where d.datname = $1",
        {live});
    if (rows.rows.empty()) return {};
    const Json database = parse_json(rows.rows[0][0].value_or("{}"), "the catalogue's row of '" + live + "'");
    const auto text = [&database](const char* key) {
        const auto found = database.find(key);
        return found != database.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    std::string clauses = " ENCODING " + quote_literal(rows.rows[0][1].value_or("UTF8")) + " LC_COLLATE " +
                          quote_literal(text("datcollate")) + " LC_CTYPE " + quote_literal(text("datctype"));
    const std::string locale = !text("datlocale").empty() ? text("datlocale") : text("daticulocale");
    if (text("datlocprovider") == "i") clauses += " LOCALE_PROVIDER icu ICU_LOCALE " + quote_literal(locale);
    if (text("datlocprovider") == "b") clauses += " LOCALE_PROVIDER builtin BUILTIN_LOCALE " + quote_literal(locale);
    // naming even the default one takes a privilege
    const std::string tablespace = rows.rows[0][2].value_or("pg_default");
    return tablespace == "pg_default" ? clauses : clauses + " TABLESPACE " + quote_identifier(tablespace);
}

std::uint32_t create_staged(PostgresConnection& session, const std::string& name, const std::string& clauses) {
    const std::string quoted = quote_identifier(name);
    session.execute("CREATE DATABASE " + quoted + " TEMPLATE template0" + clauses);
    session.execute("REVOKE ALL PRIVILEGES ON DATABASE " + quoted + " FROM PUBLIC");
    const auto made = find_database(session, name);
    if (!made) throw Error{ErrorCode::moved, "database '" + name + "' is gone right after it was created"};
    return made->oid;
}

namespace {

// Sessions of this run that make this database; the run's other sessions have other things to do.
void end_creation(PostgresConnection& session, const std::string& name, const Context& context) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    for (;;) {
        const PostgresRows rows = session.query(
            "select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity where application_name = $1 "
            "and pid <> pg_catalog.pg_backend_pid() and state = 'active' and query like 'CREATE DATABASE %' "
            "and pg_catalog.strpos(query, $2) > 0",
            {postgres_name(application_name(context.run_id), ""), quote_identifier(name)});
        if (rows.rows.empty()) return;
        if (std::chrono::steady_clock::now() >= give_up) {
            throw Error{ErrorCode::busy, "the creation of database '" + name + "' does not end"};
        }
        wait_for(context, std::chrono::milliseconds(10));
    }
}

}  // namespace

bool drop_staged(PostgresConnection& session, const std::string& name, std::uint32_t oid, const Context& context) {
    end_creation(session, name, context);
    const auto found = find_database(session, name);
    if (oid != 0) {
        if (const auto renamed = find_database(session, oid); renamed && renamed->name != name) {
            throw Error{ErrorCode::refused,
                        "the restored database is called '" + renamed->name + "' now, so it is not dropped",
                        "It was swapped in; undo the swap first."};
        }
        if (found && found->oid != oid) {
            throw Error{ErrorCode::refused, "database '" + name + "' is not the one that was restored: OID " +
                                                std::to_string(found->oid) + " instead of " + std::to_string(oid)};
        }
    }
    if (!found) return false;
    if (found->allows_connections) allow_connections(session, name, false);
    end_sessions(session, found->oid, context);
    session.execute("DROP DATABASE " + quote_identifier(name) + " WITH (FORCE)");
    return true;
}

}  // namespace lifeboat
