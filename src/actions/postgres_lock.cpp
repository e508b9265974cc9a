#include "actions/postgres_lock.h"

#include "actions/postgres_catalogue.h"
#include "actions/postgres_connection.h"
#include "actions/waiting.h"
#include "base/sha256.h"

namespace lifeboat {

namespace {

std::int64_t key_of(const std::string& system, const std::string& database) {
    const Digest digest = sha256("lifeboat " + system + "/" + database);
    std::uint64_t key = 0;
    for (std::size_t i = 0; i < 8; ++i)
        key = key << 8U | digest[i];
    return static_cast<std::int64_t>(key);
}

class PostgresLock final : public Held {
  public:
    explicit PostgresLock(PostgresConnection session) : session_(std::move(session)) {}

  private:
    PostgresConnection session_;
};

// Who holds the advisory lock `key` of this database; no row when it has just been let go.
std::optional<std::vector<PostgresValue>> holder_of(PostgresConnection& session, std::int64_t key) {
    const auto bits = static_cast<std::uint64_t>(key);
    PostgresRows found = session.query(
        "select a.application_name, a.usename, coalesce(host(a.client_addr), 'this server'), a.pid, a.backend_start "
        "from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a on a.pid = l.pid "
        "where l.locktype = 'advisory' and l.granted and l.classid = $1::oid and l.objid = $2::oid and l.objsubid = 1 "
        "and l.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())",
        {std::to_string(bits >> 32U), std::to_string(bits & 0xffffffffU)});
    if (found.rows.empty()) return std::nullopt;
    return std::move(found.rows.front());
}

Error locked_by(const std::string& database, const std::vector<PostgresValue>& holder) {
    const auto text = [&holder](std::size_t column) { return holder[column].value_or("unknown"); };
    Error error{ErrorCode::locked,
                "database '" + database + "' is locked by '" + text(0) + "' (user '" + text(1) + "' from " + text(2) +
                    ", since " + text(4) + ")",
                "Wait until that run has ended, or look at it on its own machine."};
    error.details = Json{
        {"holder",
         {{"application", text(0)}, {"user", text(1)}, {"address", text(2)}, {"pid", text(3)}, {"since", text(4)}}}};
    return error;
}

}  // namespace

std::unique_ptr<Held> lock_postgres(const ActionWorld& world, const ResolvedResource& resource,
                                    const std::string& run_id, std::set<std::int64_t>& taken) {
    const SteadyTime deadline = steady_now() + std::chrono::seconds(30);
    // not named after the run alone: ending what a dead runner left must not end the lock of the one that took over
    const std::string name = postgres_name("lifeboat-lock " + run_id, "");
    PostgresConnection session = connect_postgres(world, resource, "", {.stop = {}, .deadline = deadline},
                                                  {.database = "postgres", .settings = {{"application_name", name}}});
    const std::string database = database_of(resource);
    const std::int64_t key = key_of(system_identifier(session), database);
    if (taken.contains(key)) return nullptr;
    Context context;
    context.deadline = deadline;
    while (session.value("select pg_catalog.pg_try_advisory_lock($1::bigint)", {std::to_string(key)}) != "t") {
        if (const auto holder = holder_of(session, key)) {
            if ((*holder)[0] != name) throw locked_by(database, *holder);
            session.value("select pg_catalog.pg_terminate_backend($1::int)", {(*holder)[3].value_or("0")});
        }
        wait_for(context, std::chrono::milliseconds(10));
    }
    session.set_patience({});
    taken.insert(key);
    return std::make_unique<PostgresLock>(std::move(session));
}

}  // namespace lifeboat
