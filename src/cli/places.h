// Where things are found: the site file, runbooks by name, the folder of runs.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "runbook/site.h"

namespace lifeboat {

// By `option` (--site), else $LIFEBOAT_SITE, lifeboat.yaml here or above, /etc/lifeboat/lifeboat.yaml; nullopt when
// there is none. Throws Error{usage} when the one that was named does not exist.
std::optional<std::filesystem::path> find_site(const std::optional<std::string>& option);

// A path as it is, or `name` as runbooks/<name>.yaml beside the site, then here. Throws Error{usage} with a
// did-you-mean.
std::filesystem::path find_runbook(const std::string& name, const std::optional<std::filesystem::path>& site);
// The same without throwing: nullopt when there is none.
std::optional<std::filesystem::path> look_for_runbook(const std::string& name,
                                                      const std::optional<std::filesystem::path>& site);

// Every file in the runbooks folders beside the site and here, sorted.
std::vector<std::filesystem::path> runbooks_around(const std::optional<std::filesystem::path>& site);

// The site's `state:` (relative to its file), else $XDG_STATE_HOME/lifeboat, else ~/.local/state/lifeboat. Not created
// here.
std::filesystem::path state_folder(const Site& site);

// The whole of a text file. Throws Error{usage} when it cannot be read, Error{invalid_file} over 32 MiB or when it is
// no text file.
std::string read_text_file(const std::filesystem::path& path);
// Writes through a temporary name beside it. Throws Error.
void write_text_file(const std::filesystem::path& path, std::string_view text);
// The same from pieces that `write` gives.
using TextSink = std::function<void(std::string_view)>;
void write_text_file(const std::filesystem::path& path, const std::function<void(const TextSink&)>& write);

// The user at the keyboard, as the journal names them.
std::string user_name();

}  // namespace lifeboat
