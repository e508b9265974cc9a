#include "actions/files_swap.h"

#include "base/error.h"
#include "world/tree.h"

namespace lifeboat {

namespace {

bool is(const std::filesystem::path& path, const std::optional<FileIdentity>& wanted) {
    const auto there = identity_of(path);
    return there && wanted && same_object(*there, *wanted);
}

[[noreturn]] void refuse_foreign(const FilesSwap& swap) {
    throw Error{ErrorCode::moved,
                "'" + swap.live.string() +
                    "' is no longer what it was when this step was prepared, and what it was is not kept either",
                "Find out who replaced it; nothing was done."};
}

}  // namespace

Json to_json(const FilesSwap& swap) {
    return {{"live", swap.live.string()},
            {"staged", swap.staged.string()},
            {"kept", swap.kept.string()},
            {"old", swap.old ? to_json(*swap.old) : Json(nullptr)}};
}

FilesSwap files_swap_from_json(const Json& value) {
    FilesSwap swap{.live = value.at("live").get<std::string>(),
                   .staged = value.at("staged").get<std::string>(),
                   .kept = value.at("kept").get<std::string>(),
                   .old = {}};
    if (!value.at("old").is_null()) swap.old = file_identity_from_json(value.at("old"));
    return swap;
}

SwapPhase phase_of(const FilesSwap& swap) {
    const bool something_live = identity_of(swap.live).has_value();
    if (!swap.old) return something_live ? SwapPhase::done : SwapPhase::before;
    if (is(swap.live, swap.old)) return SwapPhase::before;
    if (is(swap.kept, swap.old)) return something_live ? SwapPhase::done : SwapPhase::away;
    return SwapPhase::foreign;
}

bool step_forward(const FilesSwap& swap) {
    switch (phase_of(swap)) {
        case SwapPhase::before:
            if (!swap.old) {
                move_durably(swap.staged, swap.live);
                return true;
            }
            if (!identity_of(swap.kept)) {
                // First under the name that the old one will be kept by, so that the exchange is the whole swap.
                move_durably(swap.staged, swap.kept);
                return true;
            }
            try {
                exchange(swap.live, swap.kept);
            } catch (const Error& error) {
                if (error.code != ErrorCode::unsupported) throw;
                move_durably(swap.kept, swap.staged);
                move_durably(swap.live, swap.kept);
            }
            return true;
        case SwapPhase::away:
            move_durably(swap.staged, swap.live);
            return true;
        case SwapPhase::done:
            return false;
        case SwapPhase::foreign:
            refuse_foreign(swap);
    }
    return false;
}

bool step_back(const FilesSwap& swap, const std::optional<FileIdentity>& fresh) {
    switch (phase_of(swap)) {
        case SwapPhase::before:
            // Both names carry the run and are not the old object: whatever stands there is our own copy.
            return remove_tree(swap.staged) || (swap.old && remove_tree(swap.kept));
        case SwapPhase::away:
            move_durably(swap.kept, swap.live);
            return true;
        case SwapPhase::done:
            if (!is(swap.live, fresh)) {
                // Without an old object and without a note the move never happened: this is somebody else's.
                if (!swap.old && !fresh) return remove_tree(swap.staged);
                throw Error{ErrorCode::moved,
                            "'" + swap.live.string() + "' is not what this step put there, so it is left alone",
                            swap.old ? "The old one is at '" + swap.kept.string() + "'." : ""};
            }
            if (!swap.old) {
                move_durably(swap.live, swap.staged);
                return true;
            }
            try {
                exchange(swap.live, swap.kept);
            } catch (const Error& error) {
                if (error.code != ErrorCode::unsupported) throw;
                remove_tree(swap.staged);
                move_durably(swap.live, swap.staged);
            }
            return true;
        case SwapPhase::foreign:
            refuse_foreign(swap);
    }
    return false;
}

}  // namespace lifeboat
