// The swap of an SQLite database against one that was staged beside it. There is no atomic move for a main file and its
// companions (-wal, -shm, -journal), so the order is what counts: the old main file goes first, then its companions,
// the new file comes last. A kill at any point leaves the old state, the new one, or nothing that opens; the way back
// goes in the same manner. The kept files carry names that open together.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "actions/files_swap.h"
#include "base/json.h"
#include "world/files.h"

namespace lifeboat {

// Suffix → identity.
using Companions = std::map<std::string, FileIdentity>;
Companions companions_of(const std::filesystem::path& database);
Json to_json(const Companions& companions);
Companions companions_from_json(const Json& value);

// Where a swap stands is told as for a file (phase_of), by the main file alone: it leaves first and comes back last.

// The next single move towards `done`; false when there is none. Throws Error{moved} when `foreign`,
// Error{already_exists} when somebody made a new database in between.
bool step_database_forward(const FilesSwap& swap);
// The next single move towards `before`, in which nothing staged or kept is left; false when there is none. `done` is
// only undone when what is live is `fresh`; companions beside it that are not among `old_companions` (as noted before
// the swap) belong to the restored database and go with it.
bool step_database_back(const FilesSwap& swap, const std::optional<FileIdentity>& fresh,
                        const Companions& old_companions);

// What is kept now: main file and companions.
std::vector<std::filesystem::path> kept_files(const FilesSwap& swap);

}  // namespace lifeboat
