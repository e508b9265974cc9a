#include "actions/postgres_catalogue.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "actions/waiting.h"
#include "base/text.h"

namespace lifeboat {

namespace {

std::string text_of(const PostgresValue& value) {
    return value.value_or("");
}

bool truth_of(const PostgresValue& value) {
    return value == "t";
}

constexpr std::string_view database_columns =
    "select oid, datname, datallowconn, datconnlimit from pg_catalog.pg_database ";

std::optional<PostgresDatabase> database_in(const PostgresRows& rows) {
    if (rows.rows.empty()) return std::nullopt;
    const auto& row = rows.rows.front();
    return PostgresDatabase{.oid = static_cast<std::uint32_t>(number_of(row[0])),
                            .name = text_of(row[1]),
                            .allows_connections = truth_of(row[2]),
                            .connection_limit = std::stoi(text_of(row[3]))};
}

// The elements of a list setting: identifiers, quoted where they have to be, between commas.
std::vector<std::string> list_elements(std::string_view text) {
    std::vector<std::string> elements;
    std::string element;
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '"') {
            if (quoted && i + 1 < text.size() && text[i + 1] == '"') {
                element += c;
                ++i;
            } else {
                quoted = !quoted;
            }
        } else if (c == ',' && !quoted) {
            elements.push_back(std::exchange(element, {}));
        } else if (quoted || c != ' ') {
            element += c;
        }
    }
    elements.push_back(element);
    return elements;
}

// Settings that hold lists of quoted names: given as one text they would be quoted a second time.
bool is_list(std::string_view setting) {
    static const std::set<std::string_view> lists{"local_preload_libraries",   "search_path",
                                                  "session_preload_libraries", "shared_preload_libraries",
                                                  "temp_tablespaces",          "unix_socket_directories"};
    return lists.contains(setting);
}

std::string setting_name(const std::string& name) {
    // an extension's setting is two identifiers
    std::string quoted;
    for (const std::string& part : split(name, '.'))
        quoted += (quoted.empty() ? "" : ".") + quote_identifier(part);
    return quoted;
}

std::string set_clause(const PostgresSetting& setting) {
    std::string value;
    if (is_list(setting.name) && !setting.value.empty()) {
        for (const std::string& element : list_elements(setting.value)) {
            value += (value.empty() ? "" : ", ") + quote_literal(element);
        }
    } else {
        value = quote_literal(setting.value);
    }
    return " SET " + setting_name(setting.name) + " TO " + value;
}

std::string grantee(const std::string& role) {
    return role.empty() ? "PUBLIC" : quote_identifier(role);
}

}  // namespace

std::uint64_t number_of(const PostgresValue& value) {
    std::uint64_t number = 0;
    if (value) std::from_chars(value->data(), value->data() + value->size(), number);
    return number;
}

std::optional<PostgresDatabase> find_database(PostgresConnection& session, const std::string& name) {
    return database_in(session.query(std::string(database_columns) + "where datname = $1", {name}));
}

std::optional<PostgresDatabase> find_database(PostgresConnection& session, std::uint32_t oid) {
    return database_in(session.query(std::string(database_columns) + "where oid = $1::oid", {std::to_string(oid)}));
}

PostgresProperties properties_of(PostgresConnection& session, std::uint32_t oid) {
    const std::string id = std::to_string(oid);
    const PostgresRows found = session.query(
        "select pg_catalog.pg_get_userbyid(datdba), datconnlimit, pg_catalog.shobj_description(oid, 'pg_database') "
        "from pg_catalog.pg_database where oid = $1::oid",
        {id});
    if (found.rows.empty()) {
        throw Error{ErrorCode::not_found, "there is no database with OID " + id + " on '" + session.where() + "'"};
    }
    PostgresProperties properties;
    properties.owner = text_of(found.rows[0][0]);
    properties.connection_limit = std::stoi(text_of(found.rows[0][1]));
    properties.comment = text_of(found.rows[0][2]);
    const PostgresRows grants = session.query(
        "select coalesce(r.rolname, ''), a.privilege_type, bool_or(a.is_grantable) from pg_catalog.pg_database d "
        "cross join pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) a "
        "left join pg_catalog.pg_roles r on r.oid = a.grantee where d.oid = $1::oid group by 1, 2",
        {id});
    for (const auto& row : grants.rows)
        properties.grants.push_back({text_of(row[0]), text_of(row[1]), truth_of(row[2])});
    const PostgresRows settings = session.query(
        "select coalesce(r.rolname, ''), c from pg_catalog.pg_db_role_setting s cross join unnest(s.setconfig) c "
        "left join pg_catalog.pg_roles r on r.oid = s.setrole where s.setdatabase = $1::oid",
        {id});
    for (const auto& row : settings.rows) {
        const std::string line = text_of(row[1]);
        const std::size_t equals = line.find('=');
        properties.settings.push_back({text_of(row[0]), line.substr(0, equals), line.substr(equals + 1)});
    }
    std::sort(properties.grants.begin(), properties.grants.end());
    std::sort(properties.settings.begin(), properties.settings.end());
    return properties;
}

