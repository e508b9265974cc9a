#include "backup/completion.h"

#include <algorithm>
#include <map>

#include "backup/arrival.h"
#include "backup/layers.h"
#include "backup/layout.h"
#include "backup/prune.h"
#include "base/error.h"
#include "base/sha256.h"
#include "base/text.h"
#include "world/files.h"
#include "world/tree.h"

namespace lifeboat {

namespace {

constexpr Bytes manifest_limit{64u << 20};

bool ends_the_call(const Error& error) {
    return error.code == ErrorCode::cancelled || error.code == ErrorCode::timed_out;
}

std::filesystem::path spool_folder(const BackupWork& work) {
    return work.workspace / "complete";
}

bool holds(const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

class Planning {
  public:
    Planning(const Catalogue& catalogue, const CompletionWish& wish) : catalogue_(catalogue), wish_(wish) {
        for (const CatalogueEntry& entry : catalogue.entries) {
            const bool asked = wish.from.empty() || holds(wish.from, entry.store);
            if (asked && entry.manifest) add_source(entry);
        }
    }

    CompletionPlan plan() {
        for (const StoreTrouble& trouble : catalogue_.troubles)
            if (holds(wish_.to, trouble.store))
                plan_.troubles.push_back({.store = trouble.store, .id = {}, .error = trouble.error});
        for (const Copies& copies : sources_) {
            if (wish_.id.empty() ? copies.all_unsound : copies.first->id != wish_.id) continue;
            plan_.found = true;
            add(copies);
            if (!wish_.all) add_parents(copies);
            if (!wish_.all) break;
        }
        // what others build on goes first
        std::reverse(plan_.backups.begin(), plan_.backups.end());
        return std::move(plan_);
    }

  private:
    struct Copies {
        const CatalogueEntry* first = nullptr;
        std::vector<const CatalogueEntry*> entries;  // of the same manifest
        bool all_unsound = true;
    };

    void add_source(const CatalogueEntry& entry) {
        const auto known = std::find_if(sources_.begin(), sources_.end(),
                                        [&](const Copies& copies) { return copies.first->id == entry.id; });
        Copies& copies = known == sources_.end() ? sources_.emplace_back() : *known;
        if (copies.first == nullptr) copies.first = &entry;
        if (entry.manifest_sha256 != copies.first->manifest_sha256) return;
        copies.entries.push_back(&entry);
        copies.all_unsound = copies.all_unsound && !entry.sound();
    }

    void add_parents(const Copies& child) {
        std::string id = child.first->manifest->parent;
        for (std::size_t depth = 0; !id.empty() && depth < sources_.size(); ++depth) {
            const auto parent = std::find_if(sources_.begin(), sources_.end(),
                                             [&](const Copies& copies) { return copies.first->id == id; });
            if (parent == sources_.end()) return;
            add(*parent);
            id = parent->first->manifest->parent;
        }
    }

    void add(const Copies& copies) {
        MissingCopies missing{.id = copies.first->id, .manifest_sha256 = copies.first->manifest_sha256};
        for (const bool unsound : {false, true})
            for (const CatalogueEntry* entry : copies.entries)
                if (entry->sound() != unsound) missing.from.push_back(entry->store);
        for (const CatalogueEntry& entry : catalogue_.entries)
            if (entry.id == missing.id && entry.pin && !missing.pin) missing.pin = entry.pin;
        for (const std::string& store : wish_.to)
            if (misses(store, missing) && (!wish_.all || would_keep(store, missing.id))) missing.to.push_back(store);
        if (!missing.to.empty()) plan_.backups.push_back(std::move(missing));
    }

    bool misses(const std::string& store, const MissingCopies& missing) {
        for (const StoreTrouble& trouble : catalogue_.troubles)
            if (trouble.store == store) return false;
        for (const CatalogueEntry& entry : catalogue_.entries) {
            if (entry.store != store || entry.id != missing.id) continue;
            if (entry.manifest_sha256 != missing.manifest_sha256)
                plan_.troubles.push_back(
                    {.store = store,
                     .id = entry.id,
                     .error = Error{ErrorCode::already_exists,
                                    "store '" + store + "' holds something else as backup '" + entry.id + "'" +
                                        (entry.refused.empty() ? "" : ": " + entry.refused),
                                    "Look at it, and remove it there when it is worth nothing."}});
            return false;
        }
        return true;
    }

    // Judged as if the store held every backup.
    bool would_keep(const std::string& store, const std::string& id) {
        const auto known = kept_.find(store);
        if (known != kept_.end()) return holds(known->second, id);
        Catalogue there;
        for (const Copies& copies : sources_) {
            CatalogueEntry entry = *copies.first;
            for (const CatalogueEntry& own : catalogue_.entries)
                if (own.id == entry.id && own.store == store) entry = own;
            entry.store = store;
            there.entries.push_back(std::move(entry));
        }
        std::vector<std::string>& kept = kept_[store];
        for (const StorePrune& prune : plan_prune(there, {store}, wish_.policy, std::nullopt, wish_.now).stores)
            for (const RetentionVerdict& verdict : prune.retention.verdicts)
                if (verdict.keep) kept.push_back(verdict.id);
        return holds(kept, id);
    }

    const Catalogue& catalogue_;
    const CompletionWish& wish_;
    std::vector<Copies> sources_;  // in the order of the catalogue
    std::map<std::string, std::vector<std::string>> kept_;
    CompletionPlan plan_;
};

class Completion {
  public:
    Completion(const CompletionRequest& request, const BackupWork& work)
        : request_(request), work_(work), control_(work.control), folder_(spool_folder(work)) {
        control_.moved = {};
    }

    CompletedBackup make() {
        try {
            read_manifest();
            for (const auto& store : request_.to)
                attempt(*store, [&] { begin(store); });
            for (const ManifestComponent& component : manifest_.components)
                for (const ManifestObject& object : component.objects)
                    copy(object);
            while (!targets_.empty()) {
                const Target target = targets_.front();
                if (attempt(*target.store, [&] { finish(target); })) {
                    completed_.stores.push_back(target.store->name());
                    forget(*target.store);
                }
            }
            remove_tree(folder_);
            return std::move(completed_);
        } catch (Error& error) {
            for (const Target& target : targets_)
                release(*target.store);
            remove_tree(folder_);
            throw error.during("completing backup '" + request_.id + "' of set '" + request_.set + "'");
        }
    }

  private:
    struct Target {
        std::shared_ptr<Store> store;
        bool fresh = true;  // nothing but this deed's own objects is there
    };

    // False when the store failed: it is left out from then on.
    template <typename Deed>
    bool attempt(Store& store, const Deed& deed) {
        try {
            deed();
            return true;
        } catch (const Error& error) {
            if (ends_the_call(error) || (!is_about_the_source(error.code) && error.code != ErrorCode::disk_full &&
                                         error.code != ErrorCode::already_exists && error.code != ErrorCode::moved))
                throw;
            completed_.troubles.push_back({.store = store.name(), .error = error});
            const bool began = std::any_of(targets_.begin(), targets_.end(),
                                           [&](const Target& target) { return target.store.get() == &store; });
            if (began) {
                forget(store);
                release(store);
            }
            return false;
        }
    }

    void forget(const Store& store) {
        targets_.erase(std::remove_if(targets_.begin(), targets_.end(),
                                      [&](const Target& target) { return target.store.get() == &store; }),
                       targets_.end());
    }

    // Also when the deed was asked to stop: what is left of a copy that will never be whole helps nobody.
    void release(Store& store) const {
        try {
            remove_claimed(store, request_.set, request_.id, request_.claim, {});
        } catch (const Error& left) {
            work_.log("what was written to store '" + store.name() + "' could not be removed: " + left.message);
        }
    }

    void read_manifest() {
        std::optional<Error> why;
        for (const auto& source : request_.from) {
            const std::string key = manifest_key(request_.set, request_.id);
            try {
                std::string text = read_all(*source, key, manifest_limit, control_);
                if (sha256_hex(text) != request_.manifest_sha256)
                    throw store_error(ErrorCode::corrupt, source->name(), key, "the manifest is another one by now");
                manifest_ = parse_manifest(text, "backup '" + request_.id + "'");
                text_ = std::move(text);
                maker_ = claim_of(*source, request_.set, request_.id, control_);
                read_signature_of_it();
                return;
            } catch (const Error& error) {
                if (!is_about_the_source(error.code)) throw;
                if (!why) why = error;
            }
        }
        throw why.value_or(Error{ErrorCode::no_candidate, "no store holds the backup"});
    }

    // Of whichever copy has one that is not wrong.
    void read_signature_of_it() {
        for (const auto& source : request_.from) {
            try {
                auto found = read_signature(*source, request_.set, request_.id, control_);
                const SignatureState state = judge_signature(found, text_, request_.trusted).state;
                if (state == SignatureState::none || state == SignatureState::wrong) continue;
                signature_ = std::move(found);
                return;
            } catch (const Error& error) {
                if (!is_about_the_source(error.code)) throw;
                work_.log("store '" + source->name() + "': " + error.full_message());
            }
        }
    }

    // Whether whoever has the claim writes exactly these bytes: the maker of the copies, or one who copies them.
    bool writes_the_same(const Claim& claim) const {
        if (claim.token.empty()) return false;
        return claim.token == request_.claim || claim.completes == request_.manifest_sha256 ||
               (maker_ && claim.token == maker_->token);
    }

    void begin(const std::shared_ptr<Store>& store) {
        const Claim own{.token = request_.claim, .completes = request_.manifest_sha256};
        const std::string place =
            "backup '" + request_.id + "' of set '" + request_.set + "' in store '" + store->name() + "'";
        const std::string hint = "When nobody writes it any more, remove the folder '" +
                                 backup_folder(request_.set, request_.id) + "' there, and complete it again.";
        if (const auto there = claim_of(*store, request_.set, request_.id, control_)) {
            if (!writes_the_same(*there))
                throw Error{ErrorCode::already_exists, place + " was begun by somebody else and is not complete", hint};
            if (there->token != own.token) {
                work_.log(place + " was begun and left: it is finished now");
                take_over_claim(*store, request_.set, request_.id, own, request_.at, control_);
            }
            targets_.push_back({.store = store, .fresh = false});
            return;
        }
        if (holds_objects(*store))
            throw Error{ErrorCode::already_exists, place + " has objects that nobody has claimed", hint};
        write_claim(*store, request_.set, request_.id, own, request_.at, control_);
        targets_.push_back({.store = store, .fresh = true});
    }

    bool holds_objects(Store& store) const {
        const std::string notes = object_key(request_.set, request_.id, notes_folder) + "/";
        bool found = false;
        store.list(
            ListQuery{.prefix = backup_folder(request_.set, request_.id)},
            [&](std::span<const Listed> page) {
                for (const Listed& line : page)
                    found = found || !line.object.key.starts_with(notes);
                return !found;
            },
            control_);
        return found;
    }

    void copy(const ManifestObject& object) {
        const std::string key = stored_key(manifest_, object);
        const ManifestObject as_stored{.key = object.key, .size = object.size, .sha256 = object.sha256};
        const bool own = key.starts_with(backup_folder(request_.set, request_.id));
        std::vector<Target> missing;
        for (const Target& target : std::vector<Target>(targets_)) {
            bool there = false;
            const bool asked = attempt(*target.store, [&] {
                there = own ? !target.fresh && is_right(*target.store, key, as_stored)
                            : require_shared(*target.store, key, as_stored);
            });
            if (asked && !there) missing.push_back(target);
        }
        if (missing.empty()) return;
        const std::filesystem::path file = bring(key, as_stored);
        for (const Target& target : missing) {
            attempt(*target.store, [&] {
                ByteProgress progress(work_, "writing '" + object.key + "' to '" + target.store->name() + "'",
                                      object.size.count);
                WorkControl control = control_;
                control.moved = [&](std::uint64_t bytes) { progress.add(bytes); };
                const StoredObject written =
                    target.store->write(key, content_of_file(file.string()),
                                        {.exclusive = target.fresh, .at_hand = is_index(object.key)}, control);
                if (written.size != object.size)
                    throw store_error(ErrorCode::incomplete, target.store->name(), key,
                                      "it was not written as a whole");
                completed_.copied += object.size.count;
            });
        }
        remove_file(file);
    }

    // What an earlier writer left is only worth something when its every byte is right.
    bool is_right(Store& store, const std::string& key, const ManifestObject& expected) {
        const auto there = store.stat(key, control_);
        if (!there || there->size != expected.size) return false;
        ByteProgress progress(work_, "reading '" + expected.key + "' in '" + store.name() + "'", expected.size.count);
        try {
            check_object(store, key, expected, progress, control_);
            return true;
        } catch (const SourceTrouble& trouble) {
            if (trouble.error.code != ErrorCode::corrupt && trouble.error.code != ErrorCode::incomplete)
                throw Error(trouble.error);
            return false;
        }
    }

    // An object of another backup, which this one refers to.
    bool require_shared(Store& store, const std::string& key, const ManifestObject& expected) const {
        const auto there = store.stat(key, control_);
        if (there && there->size == expected.size) return true;
        throw store_error(ErrorCode::incomplete, store.name(), key,
                          "backup '" + request_.id + "' builds on it, and it is not there",
                          "Complete the backup that it belongs to first.");
    }

    // The object's stored bytes, right, from whichever source has them.
    std::filesystem::path bring(const std::string& key, const ManifestObject& expected) {
        make_directories(folder_);
        const FileSystemSpace space = space_at(folder_);
        if (space.free.count < expected.size.count)
            throw Error{ErrorCode::disk_full,
                        "copying '" + expected.key + "' needs " + to_human(expected.size) +
                            ", but the file system at '" + space.mount_point.string() + "' has " +
                            to_human(space.free) + " free",
                        "Free some space there, or put the site's 'state' on another file system."};
        const std::filesystem::path file = folder_ / "object";
        std::optional<Error> why;
        for (const auto& source : request_.from) {
            ByteProgress progress(work_, "reading '" + expected.key + "' from '" + source->name() + "'",
                                  expected.size.count);
            try {
                fetch_object(*source, key, expected, {}, file, folder_ / "part", progress, control_);
                return file;
            } catch (const SourceTrouble& trouble) {
                work_.log("store '" + source->name() + "': " + trouble.error.full_message());
                // what may go away by itself is the better reason to fail: another attempt can help
                if (!why || (info(trouble.error.code).transient && !info(why->code).transient)) why = trouble.error;
            }
        }
        throw why.value_or(Error{ErrorCode::no_candidate, "no store holds the backup"});
    }

    void finish(const Target& target) {
        Store& store = *target.store;
        const WriteOptions options{.exclusive = target.fresh, .at_hand = true};
        store.write(object_key(request_.set, request_.id, sums_name),
                    content_of(checksum_file(manifest_, request_.manifest_sha256)), options, control_);
        if (request_.pin)
            write_note(
                store, request_.set, request_.id,
                pin_note(request_.pin->at, request_.manifest_sha256, true, request_.pin->reason, request_.pin->by),
                control_);
        if (signature_)
            store.write(object_key(request_.set, request_.id, signature_name), content_of(*signature_), options,
                        control_);
        store.write(manifest_key(request_.set, request_.id), content_of(text_), options, control_);
        // whoever was taken over may have removed what it had written
        for (const ManifestComponent& component : manifest_.components) {
            for (const ManifestObject& object : component.objects) {
                const std::string key = stored_key(manifest_, object);
                const auto there = store.stat(key, control_);
                if (!there || there->size != object.size)
                    throw store_error(ErrorCode::moved, store.name(), key, "somebody removed it meanwhile");
            }
        }
    }

    const CompletionRequest& request_;
    const BackupWork& work_;
    WorkControl control_;
    std::filesystem::path folder_;
    Manifest manifest_;
    std::string text_;  // its very bytes
    std::optional<std::string> signature_;
    std::optional<Claim> maker_;  // whose claim lies beside the copies
    std::vector<Target> targets_;
    CompletedBackup completed_;
};

}  // namespace

CompletionPlan plan_completion(const Catalogue& catalogue, const CompletionWish& wish) {
    return Planning(catalogue, wish).plan();
}

CompletedBackup complete_backup(const CompletionRequest& request, const BackupWork& work) {
    check_part_name(request.set, "backup set");
    return Completion(request, work).make();
}

void remove_spooled(const BackupWork& work) {
    remove_tree(spool_folder(work));
}

}  // namespace lifeboat
