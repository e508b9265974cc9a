#include "backup/creation.h"

#include <algorithm>

#include "backup/layout.h"
#include "base/error.h"
#include "base/sha256.h"
#include "base/version.h"
#include "world/tree.h"

namespace lifeboat {

namespace {

constexpr std::string_view claim_kind = "started";

// Two makers of one id want the same claim: its name holds nothing but the id.
std::string claim_key(const std::string& set, const std::string& id) {
    return note_key(set, id, time_of_backup_id(id).value_or(Timestamp{}), claim_kind);
}

std::string claim_text(const std::string& claim, Timestamp started_at) {
    return to_pretty_text({{"lifeboat", note_format},
                           {"kind", claim_kind},
                           {"at", to_text(started_at)},
                           {"manifest_sha256", ""},
                           {"facts", {{"claim", claim}}}}) +
           "\n";
}

// The token of whoever began this backup; nullopt when nobody has.
std::optional<std::string> claimed_by(Store& store, const std::string& set, const std::string& id,
                                      const WorkControl& control) {
    const std::string key = claim_key(set, id);
    try {
        return parse_json(read_all(store, key, Bytes{1u << 16}, control), key)
            .at("facts")
            .at("claim")
            .get<std::string>();
    } catch (const Error& error) {
        if (error.code == ErrorCode::not_found) return std::nullopt;
        if (error.code == ErrorCode::invalid_file) return std::string{};
        throw;
    } catch (const Json::exception&) {
        return std::string{};
    }
}

bool holds_anything(Store& store, const std::string& prefix, const WorkControl& control) {
    bool found = false;
    store.list(
        ListQuery{.prefix = prefix},
        [&](std::span<const Listed> page) {
            found = found || !page.empty();
            return false;
        },
        control);
    return found;
}

bool ends_the_call(const Error& error) {
    return error.code == ErrorCode::cancelled || error.code == ErrorCode::timed_out || error.code == ErrorCode::moved;
}

}  // namespace

std::string free_backup_id(const std::string& set, const Stores& stores, Timestamp started_at,
                           const WorkControl& control) {
    check_part_name(set, "backup set");
    for (int number = 1; number < 1000; ++number) {
        std::string id = backup_id(started_at, number);
        bool taken = false;
        for (const auto& store : stores) {
            try {
                taken = taken || holds_anything(*store, backup_folder(set, id), control);
            } catch (const Error& error) {
                // what is not there yet is made at the first write; whether it can be is known then
                if (ends_the_call(error)) throw;
            }
        }
        if (!taken) return id;
    }
    throw Error{ErrorCode::limit_exceeded, "a thousand backups of set '" + set + "' were begun in one second"};
}

namespace {

void write_claim(Store& store, const CreateRequest& request, const WorkControl& control) {
    try {
        store.write(claim_key(request.set, request.id), content_of(claim_text(request.claim, request.started_at)),
                    WriteOptions{.exclusive = true}, control);
    } catch (const Error& error) {
        if (error.code != ErrorCode::already_exists) throw;
        if (claimed_by(store, request.set, request.id, control) == request.claim) return;
        throw Error{ErrorCode::moved, "backup '" + request.id + "' of set '" + request.set + "' in store '" +
                                          store.name() + "' is somebody else's by now"};
    }
}

void write_to(Store& store, const CreateRequest& request, const Manifest& manifest, const std::string& text,
              const std::string& manifest_sha256, const std::filesystem::path& folder, const BackupWork& work) {
    ByteProgress progress(work, "writing backup '" + request.id + "' to '" + store.name() + "'", manifest.size().count);
    WorkControl control = work.control;
    control.moved = [&](std::uint64_t bytes) { progress.add(bytes); };
    write_claim(store, request, control);
    for (const ManifestComponent& component : manifest.components) {
        for (const ManifestObject& object : component.objects) {
            const std::string key = object_key(request.set, request.id, object.key);
            const StoredObject written = store.write(key, content_of_file((folder / object.key).string()),
                                                     WriteOptions{.exclusive = true}, control);
            if (written.size != object.size)
                throw store_error(ErrorCode::incomplete, store.name(), key, "it was not written as a whole");
        }
    }
    store.write(object_key(request.set, request.id, sums_name), content_of(checksum_file(manifest, manifest_sha256)),
                WriteOptions{.exclusive = true}, control);
    store.write(manifest_key(request.set, request.id), content_of(text), WriteOptions{.exclusive = true}, control);
}

}  // namespace

CreatedBackup create_backup(const CreateRequest& request, const Clock& clock, const BackupWork& work) {
    check_part_name(request.set, "backup set");
    for (const ComponentSource& source : request.sources)
        check_part_name(source.name, "component");
    WorkControl control = work.control;
    control.moved = {};

    const std::filesystem::path folder = work.workspace / "dump";
    remove_tree(folder);
    Manifest manifest{.id = request.id,
                      .set = request.set,
                      .started_at = request.started_at,
                      .made_by = "lifeboat " + std::string(version())};
    for (const ComponentSource& source : request.sources)
        manifest.components.push_back(dump(source, folder, clock, work));
    manifest.consistent_at =
        std::min_element(manifest.components.begin(), manifest.components.end(), [](const auto& a, const auto& b) {
            return a.consistent_at < b.consistent_at;
        })->consistent_at;

    const std::string text = manifest_text(manifest);
    CreatedBackup created{.manifest = manifest, .manifest_sha256 = sha256_hex(text)};
    for (const auto& store : request.stores) {
        try {
            write_to(*store, request, manifest, text, created.manifest_sha256, folder, work);
            created.stores.push_back(store->name());
        } catch (const Error& error) {
            if (ends_the_call(error)) throw;
            created.troubles.push_back(StoreTrouble{.store = store->name(), .error = error});
            try {
                remove_claimed(*store, request.set, request.id, request.claim, control);
            } catch (const Error& left) {
                if (ends_the_call(left)) throw;
                work.log("what was written to store '" + store->name() + "' could not be removed: " + left.message);
            }
        }
    }
    remove_tree(folder);
    if (!created.stores.empty()) return created;
    Error error = created.troubles.empty() ? Error{ErrorCode::refused, "backup set '" + request.set + "' has no stores"}
                                           : created.troubles.front().error;
    throw error.during("writing backup '" + request.id + "' of set '" + request.set + "'");
}

bool remove_claimed(Store& store, const std::string& set, const std::string& id, const std::string& claim,
                    const WorkControl& control) {
    if (claimed_by(store, set, id, control) != claim) return false;
    store.remove(manifest_key(set, id), control);
    const std::string own = claim_key(set, id);
    std::vector<std::string> keys;
    store.list(
        ListQuery{.prefix = backup_folder(set, id)},
        [&](std::span<const Listed> page) {
            for (const Listed& line : page)
                if (line.object.key != own) keys.push_back(line.object.key);
            return true;
        },
        control);
    for (const std::string& key : keys)
        store.remove(key, control);
    store.remove(own, control);
    return true;
}

}  // namespace lifeboat
