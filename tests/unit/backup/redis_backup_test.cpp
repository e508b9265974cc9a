#include "backup/creation.h"
#include "backup/readable.h"
#include "sample.h"
#include "support/test_server.h"

using namespace lifeboat;
using namespace lifeboat::test;

namespace {

bool skipped() {
    const std::string missing = TestServer::missing("redis.sh");
    if (!missing.empty()) WARN("SKIPPED: not installed: " + missing);
    return !missing.empty();
}

RedisTarget target_of(const TestServer& server, const std::string& password = {}) {
    RedisTarget target{.host = "127.0.0.1", .port = std::stoi(server["REDIS_PORT"])};
    target.password = Secret(password);
    return target;
}

RedisSource source_of(const RedisTarget& target) {
    return {[target](const WorkControl& control) { return RedisConnection(target, control); }};
}

// One of each type, some that expire, in several databases, and a library of functions.
void fill(const RedisTarget& target) {
    RedisConnection redis(target, {});
    redis.command({"EVAL", "for i = 1, 3000 do redis.call('set', 'key:' .. i, 'value ' .. i) end", "0"});
    redis.command({"SET", std::string_view("b\0in\xff", 5), std::string_view("\0\r\n", 3)});
    redis.command({"SET", "lease", "x", "EX", "86400"});
    redis.command({"RPUSH", "queue", "a", "b", "c"});
    redis.command({"SADD", "set", "1", "2", "three"});
    redis.command({"ZADD", "ranks", "1.5", "a", "-2", "b"});
    redis.command({"HSET", "user:1", "name", "Ada", "mail", "ada@example.com"});
    redis.command({"XADD", "events", "*", "kind", "order"});
    redis.command({"SELECT", "7"});
    redis.command({"PFADD", "visitors", "a", "b", "c"});
    redis.command({"FUNCTION", "LOAD", "#!lua name=shop\nredis.register_function('one', function() return 1 end)"});
}

// Everything that the server holds: every key with type, serialised value and the instant at which it expires.
std::map<std::string, std::string> contents(const RedisTarget& target) {
    RedisConnection redis(target, {});
    std::map<std::string, std::string> all;
    for (int database = 0; database < 16; ++database) {
        redis.command({"SELECT", std::to_string(database)});
        const RedisReply keys = redis.command({"KEYS", "*"});
        for (const RedisReply& key : keys.list()) {
            const std::string& name = key.text();
            const std::string type = redis.command({"TYPE", name}).text();
            std::string value;
            if (type == "set") {
                // in an order that differs from process to process
                const RedisReply sorted = redis.command({"SORT", name, "ALPHA"});
                for (const RedisReply& member : sorted.list())
                    value += member.text() + "\n";
            } else {
                value = redis.command({"DUMP", name}).text();
            }
            all[std::to_string(database) + " " + name] =
                type + " " + std::to_string(redis.command({"PEXPIRETIME", name}).integer()) + " " + value;
        }
    }
    all["functions"] = redis.command({"FUNCTION", "DUMP"}).text();
    return all;
}

std::vector<std::string> differing(const std::map<std::string, std::string>& a,
                                   const std::map<std::string, std::string>& b) {
    std::vector<std::string> names;
    for (const auto* some : {&a, &b})
        for (const auto& [name, unused] : *some)
            if (!a.contains(name) || !b.contains(name) || a.at(name) != b.at(name)) names.push_back(name);
    return names;
}

CreateRequest request_of(Bench& bench, const RedisTarget& target) {
    return CreateRequest{.set = "cache",
                         .id = "2026-02-10T12-00-00Z",
                         .started_at = bench.clock.now(),
                         .claim = "run-1/save",
                         .sources = {{.name = "sessions", .from = source_of(target)}},
                         .stores = bench.stores};
}

}  // namespace

