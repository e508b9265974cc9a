#include "actions/redis.h"

#include "actions/waiting.h"
#include "base/error.h"
#include "base/text.h"
#include "world/machine.h"

namespace lifeboat {

namespace {

std::string text_field(const ResolvedResource& resource, const char* name, std::string fallback = {}) {
    const auto found = resource.fields.find(name);
    return found == resource.fields.end() || !found->is_string() ? std::move(fallback) : found->get<std::string>();
}

int port_of(const ResolvedResource& resource) {
    const auto found = resource.fields.find("port");
    return found != resource.fields.end() && found->is_number_integer() ? found->get<int>() : 6379;
}

// The loopback names of this machine are one host.
std::string canonical_host(std::string host) {
    for (char& c : host)
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    while (host.ends_with('.'))
        host.pop_back();
    const bool local = host.empty() || host == "localhost" || host == "::1" || host.starts_with("127.");
    return local ? machine_id() : host;
}

}  // namespace

std::vector<ResourceSpec> redis_resources() {
    ResourceSpec redis;
    redis.type = "redis";
    redis.kinds = {"cache"};
    redis.summary =
        "A Redis server with all its databases, over plain TCP or a unix socket; a backup of it is a snapshot (RDB) as "
        "its replicas get it, which holds all that an append-only file holds";
    redis.fields = {
        {.name = "host", .doc = "Name or address of the server.", .default_value = "localhost"},
        {.name = "port", .type = ValueType::integer, .doc = "TCP port.", .default_value = 6379},
        {.name = "socket", .type = ValueType::path, .doc = "Path of its unix socket, instead of host and port."},
        {.name = "user",
         .doc = "User of its access list that may use INFO, SYNC and REPLCONF; without one the default user."},
        {.name = "password", .doc = "Its password, where the server asks for one.", .may_be_secret = true},
    };
    redis.example = "sessions: {type: redis, host: cache1, password: \"${{ secrets.redis_pw }}\"}\n";
    return {redis};
}

RedisTarget redis_target(const ActionWorld& world, const ResolvedResource& resource, const std::string& run_id) {
    if (!world.resources.nonce_of(resource.name).empty())
        throw Error{ErrorCode::refused, "'" + resource.name + "' is a Redis server, which no drill can make yet"};
    RedisTarget target{.host = text_field(resource, "host", "localhost"),
                       .port = port_of(resource),
                       .socket = text_field(resource, "socket"),
                       .user = text_field(resource, "user")};
    if (const auto password = resource.fields.find("password");
        password != resource.fields.end() && !password->is_null()) {
        target.password = resolve_secret(*password, world.secrets);
    }
    // the name may hold no blanks
    target.client_name = run_id.empty() ? "lifeboat" : "lifeboat:" + run_id;
    return target;
}

TargetIdentity identify_redis(const ActionWorld& world, const ResolvedResource& resource) {
    TargetIdentity identity;
    identity.resource = resource.name;
    const std::string socket = text_field(resource, "socket");
    identity.declared = "redis " + (socket.empty() ? canonical_host(text_field(resource, "host", "localhost")) + ":" +
                                                         std::to_string(port_of(resource))
                                                   : machine_id() + ":" + socket);
    try {
        RedisConnection session(redis_target(world, resource, ""),
                                {.deadline = steady_now() + std::chrono::seconds(10)});
        const auto info = session.info("server");
        if (const auto run_id = info.find("run_id"); run_id != info.end()) {
            identity.measured = "redis run " + run_id->second;
            identity.facts = Json{{"run_id", run_id->second}};
        }
    } catch (const Error& error) {
        identity.unreached = error;
    }
    return identity;
}

}  // namespace lifeboat
