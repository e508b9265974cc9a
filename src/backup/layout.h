// Where the parts of a backup lie in a store (the store's own prefix not counted), and how backups are named:
//   <set>/<id>/<component>/<file>, and beside it SHA256SUMS, manifest.json.sig, manifest.json, notes/<time>-<kind>.json
// An id is the UTC second at which the backup was begun, `2026-02-01T02-00-00Z`, with `-2`, `-3` … where that name was
// taken.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace lifeboat {

inline constexpr std::string_view manifest_name = "manifest.json";
inline constexpr std::string_view sums_name = "SHA256SUMS";
inline constexpr std::string_view signature_name = "manifest.json.sig";
inline constexpr std::string_view notes_folder = "notes";

std::string backup_id(Timestamp started_at, int number = 1);
// The instant in the name; nullopt for what is no id.
std::optional<Timestamp> time_of_backup_id(std::string_view id);

// Names of sets and components become parts of keys: letters, digits, '.', '_', '-', not beginning with '.'; a
// component is not called like one of the files above. Throws Error{refused} naming `what`.
void check_part_name(std::string_view name, std::string_view what);

// All keys end without '/', all folders with it.
std::string backup_folder(std::string_view set, std::string_view id);
std::string object_key(std::string_view set, std::string_view id, std::string_view path);
std::string manifest_key(std::string_view set, std::string_view id);
std::string note_key(std::string_view set, std::string_view id, Timestamp at, std::string_view kind);

struct NoteName {
    Timestamp at{};
    std::string kind;
};
// Of the last part of a note's key; nullopt for other files.
std::optional<NoteName> parse_note_name(std::string_view name);

}  // namespace lifeboat
