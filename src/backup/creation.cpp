#include "backup/creation.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>

#include "backup/layout.h"
#include "base/error.h"
#include "base/sha256.h"
#include "base/version.h"
#include "world/file_content.h"
#include "world/file_descriptor.h"
#include "world/files.h"
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

std::filesystem::path dump_folder(const BackupWork& work) {
    return work.workspace / "dump";
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
                    WriteOptions{.exclusive = true, .at_hand = true}, control);
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
                WriteOptions{.exclusive = true, .at_hand = true}, control);
    store.write(manifest_key(request.set, request.id), content_of(text),
                WriteOptions{.exclusive = true, .at_hand = true}, control);
}

// The dumped file becomes the stored one: encrypted once, whatever the number of stores.
void encrypt(ManifestObject& object, const std::filesystem::path& folder, const EncryptionKey& key,
             ByteProgress& progress, const WorkControl& control) {
    const std::filesystem::path plain = folder / object.key;
    const std::filesystem::path sealed = plain.string() + ".sealed";
    const FileDescriptor file(::open(sealed.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) throw_errno("make '" + sealed.string() + "'", errno);
    Sha256 stored;
    std::uint64_t size = 0;
    Encryption encryption(
        key,
        [&](std::span<const std::byte> bytes) {
            stored.update(bytes);
            size += bytes.size();
            write_all(file.get(), bytes, "write '" + sealed.string() + "'");
        },
        PlainDigest::left_out);  // the dump was hashed when it was made
    const ByteSource source = content_of_file(plain.string()).open(0);
    std::vector<std::byte> buffer(1u << 20);
    for (std::size_t count = source(buffer); count > 0; count = source(buffer)) {
        control.check();
        encryption.write(std::span(buffer).first(count));
        progress.add(count);
    }
    ObjectEncryption encrypted = encryption.finish();
    encrypted.plain_sha256 = object.sha256;
    std::filesystem::rename(sealed, plain);
    object.size = Bytes{size};
    object.sha256 = to_hex(stored.finish());
    object.encryption = std::move(encrypted);
}

class Creation {
  public:
    Creation(const CreateRequest& request, const Clock& clock, const BackupWork& work)
        : request_(request), clock_(clock), work_(work), folder_(dump_folder(work)) {
        control_ = work.control;
        control_.moved = {};
    }

    CreatedBackup make() {
        try {
            // Before the long work: a store that cannot be written is known now.
            claim_all();
            const Manifest manifest = dump_all();
            const std::string text = manifest_text(manifest);
            CreatedBackup created{.manifest = manifest, .manifest_sha256 = sha256_hex(text)};
            for (const auto& store : claimed_) {
                try {
                    write_to(*store, request_, manifest, text, created.manifest_sha256, folder_, work_);
                    created.stores.push_back(store->name());
                } catch (const Error& error) {
                    if (ends_the_call(error)) throw;
                    troubles_.push_back(StoreTrouble{.store = store->name(), .error = error});
                    release(*store);
                }
            }
            if (created.stores.empty()) fail();
            created.troubles = troubles_;
            remove_tree(folder_);
            return created;
        } catch (const Error&) {
            for (const auto& store : claimed_)
                release(*store);
            remove_tree(folder_);
            throw;
        }
    }

  private:
    void claim_all() {
        for (const auto& store : request_.stores) {
            try {
                write_claim(*store, request_, control_);
                claimed_.push_back(store);
            } catch (const Error& error) {
                if (ends_the_call(error)) throw;
                troubles_.push_back(StoreTrouble{.store = store->name(), .error = error});
            }
        }
        if (claimed_.empty()) fail();
    }

    Manifest dump_all() {
        remove_tree(folder_);
        Manifest manifest{.id = request_.id,
                          .set = request_.set,
                          .started_at = request_.started_at,
                          .made_by = "lifeboat " + std::string(version())};
        for (const ComponentSource& source : request_.sources) {
            manifest.components.push_back(dump(source, folder_, clock_, work_));
            if (!request_.key) continue;
            ByteProgress progress(work_, "encrypting '" + source.name + "'",
                                  manifest.components.back().objects.size() == 1
                                      ? std::optional(manifest.components.back().objects.front().size.count)
                                      : std::nullopt);
            for (ManifestObject& object : manifest.components.back().objects)
                encrypt(object, folder_, *request_.key, progress, control_);
        }
        manifest.consistent_at = manifest.components.front().consistent_at;
        for (const ManifestComponent& component : manifest.components)
            manifest.consistent_at = std::min(manifest.consistent_at, component.consistent_at);
        return manifest;
    }

    [[noreturn]] void fail() const {
        Error error = troubles_.front().error;
        throw error.during("writing backup '" + request_.id + "' of set '" + request_.set + "'");
    }

    // Also when the deed was asked to stop: what is left of a backup that will never be whole helps nobody.
    void release(Store& store) const {
        try {
            remove_claimed(store, request_.set, request_.id, request_.claim, {});
        } catch (const Error& left) {
            work_.log("what was written to store '" + store.name() + "' could not be removed: " + left.message);
        }
    }

    const CreateRequest& request_;
    const Clock& clock_;
    const BackupWork& work_;
    WorkControl control_;
    std::filesystem::path folder_;
    Stores claimed_;
    std::vector<StoreTrouble> troubles_;
};

}  // namespace

CreatedBackup create_backup(const CreateRequest& request, const Clock& clock, const BackupWork& work) {
    check_part_name(request.set, "backup set");
    for (const ComponentSource& source : request.sources)
        check_part_name(source.name, "component");
    if (request.sources.empty() || request.stores.empty())
        throw Error{ErrorCode::refused,
                    "backup set '" + request.set + "' has no " + (request.sources.empty() ? "resources" : "stores")};
    return Creation(request, clock, work).make();
}

void remove_dumps(const BackupWork& work) {
    remove_tree(dump_folder(work));
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
