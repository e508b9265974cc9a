#include "actions/postgres_connection.h"

namespace lifeboat {

namespace {

std::string text_field(const ResolvedResource& resource, const char* name, std::string fallback = {}) {
    const auto found = resource.fields.find(name);
    if (found == resource.fields.end() || found->is_null()) return fallback;
    if (!found->is_string()) {
        throw Error{ErrorCode::invalid_file,
                    "field '" + std::string(name) + "' of resource '" + resource.name + "' is no text"};
    }
    return found->get<std::string>();
}

}  // namespace

std::string database_of(const ResolvedResource& resource) {
    const std::string name = text_field(resource, "database");
    if (name.empty()) {
        throw Error{ErrorCode::invalid_file, "resource '" + resource.name + "' names no database"};
    }
    return name;
}

std::string maintenance_database_of(const ResolvedResource& resource) {
    return text_field(resource, "maintenance_database", "postgres");
}

ResolvedResource postgres_resource(const ActionWorld& world, const Json& reference) {
    ResolvedResource resource = world.resources.resolve(reference);
    if (resource.type != "postgres") {
        throw Error{ErrorCode::invalid_file,
                    "resource '" + resource.name + "' is of type '" + resource.type + "', not 'postgres'"};
    }
    return resource;
}

PostgresTarget postgres_target(const ActionWorld& world, const ResolvedResource& resource, const std::string& run_id) {
    PostgresTarget target;
    target.host = text_field(resource, "host", "localhost");
    if (const auto port = resource.fields.find("port"); port != resource.fields.end() && port->is_number_integer()) {
        target.port = port->get<int>();
    }
    target.database = database_of(resource);
    target.user = text_field(resource, "user");
    if (const auto password = resource.fields.find("password");
        password != resource.fields.end() && !password->is_null()) {
        target.password = resolve_secret(*password, world.secrets);
    }
    target.sslmode = text_field(resource, "sslmode", "prefer");
    target.sslrootcert = text_field(resource, "sslrootcert");
    target.application_name = run_id.empty() ? "lifeboat" : application_name(run_id);
    return target;
}

PostgresPatience patience_of(const Context& context) {
    return {.stop = context.stop, .deadline = context.deadline};
}

void prove_postgres_isolation(const ActionWorld& world, const std::string& resource, PostgresConnection& connection) {
    const std::string nonce = world.resources.nonce_of(resource);
    if (nonce.empty()) return;
    const std::string shown = connection.value("show cluster_name").value_or("");
    if (shown == nonce) return;
    throw Error{ErrorCode::refused,
                "'" + connection.where() + "' is not the sandbox that this drill made for '" + resource +
                    "': its cluster_name is '" + shown + "'",
                "Nothing was touched; look who listens on that port."};
}

PostgresConnection connect_postgres(const ActionWorld& world, const ResolvedResource& resource,
                                    const std::string& run_id, PostgresPatience patience,
                                    const PostgresSessionWish& wish) {
    PostgresTarget target = postgres_target(world, resource, run_id);
    if (wish.maintenance) target.database = maintenance_database_of(resource);
    if (!wish.database.empty()) target.database = wish.database;
    target.settings = wish.settings;
    if (wish.read_only) target.settings["default_transaction_read_only"] = "on";
    PostgresConnection connection(target, std::move(patience));
    prove_postgres_isolation(world, resource.name, connection);
    return connection;
}

PostgresConnection connect_postgres(const ActionWorld& world, const ResolvedResource& resource, const Context& context,
                                    const PostgresSessionWish& wish) {
    return connect_postgres(world, resource, context.run_id, patience_of(context), wish);
}

PostgresConnection connect_maintenance(const ActionWorld& world, const ResolvedResource& resource,
                                       const Context& context) {
    if (maintenance_database_of(resource) == database_of(resource)) {
        throw Error{ErrorCode::refused,
                    "resource '" + resource.name + "' is its own maintenance database '" + database_of(resource) + "'",
                    "Name another database of that server as its 'maintenance_database'."};
    }
    return connect_postgres(world, resource, context,
                            {.maintenance = true, .settings = {{"synchronous_commit", "on"}}});
}

}  // namespace lifeboat
