#include "backup/fetch.h"

#include <algorithm>
#include <set>

#include "backup/arrival.h"
#include "backup/layers.h"
#include "backup/layout.h"
#include "backup/readable.h"
#include "base/error.h"
#include "base/sha256.h"
#include "base/text.h"
#include "world/files.h"
#include "world/tree.h"

namespace lifeboat {

namespace {

constexpr Bytes manifest_limit{64u << 20};
constexpr int thaws = 3;  // of one copy: what was thawed may be gone again before it is fetched

std::string manifest_line(std::string_view sums) {
    constexpr std::string_view ending = "  manifest.json";
    for (const std::string& line : split(sums, '\n'))
        if (line.size() == 64 + ending.size() && line.ends_with(ending)) return line.substr(0, 64);
    return {};
}

// Of one second and set, two stores may hold different backups under one id.
bool is_copy(const FetchCandidate& a, const FetchCandidate& b) {
    return a.id == b.id && a.manifest_sha256 == b.manifest_sha256;
}

// Missing and archived checksums are tolerated (the candidate's hash is what counts); checksums that speak against the
// manifest are not.
void compare_with_checksums(Store& store, const std::string& set, const FetchCandidate& candidate,
                            const WorkControl& control) {
    const std::string key = object_key(set, candidate.id, sums_name);
    if (!store.stat(key, control)) return;
    std::string sums;
    try {
        sums = read_all(store, key, manifest_limit, control);
    } catch (const Error& error) {
        if (error.code != ErrorCode::archived) throw;
        return;
    }
    if (manifest_line(sums) != candidate.manifest_sha256)
        throw store_error(ErrorCode::corrupt, store.name(), key,
                          "it does not hold the SHA-256 of the backup's manifest");
}

std::string read_manifest_text(Store& store, const std::string& set, const FetchCandidate& candidate,
                               const WorkControl& control) {
    const std::string key = manifest_key(set, candidate.id);
    std::string text = read_all(store, key, manifest_limit, control);
    const std::string found = sha256_hex(text);
    if (found != candidate.manifest_sha256)
        throw store_error(ErrorCode::corrupt, store.name(), key,
                          "the manifest is another one than was chosen: its SHA-256 is " + found + " instead of " +
                              candidate.manifest_sha256);
    compare_with_checksums(store, set, candidate, control);
    return text;
}

// One candidate whose manifest was read.
struct Copy {
    std::shared_ptr<Store> store;
    std::string text;
    Manifest manifest;
};

class Fetch {
  public:
    Fetch(const FetchRequest& request, const BackupWork& work)
        : request_(request), work_(work), control_(work.control) {
        control_.moved = {};
    }

    Fetched all() {
        make_directories(request_.folder);
        const auto& candidates = request_.candidates;
        for (auto next = candidates.begin(); next != candidates.end();) {
            // copies of one backup stand next to each other
            const FetchCandidate& first = *next;
            std::vector<FetchCandidate> copies;
            for (auto copy = next; copy != candidates.end() && is_copy(*copy, first); ++copy)
                copies.push_back(*copy);
            next += static_cast<std::ptrdiff_t>(copies.size());
            if (auto fetched = one_of(copies)) return std::move(*fetched);
        }
        Error error{ErrorCode::no_candidate,
                    "none of " + counted(candidates.size(), "candidate") + " of backup set '" + request_.set +
                        "' could be fetched",
                    "Look at the reasons; 'lifeboat backup list' shows every backup."};
        error.details = Json{{"refused", to_json(refused_)}};
        throw error;
    }

  private:
    std::filesystem::path part_of(const std::string& id) const { return request_.folder / (id + ".part"); }
    std::filesystem::path asked_note_of(const std::string& id) const { return request_.folder / (id + ".asked"); }

    std::shared_ptr<Store> store_named(const std::string& name) const {
        for (const auto& store : request_.stores)
            if (store->name() == name) return store;
        return nullptr;
    }

    void refuse(const FetchCandidate& candidate, const Error& error) {
        refused_.push_back(FetchRefusal{
            .id = candidate.id, .store = candidate.store, .why = error.full_message(), .code = error.code});
        request_.refused(refused_);
    }

    // Tries the copies in turn; nullopt when none will do.
    std::optional<Fetched> one_of(const std::vector<FetchCandidate>& copies) {
        const std::filesystem::path folder = request_.folder / copies.front().id;
        std::optional<Error> for_now;
        const auto refuse_copy = [&](const FetchCandidate& candidate, const Error& error) {
            refuse(candidate, error);
            if (info(error.code).transient) for_now = error;
        };
        std::vector<std::pair<FetchCandidate, Error>> archived;
        for (const FetchCandidate& candidate : copies) {
            try {
                Fetched fetched = fetch(candidate, folder);
                for (const auto& [passed_over, why] : archived)
                    refuse(passed_over, why);
                fetched.refused = refused_;
                return fetched;
            } catch (const SourceTrouble& trouble) {
                if (trouble.error.code == ErrorCode::archived && request_.archived) {
                    archived.emplace_back(candidate, trouble.error);
                } else {
                    refuse_copy(candidate, trouble.error);
                }
            }
        }
        // hours, and money: only when nothing at hand will do, not even one that is only out of reach for now
        for (const auto& each : archived) {
            try {
                return fetch_thawed(each.first, folder);
            } catch (const SourceTrouble& trouble) {
                refuse_copy(each.first, trouble.error);
            }
        }
        // what was verified so far stays for the next attempt
        if (for_now) throw for_now->during("fetching backup '" + copies.front().id + "'");
        remove_tree(folder);
        remove_part(part_of(copies.front().id));
        remove_file(asked_note_of(copies.front().id));
        return std::nullopt;
    }

