#include "actions/postgres_catalogue.h"
#include "actions/postgres_connection.h"
#include "actions/waiting.h"
#include "base/text.h"
#include "world/machine.h"
#include "world/process.h"

namespace lifeboat {

namespace {

// The same server under its several names: sockets and loopback addresses are this machine.
std::string canonical_host(const std::string& host) {
    std::string lower = host;
    for (char& c : lower)
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    while (lower.ends_with('.'))
        lower.pop_back();
    const bool local =
        lower.empty() || lower.front() == '/' || lower == "localhost" || lower == "::1" || lower.starts_with("127.");
    return local ? machine_id() : lower;
}

}  // namespace

TargetIdentity identify_postgres(const ActionWorld& world, const ResolvedResource& resource) {
    TargetIdentity identity;
    identity.resource = resource.name;
    const std::string database = database_of(resource);
    const std::string host = resource.fields.value("host", "localhost");
    const int port = resource.fields.value("port", 5432);
    identity.declared = "postgres " + canonical_host(host) + ":" + std::to_string(port) + "/" + database;
    std::optional<PostgresConnection> session;
    try {
        session.emplace(connect_postgres(world, resource, "",
                                         {.stop = {}, .deadline = steady_now() + std::chrono::seconds(10)},
                                         {.maintenance = true, .read_only = true}));
    } catch (const Error& error) {
        identity.unreached = error;
        return identity;
    }
    try {
        const std::string system = system_identifier(*session);
        const bool in_recovery = session->value("select pg_catalog.pg_is_in_recovery()") == "t";
        identity.measured =
            "postgres system " + system + (in_recovery ? " in recovery" : " primary") + ", database " + database;
        identity.facts = Json{{"system_identifier", system}, {"in_recovery", in_recovery}, {"database", database}};
    } catch (const Error&) {
        identity.measured.reset();  // it does not tell this role: the declared identity is what is left
    }
    return identity;
}

std::vector<std::string> end_postgres_orphans(const ActionWorld& world, const ResolvedResource& resource,
                                              const std::string& run_id) {
    PostgresConnection session = connect_postgres(
        world, resource, "", {.stop = {}, .deadline = steady_now() + std::chrono::seconds(60)}, {.maintenance = true});
    // the server keeps 63 bytes of the name
    const std::string name = postgres_name(application_name(run_id), "");
    std::map<std::string, std::string> ended;
    Context context;
    const SteadyTime give_up = steady_now() + std::chrono::seconds(30);
    for (;;) {
        const PostgresRows rows = session.query(
            "select pid, coalesce(datname, ''), pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity "
            "where application_name = $1 and pid <> pg_catalog.pg_backend_pid()",
            {name});
        if (rows.rows.empty()) break;
        for (const auto& row : rows.rows) {
            ended.emplace(row[0].value_or(""), "session " + row[0].value_or("") + " of '" + name + "' on database '" +
                                                   row[1].value_or("") + "'");
        }
        if (steady_now() >= give_up) {
            throw Error{ErrorCode::busy, counted(rows.rows.size(), "session") + " of '" + name + "' did not end on '" +
                                             session.where() + "'"};
        }
        wait_for(context, std::chrono::milliseconds(10));
    }
    std::vector<std::string> lines;
    lines.reserve(ended.size());
    for (auto& [pid, line] : ended)
        lines.push_back(std::move(line));
    return lines;
}

}  // namespace lifeboat
