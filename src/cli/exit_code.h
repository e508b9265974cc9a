// The exit codes of design §6, stated once: `main`, the help and docs/reference/cli.md read this table.
#pragma once

#include <span>
#include <string_view>

#include "base/error.h"

namespace lifeboat {

struct ExitMeaning {
    int code;
    std::string_view meaning;
};

std::span<const ExitMeaning> exit_meanings();

// How a verb ends that threw this error.
int exit_code(ErrorCode code);

}  // namespace lifeboat
