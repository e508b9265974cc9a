#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "backup/dump.h"
#include "base/error.h"
#include "base/text.h"
#include "world/files.h"
#include "world/postgres_programs.h"

namespace lifeboat {

namespace {

constexpr std::string_view utc_format = R"('YYYY-MM-DD"T"HH24:MI:SS.US"Z"')";

// pg_dump says nothing while it copies a large table: its output's growth is the only sign of life.
class GrowthWatch {
  public:
    GrowthWatch(const BackupWork& work, std::string what, std::filesystem::path path)
        : thread_([&work, what = std::move(what), path = std::move(path)](const std::stop_token& stop) {
              std::mutex mutex;
              std::condition_variable_any tick;
              std::uint64_t last = 0;
              std::unique_lock lock(mutex);
              while (!tick.wait_for(lock, stop, std::chrono::milliseconds(500), [] { return false; })) {
                  if (stop.stop_requested()) return;
                  const std::uint64_t size = size_at(path);
                  if (size != last) work.progress(what, size, std::nullopt);
                  last = size;
              }
          }) {}

  private:
    static std::uint64_t size_at(const std::filesystem::path& path) {
        std::error_code failed;
        if (!std::filesystem::is_directory(path, failed)) {
            const auto size = std::filesystem::file_size(path, failed);
            return failed ? 0 : size;
        }
        std::uint64_t total = 0;
        for (auto entry = std::filesystem::directory_iterator(path, failed);
             !failed && entry != std::filesystem::directory_iterator(); entry.increment(failed)) {
            std::error_code gone;
            const auto size = entry->file_size(gone);
            if (!gone) total += size;
        }
        return total;
    }

