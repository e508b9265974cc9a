// What /proc says of processes: the facts by which a process group is recognised and watched.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.h"

namespace lifeboat {

struct ProcessRow {
    int pid = 0;
    char state = '?';  // 'Z' and 'X': dead, only its number is left
    int group = 0;
    int session = 0;
    std::uint64_t start_ticks = 0;

    bool dead() const { return state == 'Z' || state == 'X'; }
};

std::optional<ProcessRow> process_row(int pid);
// The members of a process group that are not dead.
std::vector<ProcessRow> living_members(int group);
// Whether a process group has a member that is not dead. Cheap when the group does not exist at all.
bool group_lives(int group);

// TERM, CONT, at most `grace`, KILL, until no member lives; false when some still do 5 s after KILL (stuck inside the
// kernel).
bool end_process_group(int group, Duration grace);

}  // namespace lifeboat
