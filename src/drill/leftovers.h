// Removing sandboxes, also those whose runner was killed: everything that is needed stands in the sandbox's own folder.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace lifeboat {

inline constexpr std::string_view sandbox_prefix = "lifeboat-drill-";

// $TMPDIR, else /tmp.
std::filesystem::path sandbox_parent();

// Ends the runs' processes, services and servers of the sandbox and removes its folder; returns what could not be, a
// line each. The folder stays until everything else is gone, so that it can be called again.
std::vector<std::string> remove_sandbox(const std::filesystem::path& folder);

struct Leftovers {
    std::vector<std::string> removed;  // folders
    std::vector<std::string> left;     // what could not be removed, and why
};
// Sandboxes of this user below `parent` whose runner is gone; with `also_kept` those that were kept on purpose as well.
Leftovers remove_leftovers(const std::filesystem::path& parent, bool also_kept);

}  // namespace lifeboat