    std::jthread thread_;
};

std::string file_ending(const std::string& format) {
    if (format == "custom") return ".dump";
    if (format == "tar") return ".tar";
    if (format == "plain") return ".sql";
    return {};
}

// Facts that need no snapshot, or may be denied to an ordinary role: null then.
Json optional_value(PostgresConnection& connection, std::string_view sql) {
    try {
        const PostgresValue value = connection.value(sql);
        return value ? Json(*value) : Json(nullptr);
    } catch (const Error& error) {
        if (error.code == ErrorCode::denied || error.code == ErrorCode::sql_failed) return nullptr;
        throw;
    }
}

Json names(const PostgresRows& found) {
    Json list = Json::array();
    for (const auto& row : found.rows)
        if (row.at(0)) list.push_back(*row.at(0));
    return list;
}

bool is_dumped(const PostgresSource& source, const std::string& schema, const std::string& table) {
    const auto& [schemas, excluded] = std::tie(source.schemas, source.exclude_tables);
    if (!schemas.empty() && std::find(schemas.begin(), schemas.end(), schema) == schemas.end()) return false;
    return std::find(excluded.begin(), excluded.end(), table) == excluded.end();
}

// Inside the snapshot that pg_dump will use, so that a restore can be compared with them exactly.
Json facts_of(PostgresConnection& connection, const PostgresSource& source, const BackupWork& work) {
    Json facts;
    const PostgresRows database = connection.query(
        "select current_database(), pg_encoding_to_char(encoding), datcollate, datctype, pg_get_userbyid(datdba),"
        " current_setting('server_version'), pg_is_in_recovery()::text,"
        " (case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end)::text"
        " from pg_database where datname = current_database()");
    const char* fields[] = {"database", "encoding",       "collate",     "ctype",
                            "owner",    "server_version", "in_recovery", "lsn"};
    for (std::size_t i = 0; i < std::size(fields); ++i) {
        const PostgresValue& value = database.rows.at(0).at(i);
        facts[fields[i]] = value ? Json(*value) : Json(nullptr);
    }
    facts["in_recovery"] = facts["in_recovery"] == "true";

    facts["extensions"] = Json::object();
    for (const auto& row : connection.query("select extname, extversion from pg_extension").rows)
        facts["extensions"][*row.at(0)] = *row.at(1);
    facts["roles"] = names(
        connection.query("select distinct rolname from pg_shdepend join pg_roles on pg_roles.oid = refobjid"
                         " where refclassid = 'pg_authid'::regclass and dbid in (0, (select oid from pg_database where "
                         "datname = current_database()))"
                         " and (dbid <> 0 or objid = (select oid from pg_database where datname = current_database()))"
                         " order by 1"));

    facts["rows"] = Json::object();
    const PostgresRows tables = connection.query(
        "select nspname, relname from pg_class join pg_namespace on pg_namespace.oid = relnamespace"
        " where relkind = 'r' and relpersistence <> 't' and nspname !~ '^pg_' and nspname <> 'information_schema'"
        " order by 1, 2");
    for (const auto& row : tables.rows) {
        const std::string name = *row.at(0) + "." + *row.at(1);
        if (!is_dumped(source, *row.at(0), name)) continue;
        work.progress("counting the rows of '" + name + "'", std::nullopt, std::nullopt);
        const PostgresValue count = connection.value("select count(*) from only " + quote_identifier(*row.at(0)) + "." +
                                                     quote_identifier(*row.at(1)));
        facts["rows"][name] = std::stoull(count.value_or("0"));
    }
    return facts;
}

}  // namespace

ManifestComponent dump_postgres(const std::string& name, const PostgresSource& source,
                                const std::filesystem::path& folder, const BackupWork& work) {
    PostgresConnection connection = source.connect();
    const PostgresProgram program = find_postgres_program("pg_dump", connection.server_major());
    const Json system = optional_value(connection, "select system_identifier from pg_control_system()");
    const Json timeline = optional_value(connection, "select timeline_id from pg_control_checkpoint()");

    connection.execute("set row_security = off");
    connection.execute("begin isolation level repeatable read read only");
    // now() is when the transaction began; the snapshot is taken by its first query, which is this one. A standby is as
    // old as the last commit that it has replayed.
    const PostgresRows instant = connection.query(
        "select to_char((case when pg_is_in_recovery() then least(now(), pg_last_xact_replay_timestamp()) else now() "
        "end)"
        " at time zone 'utc', " +
        std::string(utc_format) +
        "), pg_export_snapshot(),"
        " (pg_is_in_recovery() and pg_last_xact_replay_timestamp() is null)::text");
    if (instant.rows.at(0).at(2) == "true")
        throw Error{ErrorCode::unsupported,
                    "the standby '" + connection.where() +
                        "' has replayed no commit since it was started, so the age of its data is unknown",
                    "Take the backup from the primary, or after something was committed there."};
    const std::string snapshot = *instant.rows.at(0).at(1);

    ManifestComponent component{.name = name, .kind = ComponentKind::postgres, .format = source.format};
    const auto consistent_at = parse_timestamp(*instant.rows.at(0).at(0));
    if (!consistent_at) throw Error{ErrorCode::protocol_failed, "the server '" + connection.where() + "' told no time"};
    component.consistent_at = *consistent_at;
    component.facts = facts_of(connection, source, work);
    component.facts["system_identifier"] = system;
    component.facts["timeline"] = timeline;
    component.facts["dump_major"] = program.major;

    make_directories(folder / name);
    const bool directory = source.format == "directory";
    const std::filesystem::path path = directory ? folder / name : folder / name / (name + file_ending(source.format));
    std::vector<std::string> arguments{"--format=" + source.format, "--file=" + path.string(), "--snapshot=" + snapshot,
                                       "--verbose"};
    if (source.format == "custom" || directory) arguments.emplace_back("--compress=1");
    if (directory)
        arguments.push_back("--jobs=" + std::to_string(source.jobs > 0
                                                           ? source.jobs
                                                           : std::clamp(std::thread::hardware_concurrency(), 1U, 4U)));
    for (const std::string& schema : source.schemas)
        arguments.push_back("--schema=" + quote_identifier(schema));
    for (const std::string& table : source.exclude_tables) {
        const std::size_t dot = table.find('.');
        arguments.push_back("--exclude-table=" + quote_identifier(table.substr(0, dot)) + "." +
                            quote_identifier(table.substr(dot + 1)));
    }
    if (!source.schemas.empty()) component.facts["schemas"] = source.schemas;
    if (!source.exclude_tables.empty()) component.facts["excluded_tables"] = source.exclude_tables;

    const PostgresLogin login(source.target, work.workspace);
    const std::string what = "dumping '" + name + "'";
    Command command = login.command(program, std::move(arguments));
    command.on_error = [&](std::string_view line) { work.log(line); };
    ChildResult result;
    {
        const GrowthWatch watch(work, what, path);
        result = work.run(command);
    }
    if (result.exit_code != 0) throw program_error("dump '" + connection.where() + "'", result);
    connection.execute("rollback");

    component.objects = hash_objects(folder, name, work);
    return component;
}

}  // namespace lifeboat
