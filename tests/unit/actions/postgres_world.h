// A real server for the tests of this program: one throw-away cluster, a database for each test, and a world of
// resources on it.
#pragma once

#include <memory>
#include <string>

#include "actions/family.h"
#include "actions/postgres_catalogue.h"
#include "actions/postgres_family.h"
#include "actions/sql_family.h"
#include "unit/actions/deed_world.h"
#include "world/postgres_programs.h"
#include "world/scratch.h"

namespace lifeboat::test {

// Started when first asked for, destroyed when the program ends.
inline const ScratchPostgres& test_server() {
    struct Server {
        Server()
            : scratch(start_scratch_postgres(
                  {.folder = folder / "pg",
                   .nonce = "unit-test",
                   .password = Secret("pg-secret-0123456789"),
                   .settings = {{"wal_level", "logical"}, {"max_prepared_transactions", "5"}}})) {}
        ~Server() { destroy_scratch_postgres(scratch.folder); }
        ScratchFolder folder;
        ScratchPostgres scratch;
    };
    static const Server server;
    return server.scratch;
}

inline Resource postgres_resource_of(const ScratchPostgres& server, const std::string& database) {
    return {.name = "db",
            .type = "postgres",
            .fields = Json{{"host", server.host},
                           {"port", server.port},
                           {"database", database},
                           {"user", server.user},
                           {"password", Json{{"secret", "pw"}}},
                           {"sslmode", "prefer"},
                           {"maintenance_database", "postgres"}}};
}

// A database `shop` on the server, and the resource `db` that means it.
class PostgresWorld : public DeedWorld {
  public:
    explicit PostgresWorld(std::string database = "shop", std::optional<DrillMark> drill = {})
        : DeedWorld({{"db", postgres_resource_of(test_server(), database)}}, std::move(drill)),
          name(std::move(database)) {
        secrets.known["pw"] = "pg-secret-0123456789";
        PostgresConnection server(test_server().target());
        drop_all(server);
        server.execute("CREATE DATABASE " + quote_identifier(name));
        actions = postgres_actions(world());
        for (std::unique_ptr<Action>& action : sql_actions(world()))
            actions.push_back(std::move(action));
    }
    ~PostgresWorld() {
        try {
            PostgresConnection server(test_server().target());
            drop_all(server);
        } catch (const Error&) {
        }
    }

    std::string name;
    ActionList actions;
    static inline const Json db = {{"of", "db"}};

    const Action& operator[](std::string_view action) const { return action_named(actions, action); }

    PostgresConnection server() const { return PostgresConnection(test_server().target()); }
    PostgresConnection inside(const std::string& database) const {
        return PostgresConnection(test_server().target(database));
    }
    PostgresConnection inside() const { return inside(name); }
    std::string value(const std::string& database, const std::string& sql) const {
        return inside(database).value(sql).value_or("null");
    }
    std::vector<std::string> databases() const {
        std::vector<std::string> names;
        for (const auto& row :
             server()
                 .query("select datname from pg_database where not datistemplate and datname <> 'postgres' order by 1")
                 .rows) {
            names.push_back(*row[0]);
        }
        return names;
    }
    std::uint32_t oid(const std::string& database) const {
        PostgresConnection session = server();
        const auto found = find_database(session, database);
        return found ? found->oid : 0;
    }
    bool fenced(const std::string& database) const {
        PostgresConnection session = server();
        const auto found = find_database(session, database);
        return found && !found->allows_connections;
    }

    // Some tables with everything that a dump has to carry.
    void fill(int rows = 1000) const {
        PostgresConnection session = inside();
        session.execute(
            "create table customers(id serial primary key, name text not null, at timestamptz default '2026-01-01', "
            "notes text);"
            "create table orders(id bigint generated always as identity primary key, customer int references "
            "customers, total numeric, blob bytea, "
            "twice numeric generated always as (total * 2) stored);"
            "create index on orders(customer);"
            "create view big as select id from orders where total > 10;"
            "create function f() returns int language sql begin atomic select case when true then 1 end; end;"
            "create type mood as enum ('sad', 'happy');"
            "comment on table orders is 'a ''quoted''; comment with \\ backslash and $$';");
        session.execute(
            "insert into customers(name, notes) select 'customer ' || i, E'tab\\tnew\\nline \\\\ ' || i from "
            "generate_series(1, " +
            std::to_string(rows) + ") i");
        session.execute("insert into orders(customer, total, blob) select 1 + i % " + std::to_string(rows) +
                        ", i * 1.5, decode(md5(i::text), 'hex') from generate_series(1, " + std::to_string(rows) +
                        ") i");
    }

    // `pg_dump` of a database with these arguments into a new file or folder.
    std::filesystem::path dump(const std::vector<std::string>& arguments, const std::string& file,
                               std::string from = {}) const {
        const std::filesystem::path path = folder / file;
        PostgresTarget target = test_server().target(from.empty() ? name : from);
        const PostgresLogin login(target, folder.path());
        std::vector<std::string> all = arguments;
        all.insert(all.end(), {"-f", path.string()});
        run_child_checked(login.command(find_postgres_program("pg_dump", 15), all), {});
        return path;
    }

    std::string fingerprint(const std::string& database, const char* what = "digest") {
        return run((*this)["sql.fingerprint"], {{"database", {{"of", "db"}, {"database", database}}}}).at(what).dump();
    }

  private:
    static void drop_all(PostgresConnection& server) {
        const PostgresRows prepared = server.query("select gid, database from pg_prepared_xacts");
        for (const auto& row : prepared.rows) {
            PostgresConnection(test_server().target(*row[1])).execute("ROLLBACK PREPARED " + quote_literal(*row[0]));
        }
        server.query("select pg_drop_replication_slot(slot_name) from pg_replication_slots");
        for (const auto& row :
             server.query("select datname from pg_database where not datistemplate and datname <> 'postgres'").rows) {
            server.execute("DROP DATABASE " + quote_identifier(*row[0]) + " WITH (FORCE)");
        }
        for (const auto& row :
             server.query("select rolname from pg_roles where rolname !~ '^pg_' and rolname <> 'postgres'").rows) {
            server.execute("DROP OWNED BY " + quote_identifier(*row[0]) + "; DROP ROLE " + quote_identifier(*row[0]));
        }
    }
};

}  // namespace lifeboat::test
