#include "backup/claim.h"

#include <array>
#include <vector>

#include "backup/layout.h"
#include "backup/notes.h"
#include "base/error.h"
#include "base/json.h"
#include "base/sha256.h"
#include "world/crypto.h"

namespace lifeboat {

namespace {

constexpr std::string_view claim_kind = "started";

// Two makers of one id want the same claim: its name holds nothing but the id.
std::string claim_key(const std::string& set, const std::string& id) {
    return note_key(set, id, time_of_backup_id(id).value_or(Timestamp{}), claim_kind);
}

Content content_for(const Claim& claim, Timestamp at) {
    Json facts{{"claim", claim.token}};
    if (!claim.completes.empty()) facts["completes"] = claim.completes;
    return content_of(to_pretty_text({{"lifeboat", note_format},
                                      {"kind", claim_kind},
                                      {"at", to_text(at)},
                                      {"manifest_sha256", ""},
                                      {"facts", std::move(facts)}}) +
                      "\n");
}

}  // namespace

std::string new_claim_token() {
    std::array<std::uint8_t, 16> random{};
    fill_random(random);
    return to_hex(random);
}

std::optional<Claim> claim_of(Store& store, const std::string& set, const std::string& id, const WorkControl& control) {
    const std::string key = claim_key(set, id);
    try {
        const Json facts = parse_json(read_all(store, key, Bytes{1u << 16}, control), key).at("facts");
        return Claim{.token = facts.at("claim"), .completes = facts.value("completes", "")};
    } catch (const Error& error) {
        if (error.code == ErrorCode::not_found) return std::nullopt;
        if (error.code == ErrorCode::invalid_file) return Claim{};
        throw;
    } catch (const Json::exception&) {
        return Claim{};
    }
}

void write_claim(Store& store, const std::string& set, const std::string& id, const Claim& claim, Timestamp at,
                 const WorkControl& control) {
    try {
        store.write(claim_key(set, id), content_for(claim, at), WriteOptions{.exclusive = true, .at_hand = true},
                    control);
    } catch (const Error& error) {
        if (error.code != ErrorCode::already_exists) throw;
        if (const auto there = claim_of(store, set, id, control); there && there->token == claim.token) return;
        throw Error{ErrorCode::moved, "backup '" + id + "' of set '" + set + "' in store '" + store.name() +
                                          "' is somebody else's by now"};
    }
}

void take_over_claim(Store& store, const std::string& set, const std::string& id, const Claim& claim, Timestamp at,
                     const WorkControl& control) {
    store.write(claim_key(set, id), content_for(claim, at), WriteOptions{.at_hand = true}, control);
}

bool remove_claimed(Store& store, const std::string& set, const std::string& id, const std::string& token,
                    const WorkControl& control) {
    if (const auto there = claim_of(store, set, id, control); !there || there->token != token) return false;
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
