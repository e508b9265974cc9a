// Listings for stores that know folders: walked in the byte order of whole keys, handed on in pages of 1000.
#pragma once

#include "stores/store.h"

namespace lifeboat {

// What is in the folder `path`, which is empty or ends with '/': whole keys, those of folders with a '/' at their end,
// in any order. Nothing for a folder that is gone.
using FolderEntries = std::function<std::vector<Listed>(const std::string& path)>;

// Names that are no keys, and temporary ones, are left out.
void walk_folders(const ListQuery& query, const FolderEntries& entries, const ListedPage& page,
                  const WorkControl& control);

// Names under which objects are written before they get their own; never listed, never keys.
std::string temporary_name();
bool holds_temporary_name(std::string_view key);
// "a/b" of "a/b/c"; empty at the top.
std::string_view folder_of(std::string_view key);

}  // namespace lifeboat
