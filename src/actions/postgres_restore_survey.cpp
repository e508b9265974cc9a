// What postgres.restore looks at before the run: programs, privileges, the dump, and free space (R17).
#include "actions/postgres_catalogue.h"
#include "actions/postgres_connection.h"
#include "actions/postgres_dump.h"
#include "actions/postgres_family.h"
#include "actions/postgres_server_facts.h"
#include "base/text.h"
#include "world/files.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

struct Need {
    std::optional<std::uint64_t> bytes;
    std::string reason;

    void at_least(std::uint64_t other, std::string why) {
        if (bytes && *bytes >= other) return;
        bytes = other;
        reason = std::move(why);
    }
    std::string text() const { return bytes ? to_human(Bytes{*bytes}) + " needed (" + reason + ")" : "need unknown"; }
};

Finding program_finding(const std::string& program, int server_major) {
    try {
        const PostgresProgram found = find_postgres_program(program, server_major);
        return {.subject = program, .message = found.path.string() + ", version " + std::to_string(found.major)};
    } catch (const Error& error) {
        return {.kind = FindingKind::blocker, .subject = program, .message = error.message, .hint = error.hint};
    }
}

Finding privilege_finding(const PostgresServerFacts& facts) {
    Finding finding{.subject = "privileges of '" + facts.user + "'",
                    .message = facts.superuser ? "superuser" : "may create databases"};
    if (!facts.may_create) {
        finding.kind = FindingKind::blocker;
        finding.message = "the role may not create databases";
        finding.hint = "Give it CREATEDB: ALTER ROLE … CREATEDB.";
    }
    return finding;
}

// A compressed dump unpacks to about eight times its size, indexes included; any other to about twice.
Finding dump_finding(const fs::path& path, Survey& survey, Need& need) {
    try {
        const PostgresDump dump = recognise_dump(path);
        const bool packed = dump.gzipped || dump.format == PostgresDump::Format::custom ||
                            dump.format == PostgresDump::Format::directory;
        survey.bytes = Bytes{dump.size};
        need.at_least(dump.size * (packed ? 8 : 2), "guessed from the size of the dump");
        return {.subject = "dump '" + dump.name() + "'",
                .message = std::string(to_text(dump.format)) + ", " + to_human(Bytes{dump.size})};
    } catch (const Error& error) {
        return {.kind = FindingKind::blocker, .subject = "dump", .message = error.message, .hint = error.hint};
    }
}

// The server's data directory, where it is on this machine and this role may know it.
std::optional<fs::path> data_directory_here(const ResolvedResource& resource, PostgresConnection& session) {
    const std::string host = resource.fields.value("host", "localhost");
    const bool here = host.starts_with("/") || host == "localhost" || host == "::1" || host.starts_with("127.");
    if (!here) return std::nullopt;
    try {
        const fs::path folder = session.value("select pg_catalog.current_setting('data_directory')").value_or("");
        std::error_code ignored;
        if (!folder.empty() && fs::exists(folder / "PG_VERSION", ignored)) return folder;
    } catch (const Error&) {
        return std::nullopt;
    }
    return std::nullopt;
}

Finding space_finding(const std::string& name, const Need& need, const std::optional<fs::path>& folder) {
    Finding finding{.subject = "free space of '" + name + "'"};
    if (!folder) {
        finding.kind = FindingKind::unknown;
        finding.message = need.text() + ", free space unknown";
        return finding;
    }
    const FileSystemSpace space = space_at(*folder);
    finding.message = need.text() + ", " + to_human(space.free) + " free on '" + space.mount_point.string() + "'";
    if (need.bytes && *need.bytes > space.free.count) {
        finding.kind = FindingKind::blocker;
        finding.hint = "Free some space there.";
    }
    return finding;
}

}  // namespace

Survey survey_postgres_restore(const ActionWorld& world, Context& context) {
    Survey survey;
    const Json beside = context.arguments.value("beside", Json());
    if (beside.is_null()) return survey;
    const ResolvedResource resource = postgres_resource(world, beside);
    std::optional<PostgresConnection> session;
    try {
        session.emplace(connect_postgres(world, resource, context, {.maintenance = true, .read_only = true}));
    } catch (const Error& error) {
        survey.findings.push_back({.kind = FindingKind::blocker,
                                   .subject = "server of '" + resource.name + "'",
                                   .message = error.message,
                                   .hint = error.hint});
        return survey;
    }
    const PostgresServerFacts facts = server_facts(*session);
    survey.findings.push_back(program_finding("pg_restore", facts.major));
    survey.findings.push_back(program_finding("psql", facts.major));
    survey.findings.push_back(privilege_finding(facts));

    Need need;
    if (const auto live = find_database(*session, database_of(resource))) {
        need.at_least(
            number_of(session->value("select pg_catalog.pg_database_size($1::oid)", {std::to_string(live->oid)})),
            "as much as '" + live->name + "' takes now");
        survey.bytes = Bytes{*need.bytes};
    }
    if (const Json from = context.arguments.value("from", Json()); from.is_string()) {
        survey.findings.push_back(dump_finding(from.get<std::string>(), survey, need));
    } else if (context.expected_bytes) {
        need.at_least(context.expected_bytes->count, "as much as what is fetched for it");
    }
    survey.findings.push_back(space_finding(resource.name, need, data_directory_here(resource, *session)));
    return survey;
}

}  // namespace lifeboat