void give_properties(PostgresConnection& session, const std::string& name, const PostgresProperties& properties) {
    const auto database = find_database(session, name);
    if (!database) throw Error{ErrorCode::not_found, "database '" + name + "' is not on '" + session.where() + "'"};
    const PostgresProperties now = properties_of(session, database->oid);
    if (now == properties) return;

    const std::string target = quote_identifier(name);
    std::string sql = "BEGIN;";
    if (now.owner != properties.owner) {
        sql += "ALTER DATABASE " + target + " OWNER TO " + quote_identifier(properties.owner) + ";";
    }
    std::set<std::string> before{"", properties.owner};
    for (const PostgresGrant& grant : now.grants)
        before.insert(grant.role);
    for (const std::string& role : before) {
        sql += "REVOKE ALL PRIVILEGES ON DATABASE " + target + " FROM " + grantee(role) + " CASCADE;";
    }
    for (const PostgresGrant& grant : properties.grants) {
        sql += "GRANT " + grant.privilege + " ON DATABASE " + target + " TO " + grantee(grant.role) +
               (grant.grantable ? " WITH GRANT OPTION;" : ";");
    }
    std::set<std::string> with_settings;
    for (const PostgresSetting& setting : now.settings)
        with_settings.insert(setting.role);
    for (const std::string& role : with_settings) {
        sql += role.empty() ? "ALTER DATABASE " + target + " RESET ALL;"
                            : "ALTER ROLE " + quote_identifier(role) + " IN DATABASE " + target + " RESET ALL;";
    }
    for (const PostgresSetting& setting : properties.settings) {
        sql += (setting.role.empty() ? "ALTER DATABASE " + target
                                     : "ALTER ROLE " + quote_identifier(setting.role) + " IN DATABASE " + target) +
               set_clause(setting) + ";";
    }
    sql += "ALTER DATABASE " + target + " CONNECTION LIMIT " + std::to_string(properties.connection_limit) + ";";
    sql += "COMMENT ON DATABASE " + target + " IS " +
           (properties.comment.empty() ? "NULL" : quote_literal(properties.comment)) + ";COMMIT";
    try {
        session.execute(sql);
    } catch (Error& error) {
        session.execute("ROLLBACK");
        throw error.during("while giving '" + name + "' its owner, privileges and settings");
    }
    if (!(properties_of(session, database->oid) == properties)) {
        throw Error{ErrorCode::check_failed,
                    "the owner, privileges and settings of '" + name + "' are not those that were given to it"};
    }
}

Json to_json(const PostgresProperties& properties) {
    Json grants = Json::array();
    for (const PostgresGrant& grant : properties.grants) {
        grants.push_back(Json{{"role", grant.role}, {"privilege", grant.privilege}, {"grantable", grant.grantable}});
    }
    Json settings = Json::array();
    for (const PostgresSetting& setting : properties.settings) {
        settings.push_back(Json{{"role", setting.role}, {"name", setting.name}, {"value", setting.value}});
    }
    return Json{{"owner", properties.owner},
                {"grants", std::move(grants)},
                {"settings", std::move(settings)},
                {"connection_limit", properties.connection_limit},
                {"comment", properties.comment}};
}

PostgresProperties properties_from_json(const Json& value) {
    PostgresProperties properties;
    properties.owner = value.at("owner").get<std::string>();
    properties.connection_limit = value.at("connection_limit").get<int>();
    properties.comment = value.at("comment").get<std::string>();
    for (const Json& grant : value.at("grants")) {
        properties.grants.push_back({grant.at("role").get<std::string>(), grant.at("privilege").get<std::string>(),
                                     grant.at("grantable").get<bool>()});
    }
    for (const Json& setting : value.at("settings")) {
        properties.settings.push_back({setting.at("role").get<std::string>(), setting.at("name").get<std::string>(),
                                       setting.at("value").get<std::string>()});
    }
    return properties;
}

void allow_connections(PostgresConnection& session, const std::string& name, bool allowed) {
    session.execute("ALTER DATABASE " + quote_identifier(name) + " ALLOW_CONNECTIONS " + (allowed ? "true" : "false"));
}

void limit_connections(PostgresConnection& session, const std::string& name, int limit) {
    session.execute("ALTER DATABASE " + quote_identifier(name) + " CONNECTION LIMIT " + std::to_string(limit));
}

std::uint64_t count_sessions(PostgresConnection& session, std::uint32_t oid) {
    return number_of(session.value(
        "select count(*) from pg_catalog.pg_stat_activity where datid = $1::oid and pid <> pg_catalog.pg_backend_pid()",
        {std::to_string(oid)}));
}

std::uint64_t end_sessions(PostgresConnection& session, std::uint32_t oid, const Context& context, Duration limit) {
    const auto give_up = std::chrono::steady_clock::now() + limit;
    std::set<std::pair<std::string, std::string>> ended;
    for (;;) {
        const PostgresRows rows = session.query(
            "select pid, backend_start, pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity "
            "where datid = $1::oid and pid <> pg_catalog.pg_backend_pid()",
            {std::to_string(oid)});
        if (rows.rows.empty()) return ended.size();
        for (const auto& row : rows.rows)
            ended.emplace(text_of(row[0]), text_of(row[1]));
        if (std::chrono::steady_clock::now() >= give_up) {
            throw Error{ErrorCode::busy, counted(rows.rows.size(), "session") + " on the database with OID " +
                                             std::to_string(oid) + " did not end within " + to_text(limit)};
        }
        wait_for(context, std::chrono::milliseconds(10));
    }
}

std::string system_identifier(PostgresConnection& session) {
    return session.value("select system_identifier from pg_catalog.pg_control_system()").value_or("");
}

}  // namespace lifeboat
