#include "runs/target_locks.h"

#include <map>

#include <unistd.h>

#include "base/error.h"
#include "base/sha256.h"
#include "runs/open_file.h"
#include "world/file_lock.h"
#include "world/files.h"

namespace lifeboat {

namespace {

class HeldLocks final : public Held {
  public:
    explicit HeldLocks(std::vector<FileLock> locks) : locks_(std::move(locks)) {}

  private:
    std::vector<FileLock> locks_;
};

// Identity → name of the resource that has it. Sorted, so that everybody takes locks in the same order.
std::map<std::string, std::string> identities_of(const std::vector<TargetIdentity>& targets) {
    std::map<std::string, std::string> identities;
    for (const TargetIdentity& target : targets) {
        identities.emplace(target.declared, target.resource);
        if (target.measured) identities.emplace(*target.measured, target.resource);
    }
    return identities;
}

[[noreturn]] void refuse(const std::string& resource, const std::string& how, const std::optional<Holder>& holder,
                         std::string hint) {
    Error error{ErrorCode::locked,
                "target '" + resource + "' is " + how + " by " + (holder ? to_text(*holder) : "another process"),
                std::move(hint)};
    if (holder) error.details = to_json(*holder);
    throw error;
}

}  // namespace

std::unique_ptr<Held> TargetLocks::take(const std::vector<TargetIdentity>& targets, const Holder& holder) const {
    make_directories(locks_);
    make_directories(claims_);
    const auto identities = identities_of(targets);
    std::vector<FileLock> held;
    for (const auto& [identity, resource] : identities) {
        const auto path = locks_ / (sha256_hex(identity) + ".lock");
        auto lock = FileLock::try_take(path);
        if (!lock) {
            refuse(resource, "held", holder_of(path), "Wait for that run, or look at it with 'lifeboat status'.");
        }
        held.push_back(std::move(*lock));
    }
    for (const auto& [identity, resource] : identities)
        refuse_foreign_claim(identity, resource, holder.run_id);
    // nothing is written before every door is known to be open
    std::size_t next = 0;
    for (const auto& [identity, resource] : identities) {
        Holder mine = holder;
        mine.identity = identity;
        held[next++].write_note(to_text(to_json(mine)));
        write_durably(claims_ / (sha256_hex(identity) + ".json"), to_text(to_json(mine)) + "\n");
    }
    return std::make_unique<HeldLocks>(std::move(held));
}

// Called with the identity's lock held: no live process stands behind the claim.
void TargetLocks::refuse_foreign_claim(const std::string& identity, const std::string& resource,
                                       const std::string& run_id) const {
    const auto path = claims_ / (sha256_hex(identity) + ".json");
    const auto text = read_file_if_any(path);
    if (!text) return;
    const auto claim = holder_from(*text);
    // claims are renamed in whole: one that cannot be read was damaged, and guessing whose it is would be guessing
    if (!claim) {
        throw Error{ErrorCode::locked,
                    "target '" + resource + "' is claimed, but '" + path.string() + "' cannot be read",
                    "Make sure that no run on this target is unfinished, then remove that file."};
    }
    if (claim->run_id == run_id) return;
    if (is_over_(claim->run_id)) {
        ::unlink(path.c_str());
        return;
    }
    const std::string& other = claim->run_id;
    refuse(resource, "claimed", claim,
           "That run has not ended: 'lifeboat resume " + other + "', 'lifeboat rollback " + other +
               "' or 'lifeboat abandon " + other + "' first.");
}

void TargetLocks::release_claims(const std::string& run_id) const {
    if (!std::filesystem::is_directory(claims_)) return;
    bool removed = false;
    for (const auto& entry : std::filesystem::directory_iterator(claims_)) {
        const auto text = read_file_if_any(entry.path());
        const auto claim = text ? holder_from(*text) : std::nullopt;
        if (!claim || claim->run_id != run_id) continue;
        ::unlink(entry.path().c_str());
        removed = true;
    }
    if (removed) sync_directory(claims_);
}

}  // namespace lifeboat
