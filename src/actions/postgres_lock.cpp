#include "actions/postgres_lock.h"

#include "actions/postgres_catalogue.h"
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

}  // namespace

bool PostgresLock::still_held() {
    try {
        return session_.value("select 1") == "1";
    } catch (const Error&) {
        return false;
    }
}

std::unique_ptr<PostgresLock> lock_postgres(const ActionWorld& world, const ResolvedResource& resource,
                                            const std::string& run_id) {
    const SteadyTime deadline =
        std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::steady_clock::now()) +
        std::chrono::seconds(30);
    // not named after the run alone: ending what a dead runner left must not end the lock of the one that took over
    PostgresConnection session =
        connect_postgres(world, resource, "", {.stop = {}, .deadline = deadline},
                         {.database = "postgres", .settings = {{"application_name", "lifeboat-lock " + run_id}}});
    const std::string database = database_of(resource);
    const std::int64_t key = key_of(system_identifier(session), database);
    if (session.value("select pg_catalog.pg_try_advisory_lock($1::bigint)", {std::to_string(key)}) == "t") {
        session.set_patience({});
        return std::make_unique<PostgresLock>(std::move(session));
    }
    const auto bits = static_cast<std::uint64_t>(key);
    const PostgresRows holder = session.query(
        "select a.application_name, a.usename, coalesce(host(a.client_addr), 'this server'), a.pid, a.backend_start "
        "from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a on a.pid = l.pid "
        "where l.locktype = 'advisory' and l.granted and l.classid = $1::oid and l.objid = $2::oid and l.objsubid = 1 "
        "and l.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())",
        {std::to_string(bits >> 32U), std::to_string(bits & 0xffffffffU)});
    Error error{ErrorCode::locked, "database '" + database + "' on '" + session.where() + "' is locked by another run",
                "Wait until that run has ended, or look at it on its own machine."};
    if (!holder.rows.empty()) {
        const auto& row = holder.rows.front();
        const auto text = [&row](std::size_t column) { return row[column].value_or("unknown"); };
        error.message = "database '" + database + "' is locked by '" + text(0) + "' (user '" + text(1) + "' from " +
                        text(2) + ", since " + text(4) + ")";
        error.details = Json{{"holder",
                              {{"application", text(0)},
                               {"user", text(1)},
                               {"address", text(2)},
                               {"pid", text(3)},
                               {"since", text(4)}}}};
    }
    throw error;
}

}  // namespace lifeboat
