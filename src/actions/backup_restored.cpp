#include "actions/backup_restored.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <random>

#include "actions/files_family.h"
#include "actions/postgres_catalogue.h"
#include "actions/postgres_connection.h"
#include "actions/postgres_family.h"
#include "actions/scratch_redis.h"
#include "actions/sql_question.h"
#include "actions/waiting.h"
#include "base/error.h"
#include "base/text.h"
#include "world/archive.h"
#include "world/gunzip.h"
#include "world/postgres_programs.h"
#include "world/scratch.h"
#include "world/sqlite.h"
#include "world/tree.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

using RowCounts = std::map<std::string, std::uint64_t>;

std::string random_word() {
    std::random_device device;
    std::array<char, 33> digits{};
    std::snprintf(digits.data(), digits.size(), "%08x%08x%08x%08x", device(), device(), device(), device());
    return digits.data();
}

// What a backup can be blamed for; anything else says that it could not be tried here and now.
bool is_about_the_backup(ErrorCode code) {
    using enum ErrorCode;
    for (const ErrorCode each : {corrupt, incomplete, refused, limit_exceeded, dump_leaves_database, sql_failed,
                                 child_failed, check_failed, protocol_failed})
        if (code == each) return true;
    return false;
}

// The components of a backup, one after the other; the questions of the set are asked while each is there.
class Rehearsal {
  public:
    Rehearsal(const ActionWorld& world, const BackupSet& set, Level wanted, const Context& context)
        : world_(world), set_(set), wanted_(wanted), context_(context) {}

    void restore(const ManifestComponent& component, const fs::path& path) {
        component_ = &component;
        context_.progress(Progress{.what = "restoring '" + component.name + "' into something throw-away"});
        try {
            switch (component.kind) {
                case ComponentKind::postgres:
                    restore_postgres(path);
                    break;
                case ComponentKind::sqlite:
                    restore_sqlite(path);
                    break;
                case ComponentKind::redis:
                    restore_redis(path);
                    break;
                case ComponentKind::files:
                case ComponentKind::objects:
                case ComponentKind::archive:
                    restore_files(path);
                    break;
                case ComponentKind::output:
                    break;  // only the program that wrote it knows how to restore it
            }
        } catch (const Error& error) {
            if (context_.stop.stop_requested() || !is_about_the_backup(error.code)) throw;
            problem("it cannot be restored: " + error.full_message());
        }
    }

    Verification result() && {
        found_.level = Level::restored;
        if (!found_.problems.empty())
            found_.level = Level::readable;
        else if (!failed_checks_.empty())
            found_.problems = std::move(failed_checks_);
        else
            found_.level = wanted_;
        return std::move(found_);
    }

  private:
    const Json& facts() const { return component_->facts; }

    void problem(std::string why) {
        found_.problems.push_back(VerificationProblem{.object = component_->name, .why = std::move(why)});
    }

    void compare(const RowCounts& restored) {
        const auto wanted = facts().find("rows");
        if (wanted == facts().end() || !wanted->is_object()) return;
        for (const auto& [table, rows] : wanted->items()) {
            if (!rows.is_number_unsigned() && !rows.is_number_integer()) continue;
            const auto found = restored.find(table);
            if (found == restored.end())
                problem("the table '" + table + "' is missing after a restore");
            else if (Json(found->second) != rows)
                problem("the table '" + table + "' has " + counted(found->second, "row") + " after a restore, it had " +
                        to_text(rows));
        }
    }

    void ask(SqlQuestions& questions) {
        if (wanted_ < Level::queried) return;
        for (const Json& check : set_.checks) {
            if (check.at("on") != component_->name) continue;
            const std::string name = check.at("name").get<std::string>();
            context_.progress(Progress{.what = "checking '" + name + "'"});
            Json result;
            const std::string failure = why_failed(questions, check, result, context_);
            if (!failure.empty())
                failed_checks_.push_back(VerificationProblem{.object = component_->name,
                                                             .why = "the check '" + name + "' fails: " + failure});
        }
    }