    Fetched fetch_thawed(const FetchCandidate& candidate, const std::filesystem::path& folder) {
        for (int time = 1;; ++time) {
            thaw_missing(candidate, folder);
            try {
                return fetch(candidate, folder);
            } catch (const SourceTrouble& trouble) {
                if (trouble.error.code != ErrorCode::archived || time == thaws) throw;
            }
        }
    }

    // Whatever could stop the fetch afterwards is looked at first: it is asked for in vain otherwise.
    void thaw_missing(const FetchCandidate& candidate, const std::filesystem::path& folder) {
        const Copy copy = open(candidate);
        begin_folder(folder, copy.text);
        ThawOrder order{.what = "backup '" + candidate.id + "'", .keys = {}, .asked_note = asked_note_of(candidate.id)};
        std::vector<const ManifestObject*> missing;
        for (const ManifestComponent& component : copy.manifest.components) {
            for (const ManifestObject& object : component.objects) {
                if (object.encryption && !request_.keys.may_hold(object.encryption->key_hint))
                    throw Error{ErrorCode::denied,
                                "backup '" + candidate.id + "' in store '" + candidate.store +
                                    "' takes the key with hint " + object.encryption->key_hint + ", which is not there",
                                "Add the key that it was encrypted with to the keys of the backup set."};
                if (std::filesystem::exists(folder / object.key)) continue;
                order.keys.push_back(stored_key(copy.manifest, object));
                missing.push_back(&object);
            }
        }
        require_space(copy.manifest, folder, missing);
        try {
            thaw(*copy.store, order, request_.waiting, work_);
        } catch (const Error& error) {
            if (!is_about_the_source(error.code)) throw;
            throw SourceTrouble{error};
        }
    }

    Copy open(const FetchCandidate& candidate) const {
        const std::shared_ptr<Store> store = store_named(candidate.store);
        if (!store)
            throw SourceTrouble{Error{ErrorCode::not_found, "store '" + candidate.store + "' is not one of the set's"}};
        std::string text;
        Manifest manifest;
        try {
            if (request_.foreign) {
                ForeignBackup backup = read_chosen(*store, candidate);
                text = std::move(backup.listing);
                manifest = std::move(*backup.manifest);
            } else {
                text = read_manifest_text(*store, request_.set, candidate, control_);
                manifest = parse_manifest(text, "backup '" + candidate.id + "'");
            }
            if (manifest.id != candidate.id || manifest.set != request_.set)
                throw Error{ErrorCode::corrupt,
                            "the manifest belongs to backup '" + manifest.id + "' of set '" + manifest.set + "'"};
        } catch (const Error& error) {
            if (!is_about_the_source(error.code)) throw;
            throw SourceTrouble{error};
        }
        return {.store = store, .text = std::move(text), .manifest = std::move(manifest)};
    }

    Fetched fetch(const FetchCandidate& candidate, const std::filesystem::path& folder) {
        const Copy copy = open(candidate);
        const auto& [store, text, manifest] = copy;
        require_keys(*store, candidate, manifest);
        begin_folder(folder, text);

        Fetched fetched{.from = candidate, .manifest = manifest, .folder = folder};
        fetch_objects(*store, manifest, folder, fetched.kept);
        if (request_.foreign) require_unchanged(*store, candidate);
        assemble(manifest, folder);
        for (const ManifestComponent& component : manifest.components)
            fetched.components[component.name] = path_of(component, folder);
        if (request_.level >= Level::readable) require_all_readable(manifest, folder);
        fetched.refused = refused_;
        return fetched;
    }

    // What another tool made, as it was when it was chosen.
    ForeignBackup read_chosen(Store& store, const FetchCandidate& candidate) const {
        ForeignBackup backup = read_foreign(store, request_.set, *request_.foreign, candidate.id, control_);
        const std::string found = sha256_hex(backup.listing);
        if (found != candidate.manifest_sha256)
            throw store_error(ErrorCode::corrupt, store.name(), {},
                              "backup '" + candidate.id +
                                  "' is another one than was chosen: the SHA-256 of its listing "
                                  "is " +
                                  found + " instead of " + candidate.manifest_sha256);
        return backup;
    }

    // No digest tells whether objects of two versions were mixed: the listing afterwards does.
    void require_unchanged(Store& store, const FetchCandidate& candidate) const {
        try {
            read_chosen(store, candidate);
        } catch (const Error& error) {
            if (!is_about_the_source(error.code)) throw;
            throw SourceTrouble{error};
        }
    }

