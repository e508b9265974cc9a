// Words typed → verb and call; and the one place where what a verb throws becomes a message and an exit code.
#pragma once

#include <span>
#include <string>
#include <variant>
#include <vector>

#include "cli/verb.h"

namespace lifeboat {

struct Parsed {
    const Subcommand* verb = nullptr;  // null: the help of all was asked for
    Call call;
    bool help = false;
    std::string log_level;
};

// Throws Error{usage}, with a did-you-mean where something near exists.
Parsed parse_command_line(const std::vector<std::string>& words, std::span<const Subcommand> verbs);

// The whole program behind `main`.
int run_program(int argc, char** argv);

}  // namespace lifeboat