    // A deed of its own inside this one: the children are journaled as this deed's.
    Context inner(Json arguments, const fs::path& workspace) const {
        Context context = context_;
        context.arguments = std::move(arguments);
        context.workspace = workspace;
        context.planned = nullptr;
        context.note = [](auto, auto) {};
        return context;
    }

    // A world with that one resource and nothing else, so that nothing but what was made for this can be touched.
    ActionWorld world_of(const Resources& site) const {
        return ActionWorld{.resources = site,
                           .secrets = world_.secrets,
                           .clock = world_.clock,
                           .program = world_.program,
                           .state = context_.workspace.path()};
    }

    int server_major() const {
        const auto version = facts().find("server_version");
        if (version == facts().end() || !version->is_string()) return 0;
        const std::string text = version->get<std::string>();
        int major = 0;
        std::from_chars(text.data(), text.data() + text.size(), major);
        return major;
    }

    void restore_postgres(const fs::path& path);
    void restore_sqlite(const fs::path& path);
    void restore_redis(const fs::path& path);
    void restore_files(const fs::path& path);

    const ActionWorld& world_;
    const BackupSet& set_;
    const Level wanted_;
    const Context& context_;
    const ManifestComponent* component_ = nullptr;
    Verification found_;
    std::vector<VerificationProblem> failed_checks_;
};

// Ends with what it holds, whatever happens.
class ScratchCluster {
  public:
    ScratchCluster(fs::path folder, int version, const Context& context) : folder_(std::move(folder)) {
        destroy_scratch_postgres(folder_);  // what a killed process left
        server = start_scratch_postgres({.folder = folder_,
                                         .nonce = "verify-" + random_word(),
                                         .version = version,
                                         .password = Secret(random_word())},
                                        patience_of(context));
    }
    ~ScratchCluster() {
        try {
            destroy_scratch_postgres(folder_);
        } catch (const Error&) {  // its note stays, so that the next one can remove it
        }
    }
    ScratchCluster(const ScratchCluster&) = delete;
    ScratchCluster& operator=(const ScratchCluster&) = delete;

    ScratchPostgres server;

  private:
    fs::path folder_;
};

// The database that the dump is restored beside: of the same encoding, with the roles that the dump names.
void prepare_cluster(const ScratchPostgres& server, const std::string& database, const Json& facts,
                     const PostgresPatience& patience) {
    PostgresConnection session(server.target(), patience);
    const auto roles = facts.find("roles");
    if (roles != facts.end() && roles->is_array()) {
        for (const Json& role : *roles) {
            const std::string name = role.is_string() ? role.get<std::string>() : std::string();
            if (name.empty() || name == server.user || name.starts_with("pg_")) continue;
            session.execute("create role " + quote_identifier(name));
        }
    }
    std::string clauses = " template template0";
    const auto encoding = facts.find("encoding");
    if (encoding != facts.end() && encoding->is_string() && *encoding != "UTF8")
        clauses += " encoding " + quote_literal(encoding->get<std::string>()) + " locale 'C'";
    session.execute("create database " + quote_identifier(database) + clauses);
}

RowCounts count_rows(PostgresConnection& session, const Context& context) {
    RowCounts counts;
    const PostgresRows tables = session.query(
        "select nspname, relname from pg_class join pg_namespace on pg_namespace.oid = relnamespace"
        " where relkind = 'r' and relpersistence <> 't' and nspname !~ '^pg_' and nspname <> 'information_schema'");
    for (const auto& row : tables.rows) {
        const std::string name = row.at(0).value_or("") + "." + row.at(1).value_or("");
        context.progress(Progress{.what = "counting the rows of '" + name + "'"});
        counts[name] = number_of(session.value("select count(*) from only " + quote_identifier(row.at(0).value_or("")) +
                                               "." + quote_identifier(row.at(1).value_or(""))));
    }
    return counts;
}

