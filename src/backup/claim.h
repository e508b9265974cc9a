// Who writes a backup to a store: the first object is a claim, a note of kind 'started' with the token of the deed. Two
// writers of one id cannot mix their objects, and an undo removes nothing but its own.
#pragma once

#include <optional>
#include <string>

#include "base/time.h"
#include "stores/store.h"

namespace lifeboat {

struct Claim {
    std::string token;           // of the deed, the same for every attempt; empty: what is there cannot be read
    std::string completes = {};  // the manifest whose backup is copied here; empty: a new backup is made
    bool operator==(const Claim&) const = default;
};

std::string new_claim_token();

// nullopt when nobody has begun this backup here.
std::optional<Claim> claim_of(Store& store, const std::string& set, const std::string& id,
                              const WorkControl& control = {});

// Throws Error{moved} when it is somebody else's; what was this deed's already stays so.
void write_claim(Store& store, const std::string& set, const std::string& id, const Claim& claim, Timestamp at,
                 const WorkControl& control);
// Whoever had it before has lost it.
void take_over_claim(Store& store, const std::string& set, const std::string& id, const Claim& claim, Timestamp at,
                     const WorkControl& control);

// Removes what was written to `store` under the claim with this token: the manifest first, the claim last. False when
// there was nothing of it. Can be called again after a kill.
bool remove_claimed(Store& store, const std::string& set, const std::string& id, const std::string& token,
                    const WorkControl& control = {});

}  // namespace lifeboat
