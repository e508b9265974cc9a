#include <fstream>

#include <fcntl.h>
#include <unistd.h>

#include "world/process.h"
#include "world/process_table.h"

namespace lifeboat {

std::string boot_id() {
    // it cannot change while this process lives
    static const std::string id = [] {
        std::ifstream file("/proc/sys/kernel/random/boot_id");
        std::string text;
        std::getline(file, text);
        return text;
    }();
    return id;
}

ChildIdentity this_process() {
    const int pid = ::getpid();
    const std::optional<ProcessRow> row = process_row(pid);
    return {.pid = pid, .start_ticks = row ? row->start_ticks : 0, .boot_id = boot_id()};
}

bool is_alive(const ChildIdentity& child) {
    if (child.pid <= 0 || child.boot_id != boot_id()) return false;
    const std::optional<ProcessRow> row = process_row(child.pid);
    return row && row->start_ticks == child.start_ticks && !row->dead();
}

bool end_group(const ChildIdentity& child, Duration grace) {
    if (child.pid <= 1 || child.boot_id != boot_id()) return false;
    if (const std::optional<ProcessRow> leader = process_row(child.pid)) {
        if (leader->start_ticks != child.start_ticks || leader->group != child.pid) return false;
    } else {
        // The leader is gone. Its number stays reserved as long as its group has members, who began after it.
        for (const ProcessRow& member : living_members(child.pid)) {
            if (member.start_ticks < child.start_ticks) return false;
        }
    }
    if (!group_lives(child.pid)) return false;
    end_process_group(child.pid, grace);
    return true;
}

Timestamp started_at(const ChildIdentity& child) {
    // both clocks are read at once; ticks count from the boot, suspended time included
    timespec since_boot{};
    ::clock_gettime(CLOCK_BOOTTIME, &since_boot);
    const auto now = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
    const auto up = std::chrono::seconds(since_boot.tv_sec) + std::chrono::nanoseconds(since_boot.tv_nsec);
    const auto ticks = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
    const auto at = std::chrono::microseconds(child.start_ticks * 1'000'000u / ticks);
    return now - std::chrono::duration_cast<Duration>(up) + at;
}

}  // namespace lifeboat