void Rehearsal::restore_postgres(const fs::path& path) {
    // of the same major version, or the oldest newer one that is here
    const int major = server_major();
    const int version = find_postgres_program("postgres", major).major;
    if (version != major && major != 0)
        context_.log("'" + component_->name + "' is restored into PostgreSQL " + std::to_string(version) +
                     ", since version " + std::to_string(major) + " is not installed");
    const ScratchCluster cluster(context_.workspace / "scratch-cluster", version, context_);
    const std::string database = "original";
    prepare_cluster(cluster.server, database, facts(), patience_of(context_));

    const std::string name = component_->name;
    const Resources site({{name, Resource{.name = name,
                                          .type = "postgres",
                                          .fields = {{"host", cluster.server.host},
                                                     {"port", cluster.server.port},
                                                     {"database", database},
                                                     {"user", cluster.server.user},
                                                     {"password", cluster.server.password.reveal()},
                                                     {"sslmode", "disable"},
                                                     {"maintenance_database", "postgres"}}}}},
                         {}, DrillMark{.drill = "verify", .nonces = {{name, cluster.server.nonce}}});
    const ActionWorld world = world_of(site);
    const PrivateDirectory folder(context_.workspace.path(), "restore-");
    const std::unique_ptr<Action> restore = lifeboat::postgres_restore(world);
    Context deed = inner({{"from", path.string()},
                          {"beside", {{"of", name}}},
                          {"tolerate", {"missing_role", "extension_comment", "not_permitted"}}},
                         folder.path());
    for (const ParameterSpec& parameter : restore->spec().parameters)
        if (!deed.arguments.contains(parameter.name)) deed.arguments[parameter.name] = parameter.default_value;
    const Outputs outputs = restore->run(restore->prepare(deed), deed);

    const ResolvedResource restored = site.resolve(outputs.at("database"));
    {
        PostgresConnection session = connect_postgres(world, restored, deed, {.read_only = true});
        compare(count_rows(session, context_));
    }
    constexpr auto each = std::chrono::minutes(5);
    ask(*ask_postgres(world, restored, deed, each));
}

void Rehearsal::restore_sqlite(const fs::path& path) {
    const WorkControl control = paced(context_, "looking at '" + component_->name + "'");
    const PrivateDirectory folder(context_.workspace.path(), "restore-");
    const fs::path copy = folder.path() / "restored.db";
    copy_and_hash(path, copy, control);
    {
        const SqliteDatabase database = SqliteDatabase::open(copy);
        for (const std::string& complaint : database.integrity_check(control, 10))
            problem("it fails its integrity check: " + printable(complaint));
        RowCounts counts;
        for (const std::string& table : database.tables(control)) {
            std::string quoted = "\"";
            for (const char byte : table)
                quoted += byte == '"' ? std::string("\"\"") : std::string(1, byte);
            counts[table] =
                database.value("select count(*) from " + quoted + "\"", Json::array(), control).get<std::uint64_t>();
        }
        compare(counts);
    }
    const std::string& name = component_->name;
    const Resources site({{name, Resource{.name = name, .type = "sqlite", .fields = {{"path", copy.string()}}}}}, {},
                         std::nullopt);
    const ActionWorld world = world_of(site);
    const Context deed = inner(Json::object(), folder.path());
    ask(*ask_sqlite(world, site.named(name), deed));
}

std::vector<std::string> words(const std::string& line) {
    std::vector<std::string> found;
    for (const std::string& word : split(line, ' '))
        if (!trim(word).empty()) found.emplace_back(trim(word));
    return found;
}

Json to_json(const RedisReply& reply) {
    if (const auto* number = std::get_if<std::int64_t>(&reply.value)) return *number;
    if (const auto* text = std::get_if<std::string>(&reply.value)) return *text;
    if (const auto* status = std::get_if<RedisStatus>(&reply.value)) return status->text;
    if (const auto* list = std::get_if<std::vector<RedisReply>>(&reply.value)) {
        Json items = Json::array();
        for (const RedisReply& each : *list)
            items.push_back(to_json(each));
        return items;
    }
    return nullptr;
}

