#include <algorithm>
#include <charconv>

#include "backup/dump.h"
#include "base/error.h"
#include "base/text.h"
#include "world/files.h"
#include "world/rdb.h"
#include "world/redis_programs.h"

namespace lifeboat {

namespace {

using Info = std::map<std::string, std::string>;

std::string text_of(const Info& info, const std::string& name) {
    const auto found = info.find(name);
    return found == info.end() ? std::string{} : found->second;
}

std::optional<std::int64_t> number_of(const Info& info, const std::string& name) {
    const std::string text = text_of(info, name);
    std::int64_t number = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

// "db0:keys=12,expires=1,avg_ttl=0" → {"0": 12}
Json keys_of(const Info& info) {
    Json keys = Json::object();
    constexpr std::string_view prefix = "db", field = "keys=";
    for (const auto& [name, text] : info) {
        if (!name.starts_with(prefix) || !text.starts_with(field)) continue;
        std::uint64_t count = 0;
        std::from_chars(text.data() + field.size(), text.data() + text.size(), count);
        keys[name.substr(prefix.size())] = count;
    }
    return keys;
}

// How much older than the moment of `info` a snapshot asked for after it can be.
Duration possible_age(const Info& info, const std::string& where) {
    Duration age{};
    // the server may hand over a snapshot that it was making already
    if (text_of(info, "rdb_bgsave_in_progress") == "1") {
        const auto since = number_of(info, "rdb_current_bgsave_time_sec");
        age += std::chrono::seconds(std::max<std::int64_t>(0, since.value_or(0)) + 1);
    }
    if (text_of(info, "role") == "slave") {
        const auto heard = number_of(info, "master_last_io_seconds_ago");
        if (text_of(info, "master_link_status") != "up" || !heard || *heard < 0)
            throw Error{ErrorCode::unsupported,
                        "the replica '" + where + "' has lost its primary, so the age of its data is unknown",
                        "Take the backup from the primary, or when the replica follows it again."};
        age += std::chrono::seconds(*heard + 1);
    }
    return age;
}

Json facts_of(const Info& before, const Info& after) {
    return {{"redis_version", text_of(before, "redis_version")},
            {"run_id", text_of(before, "run_id")},
            {"role", text_of(before, "role") == "slave" ? "replica" : "primary"},
            {"master_repl_offset", number_of(before, "master_repl_offset").value_or(0)},
            {"appendonly", text_of(before, "aof_enabled") == "1"},
            {"cluster", text_of(before, "cluster_enabled") == "1"},
            {"keys", keys_of(before)},
            {"keys_after", keys_of(after)}};
}

// How many keys the snapshot really holds; null where no program tells.
Json keys_in(const std::filesystem::path& snapshot, const std::string& where, const BackupWork& work) {
    try {
        const CheckedSnapshot checked = check_redis_snapshot(snapshot, work.workspace, work.run);
        if (!checked.complaint.empty())
            throw Error{ErrorCode::corrupt, "the snapshot that '" + where + "' sent is damaged: " + checked.complaint,
                        "Look at the server's log and memory."};
        return checked.keys ? Json(*checked.keys) : Json(nullptr);
    } catch (const Error& error) {
        if (error.code != ErrorCode::program_missing && error.code != ErrorCode::unsupported) throw;
        work.log("the snapshot is not read through: " + error.message);
        return nullptr;
    }
}

}  // namespace

ManifestComponent dump_redis(const std::string& name, const RedisSource& source, const std::filesystem::path& folder,
                             const Clock& clock, const BackupWork& work) {
    RedisConnection observer = source.connect(work.control);
    const Timestamp asked_at = clock.now();
    const Info before = observer.info();
    ManifestComponent component{.name = name, .kind = ComponentKind::redis, .format = "rdb"};
    component.consistent_at = asked_at - possible_age(before, observer.where());
    if (text_of(before, "cluster_enabled") == "1")
        work.log("'" + observer.where() + "' is one node of a cluster: only its part of the keys is in this backup");

    make_directories(folder / name);
    const std::string key = name + "/" + name + ".rdb";
    ByteProgress progress(work, "fetching a snapshot of '" + name + "'", std::nullopt);
    WorkControl control = work.control;
    control.moved = [&](std::uint64_t bytes) { progress.add(bytes); };
    RedisConnection supplier = source.connect(control);
    work.progress("waiting for a snapshot of '" + name + "'", std::nullopt, std::nullopt);
    const HashedFile received = supplier.receive_snapshot(folder / key);
    component.objects = {ManifestObject{.key = key, .size = Bytes{received.size}, .sha256 = received.sha256}};

    const RdbHeader header = read_rdb_frame(folder / key);
    component.facts = facts_of(before, observer.info());
    component.facts["rdb_version"] = header.version;
    component.facts["snapshot_keys"] = keys_in(folder / key, observer.where(), work);
    return component;
}

}  // namespace lifeboat
