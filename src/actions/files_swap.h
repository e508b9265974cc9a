// The swap of a file or directory against one that was staged beside it: one atomic exchange, after which the old
// object stands under the name it is kept by. Where a file system has no exchange the old one is moved away first and
// the new one in last. Who is where is told by identities, never by what a dead runner may have meant; each step can be
// the last one before a kill.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/json.h"
#include "engine/action.h"
#include "world/files.h"

namespace lifeboat {

struct FilesSwap {
    std::filesystem::path live;
    std::filesystem::path staged;
    std::filesystem::path kept;
    std::optional<FileIdentity> old;  // of what was live when the deed was prepared; nothing: the name was free
};
Json to_json(const FilesSwap& swap);
FilesSwap files_swap_from_json(const Json& value);

enum class SwapPhase {
    before,   // the old object is live (or, as at first, nothing)
    away,     // nothing is live, the old one is kept
    done,     // another one is live, the old one is kept (or there was none)
    foreign,  // the old one is neither live nor kept: somebody else was here
};
SwapPhase phase_of(const FilesSwap& swap);

// The next single move towards `done` with what stands under the staged name; false when there is none. Throws
// Error{moved} when `foreign`.
bool step_forward(const FilesSwap& swap);
// The next single move towards `before`, in which neither a staged nor a kept object is left; false when there is none.
// `done` is only undone when what is live is `fresh` (the identity noted before the swap). Throws Error{moved}
// otherwise.
bool step_back(const FilesSwap& swap, const std::optional<FileIdentity>& fresh);

// For deeds that note what they staged as "fresh", with its "identity", right before the swap.
std::optional<FileIdentity> fresh_of(const Notes& notes);
// `outputs` makes them from that note, when the swap turns out to be done.
ProbeResult probe_swap(const FilesSwap& swap, const Notes& notes,
                       const std::function<Outputs(const Json& fresh)>& outputs);
// What an undo that moved something tells of it; `found` is where the swap stood before.
std::string told_undo(const FilesSwap& swap, SwapPhase found, const std::optional<FileIdentity>& fresh);

// Whether what is at `path` is the object `wanted`.
bool is_at(const std::filesystem::path& path, const std::optional<FileIdentity>& wanted);
[[noreturn]] void refuse_foreign(const FilesSwap& swap);
// What is live is another one than `fresh`: Error{moved}.
[[noreturn]] void refuse_stranger(const FilesSwap& swap);

}  // namespace lifeboat
