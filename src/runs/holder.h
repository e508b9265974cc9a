// Who holds a lock, as written into the lock's file for those who find it taken. Never decides anything: a lock is held
// exactly as long as the kernel says so (flock), whatever stands here and whatever the clock says.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/time.h"
#include "engine/event.h"

namespace lifeboat {

struct Holder {
    std::string run_id;
    Runner runner;
    Timestamp since{};
    std::string identity;  // of the target; empty for the lock of a run itself
};

Json to_json(const Holder& holder);
// nullopt for text that is none (a lock that is being written).
std::optional<Holder> holder_from(std::string_view text);
// "run '…' of user 'x' on host 'y' (process 7) since 2026-02-01 02:00:00Z"
std::string to_text(const Holder& holder);

// This process, as a runner.
Runner this_runner();

// Who says to hold this lock; nullopt when nobody ever wrote that.
std::optional<Holder> holder_of(const std::filesystem::path& lock);

}  // namespace lifeboat
