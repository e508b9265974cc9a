// Objects are written under temporary names, which are never listed and no keys. A writer that dies leaves its file
// behind; the next ones remove it, by one rule for every store that has files: its name is one that only we make, and
// by the server's own clock nothing was written to it for a day.
#pragma once

#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/time.h"

namespace lifeboat {

inline constexpr std::string_view temporary_mark = ".lifeboat-writing-";

// `name` within its folder, of a plain file. Both times are the server's.
bool is_left_behind(std::string_view name, std::optional<Timestamp> modified, std::optional<Timestamp> now);

// The folders of a store that were looked through since it was opened. Thread-safe.
class SweptFolders {
  public:
    // True the first time.
    bool add(std::string_view folder);

  private:
    std::mutex mutex_;
    std::set<std::string, std::less<>> folders_;
};

}  // namespace lifeboat
