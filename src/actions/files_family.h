// The actions on files and SQLite databases, each made by one function in the file named after it, and what they share:
// where a resource lies, the names a run leaves beside it, progress, and preflight findings.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "actions/family.h"
#include "world/control.h"
#include "world/tree.h"

namespace lifeboat {

std::unique_ptr<Action> files_snapshot(const ActionWorld& world);
std::unique_ptr<Action> files_restore(const ActionWorld& world);
std::unique_ptr<Action> fault_corrupt_file(const ActionWorld& world);
std::unique_ptr<Action> sqlite_check(const ActionWorld& world);
std::unique_ptr<Action> sqlite_restore(const ActionWorld& world);

// Where a `files` or `sqlite` resource lies: definite (R5), links resolved, so that a swap replaces the object and not
// a link to it. In a drill the sandbox's nonce is read back from beside it first (law 9): Error{refused} when it is not
// there.
std::filesystem::path place_of_resource(const ActionWorld& world, const ResolvedResource& resource);

// Names that carry the run, beside `live`: `.lifeboat-<run>-<step>.staged`, `<name>.lifeboat-<run>.old`.
std::filesystem::path staged_beside(const std::filesystem::path& live, const Context& context);
std::filesystem::path kept_beside(const std::filesystem::path& live, const Context& context);

// The argument as an absolute path; Error{invalid_file} otherwise.
std::filesystem::path path_argument(const Context& context, const char* name);
// Given, and known already (in a plan it may come from a step that has not run).
bool has_argument(const Context& context, const char* name);

// Stop, deadline and progress of the deed, as the ports want them.
WorkControl paced(const Context& context, const std::string& what, std::optional<std::uint64_t> total = std::nullopt);

// `file:/path`, as `lifeboat commit` reads it.
Json kept_file(const std::filesystem::path& path);

// Free space on the file system of `folder` against what is needed; "unknown" where that is not known yet.
// `at_most`: what is needed when `needed` is not known; too little space for that is only a warning.
Finding space_finding(const std::filesystem::path& folder, std::optional<Bytes> needed, std::optional<Bytes> at_most,
                      const std::string& for_what);
// Whether names can be made and moved in `folder`.
Finding permission_finding(const std::filesystem::path& folder);

}  // namespace lifeboat