TEST_CASE("R27 a backup of a Redis server brings back every key, value and expiry, with a password and with an AOF") {
    if (skipped()) return;
    const auto [password, aof] = GENERATE(table<std::string, std::string>({{"", "no"}, {"s3:cret pass", "yes"}}));
    const TestServer server("redis.sh", {{"REDIS_PASSWORD", password}, {"REDIS_AOF", aof}});
    const RedisTarget target = target_of(server, password);
    fill(target);
    Bench bench;
    const CreatedBackup created = create_backup(request_of(bench, target), bench.clock, bench.work());
    CHECK(created.stores == std::vector<std::string>{"nas", "offsite"});
    const ManifestComponent& component = created.manifest.components.at(0);
    CHECK(component.kind == ComponentKind::redis);
    CHECK(component.format == "rdb");
    CHECK(component.consistent_at == bench.clock.now());
    const Json& facts = component.facts;
    CHECK(facts.at("keys") == Json{{"0", 3007}, {"7", 1}});
    CHECK(facts.at("keys_after") == facts.at("keys"));
    CHECK(facts.at("snapshot_keys") == 3008);
    CHECK(facts.at("appendonly") == (aof == "yes"));
    CHECK(facts.at("role") == "primary");
    CHECK(facts.at("run_id").get<std::string>().size() == 40);
    CHECK(facts.at("redis_version") == RedisConnection(target, {}).info("server").at("redis_version"));
    CHECK(facts.contains("master_repl_offset"));
    CHECK(parse_manifest(manifest_text(created.manifest), "here") == created.manifest);

    const auto stored = bench.folder / "nas/cache" / created.manifest.id / "sessions/sessions.rdb";
    require_readable(component, stored, bench.work());
    const TestServer other("redis.sh", {{"REDIS_RDB", stored.string()}});
    CHECK(differing(contents(target_of(other)), contents(target)) == std::vector<std::string>{});
}

TEST_CASE("R8 a snapshot that is flipped or cut is not readable") {
    if (skipped()) return;
    const TestServer server("redis.sh");
    fill(target_of(server));
    Bench bench;
    std::filesystem::create_directory(bench.folder / "dump");
    const ManifestComponent component =
        dump_redis("sessions", source_of(target_of(server)), bench.folder / "dump", bench.clock, bench.work());
    const auto path = path_of(component, bench.folder / "dump");
    require_readable(component, path, bench.work());
    const std::string whole = bytes_of(path);
    std::string flipped = whole;
    flipped[whole.size() / 2] = static_cast<char>(flipped[whole.size() / 2] ^ 1);
    overwrite(path, flipped);
    CHECK(error_of([&] { require_readable(component, path, bench.work()); }).code == ErrorCode::corrupt);
    overwrite(path, whole.substr(0, whole.size() / 2));
    CHECK(error_of([&] { require_readable(component, path, bench.work()); }).code == ErrorCode::incomplete);
    // a format from the future is not called damaged
    std::string newer = whole;
    newer.replace(5, 4, "9999");
    overwrite(path, newer);
    CHECK(error_of([&] { require_readable(component, path, bench.work()); }).code == ErrorCode::unsupported);
}

TEST_CASE("a replica that has lost its primary is not backed up, since nobody knows how old it is") {
    if (skipped()) return;
    const TestServer server("redis.sh", {{"REDIS_OPTIONS", "--replicaof 127.0.0.1 " + std::to_string(free_ports(1))}});
    Bench bench;
    std::filesystem::create_directory(bench.folder / "dump");
    const Error error = error_of([&] {
        dump_redis("sessions", source_of(target_of(server)), bench.folder / "dump", bench.clock, bench.work());
    });
    CHECK(error.code == ErrorCode::unsupported);
}

TEST_CASE("a user that may not replicate is denied, and no file stays") {
    if (skipped()) return;
    const TestServer server("redis.sh");
    RedisConnection(target_of(server), {}).command({"ACL", "SETUSER", "reader", "on", ">pw", "+info", "~*"});
    RedisTarget reader = target_of(server, "pw");
    reader.user = "reader";
    Bench bench;
    const Error error = error_of([&] { create_backup(request_of(bench, reader), bench.clock, bench.work()); });
    CHECK(error.code == ErrorCode::denied);
    CHECK(std::filesystem::is_empty(bench.folder / "work"));
}