// A question to Redis is a command with its arguments, parted by blanks; 'value' is its answer, the first element of a
// list, whose elements are 'rows'.
class RedisQuestions final : public SqlQuestions {
  public:
    explicit RedisQuestions(RedisConnection session) : session_(std::move(session)) {}

    SqlAnswer ask(const std::string& query) override {
        const Json reply = to_json(session_.command(words(query)));
        SqlAnswer answer;
        answer.rows = reply.is_array() ? reply : Json::array({reply});
        answer.value = answer.rows.empty() ? Json() : answer.rows.front();
        answer.row = answer.value;
        return answer;
    }

  private:
    RedisConnection session_;
};

std::uint64_t number_in(const std::map<std::string, std::string>& info, const std::string& name) {
    const auto found = info.find(name);
    std::uint64_t number = 0;
    if (found != info.end()) std::from_chars(found->second.data(), found->second.data() + found->second.size(), number);
    return number;
}

void Rehearsal::restore_redis(const fs::path& path) {
    int databases = 0;
    const Json keys = facts().value("keys", Json::object());
    for (const auto& [name, unused] : keys.items()) {
        int number = 0;
        std::from_chars(name.data(), name.data() + name.size(), number);
        databases = std::max(databases, number + 1);
    }
    // another tool's backup does not say how many it has
    constexpr int plenty = 1024;
    const ScratchRedis server(path, keys.empty() ? plenty : databases, context_);
    RedisConnection session = server.connect();
    const auto info = session.info("persistence");
    // keys whose time has come since are not loaded, and not missing
    const std::uint64_t loaded =
        number_in(info, "rdb_last_load_keys_loaded") + number_in(info, "rdb_last_load_keys_expired");
    const auto wanted = facts().find("snapshot_keys");
    const bool tells = info.contains("rdb_last_load_keys_loaded");
    if (tells && wanted != facts().end() && wanted->is_number() && *wanted != Json(loaded))
        problem("there are " + counted(loaded, "key") + " after a restore, the snapshot had " + to_text(*wanted));
    RedisQuestions questions(std::move(session));
    ask(questions);
}

void Rehearsal::restore_files(const fs::path& path) {
    const PrivateDirectory folder(context_.workspace.path(), "restore-");
    const WorkControl control = paced(context_, "unpacking '" + component_->name + "'");
    if (fs::is_directory(path)) {
        copy_tree(path, folder.path() / "restored", control);
        return;
    }
    // what lifeboat itself has archived; whoever restores it for good decides on links and set-id bits then
    const ExtractOptions options{.links_may_lead_out = true};
    const ByteSource source = looks_gzipped(path) ? gunzipped(read_from(path)) : read_from(path);
    const TreeListing listing = extract_tar(source, folder.path() / "restored", options, control);
    const TreeSize size = size_of(listing);
    const auto differs = [this](const char* what, std::uint64_t found) {
        const auto wanted = facts().find(what);
        if (wanted != facts().end() && wanted->is_number() && *wanted != Json(found))
            problem("it has " + std::to_string(found) + " " + what + " after a restore, it had " + to_text(*wanted));
    };
    differs("entries", size.entries);
    differs("bytes", size.bytes.count);
    const TreeSize there = measure_tree(folder.path() / "restored", control);
    if (there.entries != size.entries)
        problem("its archive has " + counted(size.entries, "entry", "entries") + ", " + std::to_string(there.entries) +
                " are there after a restore");
}

}  // namespace

Verification restore_and_ask(const ActionWorld& world, const BackupSet& set, const Manifest& manifest,
                             const std::map<std::string, fs::path>& components, Level wanted, const Context& context) {
    Rehearsal rehearsal(world, set, wanted, context);
    for (const ManifestComponent& component : manifest.components)
        rehearsal.restore(component, components.at(component.name));
    return std::move(rehearsal).result();
}

}  // namespace lifeboat
