#include "backup/creation.h"

#include <algorithm>
#include <cerrno>
#include <set>

#include <fcntl.h>

#include "backup/layer_bases.h"
#include "backup/layout.h"
#include "base/error.h"
#include "base/sha256.h"
#include "base/version.h"
#include "world/file_content.h"
#include "world/file_descriptor.h"
#include "world/files.h"
#include "world/tree.h"
#include "world/zstd.h"

namespace lifeboat {

namespace {

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

void write_to(Store& store, const CreateRequest& request, const Manifest& manifest, const std::string& text,
              const std::string& manifest_sha256, const std::filesystem::path& folder, const BackupWork& work) {
    ByteProgress progress(work, "writing backup '" + request.id + "' to '" + store.name() + "'",
                          manifest.own_size().count);
    WorkControl control = work.control;
    control.moved = [&](std::uint64_t bytes) { progress.add(bytes); };
    std::set<std::string> earlier;
    for (const ManifestComponent& component : manifest.components) {
        for (const ManifestObject& object : component.objects) {
            if (!object.from.empty()) {
                earlier.insert(object.from);
                continue;
            }
            const std::string key = object_key(request.set, request.id, object.key);
            const StoredObject written = store.write(key, content_of_file((folder / object.key).string()),
                                                     {.exclusive = true, .at_hand = is_index(object.key)}, control);
            if (written.size != object.size)
                throw store_error(ErrorCode::incomplete, store.name(), key, "it was not written as a whole");
        }
    }
    for (const std::string& id : earlier)
        if (!store.stat(manifest_key(request.set, id), control))
            throw store_error(ErrorCode::incomplete, store.name(), manifest_key(request.set, id),
                              "this backup, which the new one builds on, was removed meanwhile");
    store.write(object_key(request.set, request.id, sums_name), content_of(checksum_file(manifest, manifest_sha256)),
                WriteOptions{.exclusive = true, .at_hand = true}, control);
    if (request.sign)
        store.write(object_key(request.set, request.id, signature_name), content_of(request.sign->sign(text)),
                    WriteOptions{.exclusive = true, .at_hand = true}, control);
    store.write(manifest_key(request.set, request.id), content_of(text),
                WriteOptions{.exclusive = true, .at_hand = true}, control);
}

// pg_dump compresses what is in these.
bool is_compressed(const ManifestComponent& component) {
    return component.kind == ComponentKind::postgres &&
           (component.format == "custom" || component.format == "directory");
}

// The dumped file becomes the stored one: compressed and encrypted once, whatever the number of stores.
void pack_file(ManifestObject& object, const std::filesystem::path& folder, bool compress,
               const std::optional<EncryptionKey>& key, ByteProgress& progress, const WorkControl& control) {
    const std::filesystem::path plain = folder / object.key;
    const std::filesystem::path packed = plain.string() + ".packed";
    const FileDescriptor file(::open(packed.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) throw_errno("make '" + packed.string() + "'", errno);
    Sha256 stored;
    std::uint64_t size = 0;
    ByteSink out = [&](std::span<const std::byte> bytes) {
        stored.update(bytes);
        size += bytes.size();
        write_all(file.get(), bytes, "write '" + packed.string() + "'");
    };
    std::optional<Encryption> encryption;
    if (key) {
        // what is not compressed was hashed when it was dumped
        encryption.emplace(*key, std::move(out), compress ? PlainDigest::computed : PlainDigest::left_out);
        out = [&encryption](std::span<const std::byte> bytes) { encryption->write(bytes); };
    }
    std::optional<Compressor> compressor;
    if (compress) {
        compressor.emplace(std::move(out));
        out = [&compressor](std::span<const std::byte> bytes) { compressor->write(bytes); };
    }
    const ByteSource source = content_of_file(plain.string()).open(0);
    std::vector<std::byte> buffer(1u << 20);
    for (std::size_t count = source(buffer); count > 0; count = source(buffer)) {
        control.check();
        out(std::span(buffer).first(count));
        progress.add(count);
    }
    if (compressor) {
        compressor->finish();
        object.compression = ObjectCompression{
            .scheme = std::string(compression_scheme), .plain_size = object.size, .plain_sha256 = object.sha256};
    }
    if (encryption) {
        object.encryption = encryption->finish();
        if (!compress) object.encryption->plain_sha256 = object.sha256;
    }
    std::filesystem::rename(packed, plain);
    object.size = Bytes{size};
    object.sha256 = to_hex(stored.finish());
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
                write_claim(*store, request_.set, request_.id, {.token = request_.claim}, request_.started_at,
                            control_);
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
        const LayerBases bases = request_.full_every ? newest_layers(base_request(), work_) : LayerBases{};
        Manifest manifest{.id = request_.id,
                          .set = request_.set,
                          .started_at = request_.started_at,
                          .made_by = "lifeboat " + std::string(version())};
        for (const ComponentSource& source : request_.sources) {
            manifest.components.push_back(dump(source, folder_, clock_, work_, layering_of(source.name, bases)));
            pack(manifest.components.back());
        }
        manifest.consistent_at = manifest.components.front().consistent_at;
        for (const ManifestComponent& component : manifest.components) {
            manifest.consistent_at = std::min(manifest.consistent_at, component.consistent_at);
            for (const ManifestObject& object : component.objects)
                if (!object.from.empty()) manifest.parent = bases.backup;
        }
        if (request_.max_size && manifest.own_size() > *request_.max_size)
            throw Error{ErrorCode::limit_exceeded,
                        "backup '" + request_.id + "' has " + to_human(manifest.own_size()) + ", set '" + request_.set +
                            "' allows " + to_human(*request_.max_size),
                        "Find out what has grown; then raise 'max_size', or leave it out."};
        return manifest;
    }

    BaseRequest base_request() const {
        return {.set = request_.set,
                .stores = claimed_,
                .encrypted = request_.key.has_value(),
                .keys = request_.keys,
                .trusted = request_.trusted,
                .not_before = request_.started_at - *request_.full_every,
                .folder = folder_};
    }

    std::optional<Layering> layering_of(const std::string& component, const LayerBases& bases) const {
        if (!request_.full_every) return std::nullopt;
        const auto found = bases.components.find(component);
        return Layering{.backup = request_.id,
                        .base = found == bases.components.end() ? std::nullopt : std::optional(found->second)};
    }

    void pack(ManifestComponent& component) const {
        const bool compress = request_.compress && !is_compressed(component);
        if (!compress && !request_.key) return;
        std::uint64_t total = 0;
        for (const ManifestObject& object : component.objects)
            if (object.from.empty()) total += object.size.count;
        const char* doing = !request_.key ? "compressing '"
                            : compress    ? "compressing and encrypting '"
                                          : "encrypting '";
        ByteProgress progress(work_, doing + component.name + "'", total);
        for (ManifestObject& object : component.objects)
            if (object.from.empty()) pack_file(object, folder_, compress, request_.key, progress, control_);
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

}  // namespace lifeboat
