#include "actions/sqlite_swap.h"

#include "base/error.h"
#include "world/sqlite.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

fs::path with(const fs::path& path, const std::string& suffix) {
    return path.string() + suffix;
}

bool is(const fs::path& path, const std::optional<FileIdentity>& wanted) {
    const auto there = identity_of(path);
    return there && wanted && same_object(*there, *wanted);
}

[[noreturn]] void refuse_foreign(const SqliteSwap& swap) {
    throw Error{ErrorCode::moved,
                "the database '" + swap.live.string() +
                    "' is no longer what it was when this step was prepared, and what it was is not kept either",
                "Find out who replaced it; nothing was done."};
}

// One companion out of the way of the new database; false when none is left. Where the old one is kept already, the one
// found here was left by a restored database that an undo has taken away since.
bool move_a_companion_away(const SqliteSwap& swap) {
    for (const auto& suffix : sqlite_companions()) {
        if (!identity_of(with(swap.live, suffix))) continue;
        if (identity_of(with(swap.kept, suffix))) return remove_file(with(swap.live, suffix));
        move_durably(with(swap.live, suffix), with(swap.kept, suffix));
        return true;
    }
    return false;
}

// With nothing live: first what the restored database left beside it, then the old companions come back.
bool move_a_companion_back(const SqliteSwap& swap, const Companions& old_companions) {
    for (const auto& suffix : sqlite_companions()) {
        const fs::path beside = with(swap.live, suffix);
        if (!identity_of(beside)) continue;
        const auto old = old_companions.find(suffix);
        if (old != old_companions.end() && is(beside, old->second)) continue;  // never left, or came back already
        return remove_file(beside);
    }
    for (const auto& suffix : sqlite_companions()) {
        if (!identity_of(with(swap.kept, suffix))) continue;
        move_durably(with(swap.kept, suffix), with(swap.live, suffix));
        return true;
    }
    return false;
}

bool remove_staged(const SqliteSwap& swap) {
    if (remove_file(swap.staged)) return true;
    for (const auto& suffix : sqlite_companions()) {
        if (remove_file(with(swap.staged, suffix))) return true;
    }
    return false;
}

}  // namespace

Json to_json(const SqliteSwap& swap) {
    return {{"live", swap.live.string()},
            {"staged", swap.staged.string()},
            {"kept", swap.kept.string()},
            {"old", swap.old ? to_json(*swap.old) : Json(nullptr)}};
}

SqliteSwap sqlite_swap_from_json(const Json& value) {
    const FilesSwap names = files_swap_from_json(value);
    return {.live = names.live, .staged = names.staged, .kept = names.kept, .old = names.old};
}

Companions companions_of(const fs::path& database) {
    Companions found;
    for (const auto& suffix : sqlite_companions()) {
        if (const auto identity = identity_of(with(database, suffix))) found.emplace(suffix, *identity);
    }
    return found;
}

Json to_json(const Companions& companions) {
    Json value = Json::object();
    for (const auto& [suffix, identity] : companions)
        value[suffix] = to_json(identity);
    return value;
}

Companions companions_from_json(const Json& value) {
    Companions companions;
    for (const auto& [suffix, identity] : value.items())
        companions.emplace(suffix, file_identity_from_json(identity));
    return companions;
}

SwapPhase phase_of(const SqliteSwap& swap) {
    return phase_of(FilesSwap{.live = swap.live, .staged = swap.staged, .kept = swap.kept, .old = swap.old});
}

bool step_forward(const SqliteSwap& swap) {
    switch (phase_of(swap)) {
        case SwapPhase::before:
            if (swap.old) {
                move_durably(swap.live, swap.kept);
                return true;
            }
            // A database that is not there may still have left a -wal, which the new one must not find.
            if (!move_a_companion_away(swap)) move_durably(swap.staged, swap.live);
            return true;
        case SwapPhase::away:
            if (!move_a_companion_away(swap)) move_durably(swap.staged, swap.live);
            return true;
        case SwapPhase::done:
            return false;
        case SwapPhase::foreign:
            refuse_foreign(swap);
    }
    return false;
}

bool step_back(const SqliteSwap& swap, const std::optional<FileIdentity>& fresh, const Companions& old_companions) {
    switch (phase_of(swap)) {
        case SwapPhase::before:
            if (!swap.old && move_a_companion_back(swap, old_companions)) return true;
            return remove_staged(swap);
        case SwapPhase::away:
            if (!move_a_companion_back(swap, old_companions)) move_durably(swap.kept, swap.live);
            return true;
        case SwapPhase::done:
            if (!is(swap.live, fresh)) {
                if (!swap.old && !fresh) return remove_staged(swap);
                throw Error{
                    ErrorCode::moved,
                    "the database '" + swap.live.string() + "' is not what this step put there, so it is left alone",
                    swap.old ? "The old one is at '" + swap.kept.string() + "'." : ""};
            }
            if (!remove_staged(swap)) move_durably(swap.live, swap.staged);
            return true;
        case SwapPhase::foreign:
            refuse_foreign(swap);
    }
    return false;
}

std::vector<fs::path> kept_files(const SqliteSwap& swap) {
    std::vector<fs::path> files;
    if (identity_of(swap.kept)) files.push_back(swap.kept);
    for (const auto& suffix : sqlite_companions()) {
        if (identity_of(with(swap.kept, suffix))) files.push_back(with(swap.kept, suffix));
    }
    return files;
}

}  // namespace lifeboat
