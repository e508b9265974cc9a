#include "actions/files_swap.h"

#include "base/error.h"
#include "world/tree.h"

namespace lifeboat {

bool is_at(const std::filesystem::path& path, const std::optional<FileIdentity>& wanted) {
    const auto there = identity_of(path);
    return there && wanted && same_object(*there, *wanted);
}

void refuse_foreign(const FilesSwap& swap) {
    throw Error{ErrorCode::moved,
                "'" + swap.live.string() +
                    "' is no longer what it was when this step was prepared, and what it was is not kept either",
                "Find out who replaced it; nothing was done."};
}

void refuse_stranger(const FilesSwap& swap) {
    throw Error{ErrorCode::moved, "'" + swap.live.string() + "' is not what this step put there, so it is left alone",
                swap.old ? "The old one is at '" + swap.kept.string() + "'." : ""};
}

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
    if (is_at(swap.live, swap.old)) return SwapPhase::before;
    if (is_at(swap.kept, swap.old)) return something_live ? SwapPhase::done : SwapPhase::away;
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
            if (!is_at(swap.live, fresh)) {
                // Without an old object and without a note the move never happened: this is somebody else's.
                if (!swap.old && !fresh) return remove_tree(swap.staged);
                refuse_stranger(swap);
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

std::optional<FileIdentity> fresh_of(const Notes& notes) {
    const auto note = notes.find("fresh");
    if (note == notes.end()) return std::nullopt;
    return file_identity_from_json(note->second.at("identity"));
}

ProbeResult probe_swap(const FilesSwap& swap, const Notes& notes,
                       const std::function<Outputs(const Json& fresh)>& outputs) {
    using Answer = ProbeResult::Answer;
    const std::string live = "'" + swap.live.string() + "'";
    switch (phase_of(swap)) {
        case SwapPhase::before:
            return {.answer = Answer::not_done,
                    .evidence = swap.old ? live + " is still the old one" : live + " still does not exist"};
        case SwapPhase::away:
            return {.answer = Answer::not_done,
                    .evidence = "nothing is at " + live + ", the old one is at '" + swap.kept.string() + "'"};
        case SwapPhase::done: {
            const auto fresh = fresh_of(notes);
            if (!fresh) {
                return {.answer = swap.old ? Answer::cannot_tell : Answer::not_done,
                        .evidence = "at " + live + " is something that this step did not make"};
            }
            if (!is_at(swap.live, fresh))
                return {.answer = Answer::cannot_tell,
                        .evidence = live + " is neither the old one nor what was staged"};
            return {.answer = Answer::done,
                    .outputs = outputs(notes.at("fresh")),
                    .evidence = live + " is what was staged"};
        }
        case SwapPhase::foreign:
            return {.answer = Answer::cannot_tell,
                    .evidence = live + " is not the old one, and the old one is not kept"};
    }
    return {};
}

std::string told_undo(const FilesSwap& swap, SwapPhase found, const std::optional<FileIdentity>& fresh) {
    if (found == SwapPhase::before || (!swap.old && !fresh))
        return "removed the unfinished copy beside '" + swap.live.string() + "'";
    return swap.old ? "put back '" + swap.live.string() + "'"
                    : "removed '" + swap.live.string() + "', which was not there before";
}

}  // namespace lifeboat
