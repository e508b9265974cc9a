#include "cli/exit_code.h"

#include <array>

namespace lifeboat {

namespace {

constexpr std::array meanings{
    ExitMeaning{0, "recovered, and nothing else; for other verbs: done"},
    ExitMeaning{1, "failed or aborted"},
    ExitMeaning{2, "the command line is wrong, or a file is not valid"},
    ExitMeaning{3, "recovered late, or nothing proved the data (unverified)"},
    ExitMeaning{4, "rolled back cleanly"},
    ExitMeaning{5, "the rollback is incomplete: hands are needed"},
    ExitMeaning{6, "paused: `lifeboat status` says what can be answered"},
    ExitMeaning{7, "in doubt: a person has to say what happened to a step"},
    ExitMeaning{8, "the drill's cleanup is incomplete"},
    ExitMeaning{9, "refused before anything was touched: preflight, or isolation of a drill not proven"},
    ExitMeaning{10, "the target is held by another run"},
    ExitMeaning{11, "the saved plan is stale: something it was made from has moved"},
    ExitMeaning{70, "a bug of lifeboat"},
    ExitMeaning{130, "paused by Ctrl-C (SIGINT)"},
    ExitMeaning{143, "paused by SIGTERM"},
};

}  // namespace

std::span<const ExitMeaning> exit_meanings() {
    return meanings;
}

int exit_code(ErrorCode code) {
    if (code == ErrorCode::usage || code == ErrorCode::invalid_file) return 2;
    if (code == ErrorCode::refused) return 9;
    if (code == ErrorCode::locked) return 10;
    if (code == ErrorCode::stale_plan) return 11;
    if (code == ErrorCode::internal) return 70;
    return 1;
}

}  // namespace lifeboat
