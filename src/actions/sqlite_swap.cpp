#include "actions/sqlite_swap.h"

#include "base/error.h"
#include "world/sqlite.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

fs::path with(const fs::path& path, const std::string& suffix) {
    return path.string() + suffix;
}

// One companion out of the way of the new database; false when none is left. Where the old one is kept already, the one
// found here was left by a restored database that an undo has taken away since.
bool move_a_companion_away(const FilesSwap& swap) {
    for (const auto& suffix : sqlite_companions()) {
        if (!identity_of(with(swap.live, suffix))) continue;
        if (identity_of(with(swap.kept, suffix))) return remove_file(with(swap.live, suffix));
        move_durably(with(swap.live, suffix), with(swap.kept, suffix));
        return true;
    }
    return false;
}

// With nothing live: first what the restored database left beside it, then the old companions come back.
bool move_a_companion_back(const FilesSwap& swap, const Companions& old_companions) {
    for (const auto& suffix : sqlite_companions()) {
        const fs::path beside = with(swap.live, suffix);
        if (!identity_of(beside)) continue;
        const auto old = old_companions.find(suffix);
        if (old != old_companions.end() && is_at(beside, old->second)) continue;  // never left, or came back already
        return remove_file(beside);
    }
    for (const auto& suffix : sqlite_companions()) {
        if (!identity_of(with(swap.kept, suffix))) continue;
        move_durably(with(swap.kept, suffix), with(swap.live, suffix));
        return true;
    }
    return false;
}

bool remove_staged(const FilesSwap& swap) {
    if (remove_file(swap.staged)) return true;
    for (const auto& suffix : sqlite_companions()) {
        if (remove_file(with(swap.staged, suffix))) return true;
    }
    return false;
}

}  // namespace

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

bool step_database_forward(const FilesSwap& swap) {
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

bool step_database_back(const FilesSwap& swap, const std::optional<FileIdentity>& fresh,
                        const Companions& old_companions) {
    switch (phase_of(swap)) {
        case SwapPhase::before:
            if (!swap.old && move_a_companion_back(swap, old_companions)) return true;
            return remove_staged(swap);
        case SwapPhase::away:
            if (!move_a_companion_back(swap, old_companions)) move_durably(swap.kept, swap.live);
            return true;
        case SwapPhase::done:
            if (!is_at(swap.live, fresh)) {
                if (!swap.old && !fresh) return remove_staged(swap);
                refuse_stranger(swap);
            }
            if (!remove_staged(swap)) move_durably(swap.live, swap.staged);
            return true;
        case SwapPhase::foreign:
            refuse_foreign(swap);
    }
    return false;
}

std::vector<fs::path> kept_files(const FilesSwap& swap) {
    std::vector<fs::path> files;
    if (identity_of(swap.kept)) files.push_back(swap.kept);
    for (const auto& suffix : sqlite_companions()) {
        if (identity_of(with(swap.kept, suffix))) files.push_back(with(swap.kept, suffix));
    }
    return files;
}

}  // namespace lifeboat