    // Before hours of fetching: is there a key for every object? A missing one is no reason to restore older data.
    void require_keys(Store& store, const FetchCandidate& candidate, const Manifest& manifest) const {
        std::set<std::string> known;
        for (const ManifestComponent& component : manifest.components) {
            for (const ManifestObject& object : component.objects) {
                if (!object.encryption || !known.insert(object.encryption->key_hint).second) continue;
                const std::string key = stored_key(manifest, object);
                EncryptionHeader header;
                try {
                    header = read_encryption_header(store, key, object.size, control_);
                } catch (const Error& error) {
                    if (!is_about_the_source(error.code)) throw;
                    throw SourceTrouble{error};
                }
                request_.keys.material_for(header, "backup '" + candidate.id + "' in store '" + store.name() + "'");
            }
        }
    }

    // Only objects of this very manifest may lie there.
    static void begin_folder(const std::filesystem::path& folder, const std::string& text) {
        const std::filesystem::path path = folder / manifest_name;
        if (std::filesystem::exists(std::filesystem::symlink_status(folder))) {
            std::string there;
            try {
                there = read_small_file(path, manifest_limit);
            } catch (const Error&) {
                there.clear();
            }
            if (there == text) return;
            remove_tree(folder);
        }
        make_directories(folder);
        write_durably(path, text);
    }

    void fetch_objects(Store& store, const Manifest& manifest, const std::filesystem::path& folder,
                       std::uint64_t& kept) {
        ByteProgress progress(work_, "fetching backup '" + manifest.id + "' from '" + store.name() + "'",
                              manifest.size().count);
        std::vector<const ManifestObject*> missing;
        for (const ManifestComponent& component : manifest.components) {
            for (const ManifestObject& object : component.objects) {
                if (is_object(folder / object.key, object, progress, control_)) {
                    kept += object.size.count;
                } else {
                    missing.push_back(&object);
                }
            }
        }
        require_space(manifest, folder, missing);
        const std::filesystem::path part = part_of(manifest.id);
        for (const ManifestObject* object : missing) {
            progress.rename("fetching '" + object->key + "' from '" + store.name() + "'");
            fetch_object(store, stored_key(manifest, *object), *object, request_.keys, folder / object->key, part,
                         progress, control_);
        }
    }

    void assemble(const Manifest& manifest, const std::filesystem::path& folder) const {
        for (const ManifestComponent& component : manifest.components) {
            if (component.format != layers_format) continue;
            ByteProgress progress(work_, "putting the layers of '" + component.name + "' together", std::nullopt);
            WorkControl control = control_;
            control.moved = [&](std::uint64_t bytes) { progress.add(bytes); };
            try {
                assemble_layers(component, folder, control);
            } catch (const Error& error) {
                if (error.code != ErrorCode::corrupt && error.code != ErrorCode::incomplete) throw;
                throw SourceTrouble{error};
            }
        }
    }

    static void require_space(const Manifest& manifest, const std::filesystem::path& folder,
                              const std::vector<const ManifestObject*>& missing) {
        std::uint64_t needed = 0;
        std::uint64_t largest_plain = 0;  // beside the stored bytes while it is unpacked
        for (const ManifestObject* object : missing) {
            needed += std::max(object->size.count, object->plain_size().count);
            if (object->is_packed()) largest_plain = std::max(largest_plain, object->plain_size().count);
        }
        needed += largest_plain;
        for (const ManifestComponent& component : manifest.components)
            if (component.format == layers_format)
                for (const ManifestObject& object : component.objects)
                    needed += object.plain_size().count;  // what they become, beside them
        const FileSystemSpace space = space_at(folder);
        if (space.free.count < needed)
            throw Error{ErrorCode::disk_full,
                        "fetching backup '" + manifest.id + "' needs " + to_human(Bytes{needed}) +
                            ", but the file system at '" + space.mount_point.string() + "' has " +
                            to_human(space.free) + " free",
                        "Free some space there, or put the site's 'state' on another file system."};
    }

    void require_all_readable(const Manifest& manifest, const std::filesystem::path& folder) {
        for (const ManifestComponent& component : manifest.components) {
            try {
                require_readable(component, path_of(component, folder), work_);
            } catch (const Error& error) {
                if (error.code != ErrorCode::corrupt && error.code != ErrorCode::incomplete &&
                    error.code != ErrorCode::refused && error.code != ErrorCode::limit_exceeded)
                    throw;
                throw SourceTrouble{error};
            }
        }
    }

    const FetchRequest& request_;
    const BackupWork& work_;
    WorkControl control_;
    std::vector<FetchRefusal> refused_;
};

}  // namespace

Json to_json(const FetchRefusal& refusal) {
    return {{"id", refusal.id}, {"store", refusal.store}, {"why", refusal.why}, {"code", info(refusal.code).name}};
}

Json to_json(const std::vector<FetchRefusal>& refusals) {
    Json list = Json::array();
    for (const FetchRefusal& refusal : refusals)
        list.push_back(to_json(refusal));
    return list;
}

Fetched fetch_backup(const FetchRequest& request, const BackupWork& work) {
    return Fetch(request, work).all();
}

}  // namespace lifeboat
