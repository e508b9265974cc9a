#include "backup/verification.h"

#include <map>

#include "backup/arrival.h"
#include "backup/layers.h"
#include "backup/layout.h"
#include "backup/readable.h"
#include "base/error.h"
#include "world/files.h"

namespace lifeboat {

namespace {

class Check {
  public:
    Check(Store& store, const std::string& set, const CatalogueEntry& entry, const KeyRing& keys,
          const BackupWork& work)
        : store_(store),
          set_(set),
          id_(entry.id),
          entry_(entry),
          keys_(keys),
          manifest_(*entry.manifest),
          work_(work),
          control_(work.control) {
        control_.moved = {};
    }

    Verification up_to(Level wanted) {
        if (wanted > Level::readable)
            throw Error{ErrorCode::unsupported,
                        "verifying up to '" + std::string(to_text(wanted)) + "' is not possible yet",
                        "Ask for 'readable' at most."};
        if (wanted >= Level::complete) step(Level::complete, &Check::complete);
        if (wanted >= Level::checksummed) step(Level::checksummed, &Check::checksummed);
        if (wanted >= Level::readable) step(Level::readable, &Check::readable);
        return std::move(found_);
    }

  private:
    void step(Level level, void (Check::*look)()) {
        if (!found_.problems.empty() || !found_.archived.empty()) return;
        try {
            (this->*look)();
        } catch (const Error& error) {
            // nothing is known of what cannot be read: neither that it is sound nor that it is damaged
            if (error.code != ErrorCode::archived) throw;
            found_.archived = error.full_message();
            return;
        }
        if (found_.problems.empty()) found_.level = level;
    }

    void problem(std::string object, const Error& error) {
        if (info(error.code).transient || error.code == ErrorCode::archived) throw error;
        found_.problems.push_back(VerificationProblem{.object = std::move(object), .why = error.full_message()});
    }

    void complete() {
        if (entry_.signature.state == SignatureState::wrong)
            problem(std::string(signature_name),
                    store_error(ErrorCode::corrupt, store_.name(), object_key(set_, id_, signature_name),
                                "it is no signature of this manifest by a key that is trusted"));
        if (is_foreign(manifest_)) {
            for (const ManifestComponent& component : manifest_.components)
                for (const ManifestObject& object : component.objects)
                    look_at(object, store_.stat(stored_key(manifest_, object), control_));
            return;
        }
        const std::string folder = backup_folder(set_, id_);
        std::map<std::string, StoredObject> there;
        store_.list(
            ListQuery{.prefix = folder},
            [&](std::span<const Listed> page) {
                for (const Listed& line : page)
                    there[line.object.key] = line.object;
                return true;
            },
            control_);
        for (const ManifestComponent& component : manifest_.components) {
            for (const ManifestObject& object : component.objects) {
                if (!object.from.empty()) {
                    look_at(object, store_.stat(stored_key(manifest_, object), control_));
                    continue;
                }
                const auto found = there.find(stored_key(manifest_, object));
                look_at(object, found == there.end() ? std::nullopt : std::optional(found->second));
            }
        }
        const std::string sums = folder + std::string(sums_name);
        try {
            if (read_all(store_, sums, Bytes{64u << 20}, control_) != checksum_file(manifest_, entry_.manifest_sha256))
                throw store_error(ErrorCode::corrupt, store_.name(), sums,
                                  "it does not agree with the manifest: one of the two was changed");
        } catch (const Error& error) {
            if (!is_about_the_source(error.code)) throw;
            problem(std::string(sums_name), error);
        }
    }

    void look_at(const ManifestObject& object, const std::optional<StoredObject>& there) {
        const std::string key = stored_key(manifest_, object);
        if (!there) {
            problem(object.key, store_error(ErrorCode::incomplete, store_.name(), key, "it is missing"));
        } else if (there->size != object.size) {
            problem(object.key, store_error(ErrorCode::corrupt, store_.name(), key,
                                            "it has " + std::to_string(there->size.count) + " bytes instead of " +
                                                std::to_string(object.size.count)));
        }
    }

    void checksummed() {
        ByteProgress progress(work_, "reading backup '" + id_ + "' from '" + store_.name() + "'",
                              manifest_.size().count);
        for (const ManifestComponent& component : manifest_.components) {
            for (const ManifestObject& object : component.objects) {
                try {
                    check_object(store_, stored_key(manifest_, object), object, progress, control_);
                } catch (const SourceTrouble& trouble) {
                    problem(object.key, trouble.error);
                }
            }
        }
    }

    void readable() {
        for (const ManifestComponent& component : manifest_.components) {
            const PrivateDirectory place(work_.workspace, "verify-");
            ByteProgress progress(work_, "fetching '" + component.name + "' from '" + store_.name() + "'",
                                  std::nullopt);
            try {
                for (const ManifestObject& object : component.objects)
                    fetch_object(store_, stored_key(manifest_, object), object, keys_, place.path() / object.key,
                                 place.path() / "part", progress, control_);
                if (component.format == layers_format) assemble_layers(component, place.path(), control_);
                require_readable(component, path_of(component, place.path()), work_);
            } catch (const SourceTrouble& trouble) {
                problem(component.name, trouble.error);
            } catch (const Error& error) {
                if (error.code != ErrorCode::corrupt && error.code != ErrorCode::incomplete &&
                    error.code != ErrorCode::refused && error.code != ErrorCode::limit_exceeded)
                    throw;
                problem(component.name, error);
            }
        }
    }

    Store& store_;
    const std::string& set_;
    const std::string& id_;
    const CatalogueEntry& entry_;
    const KeyRing& keys_;
    const Manifest& manifest_;
    const BackupWork& work_;
    WorkControl control_;
    Verification found_;
};

}  // namespace

Json to_json(const VerificationProblem& problem) {
    return {{"object", problem.object}, {"why", problem.why}};
}

Verification verify_backup(Store& store, const std::string& set, const CatalogueEntry& entry, const KeyRing& keys,
                           Level wanted, const BackupWork& work) {
    return Check(store, set, entry, keys, work).up_to(wanted);
}

}  // namespace lifeboat
