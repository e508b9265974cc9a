// Objects of one copy on their way out of cold storage: all of them are asked for at once, then looked after at growing
// distances until each can be read. To ask again changes nothing, so whoever was killed while he waited does the same
// once more and waits on.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "backup/work.h"
#include "stores/cold_storage.h"
#include "stores/store.h"

namespace lifeboat {

// How time passes for those who wait.
struct ThawWaiting {
    std::function<Timestamp()> now = [] { return SystemClock().now(); };
    // Throws as WorkControl::check.
    std::function<void(Duration duration, const WorkControl& control)> pause =
        [](Duration duration, const WorkControl& control) { control.pause(duration); };
    Duration first_look = std::chrono::seconds(1);  // doubles with each look
    Duration longest_look = std::chrono::minutes(5);
    Duration sign_of_life = std::chrono::seconds(5);  // progress is said that often
};

struct ThawOrder {
    std::string what;  // "backup '2026-02-01T02-00-00Z'", for people
    std::vector<std::string> keys;
    std::filesystem::path asked_note;  // a file that keeps since when it is waited, for whoever waits on
};

// Returns when all can be read; at once, and without a word, when they can already. A store that is out of reach for a
// while is asked again later. Throws what the store throws when it is asked, and as WorkControl::check.
void thaw(Store& store, const ThawOrder& order, const ThawWaiting& waiting, const BackupWork& work);

}  // namespace lifeboat
