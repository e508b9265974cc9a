// Moving the bytes of open files, with a digest on the way; for the files of this room that hold descriptors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include "world/control.h"
#include "world/file_descriptor.h"
#include "world/files.h"

namespace lifeboat {

// Copies from the read position of `from` to its end into the empty file `to`; holes stay holes. Large files are hashed
// by a second thread beside the copying. `names` is for messages: "copy 'a' to 'b'".
HashedFile copy_content(int from, int to, const WorkControl& control, const std::string& names);
// Reads to the end.
HashedFile hash_content(int from, const WorkControl& control, const std::string& names);

// All of it, or Error.
void write_all(int to, std::span<const std::byte> bytes, const std::string& names);
// Up to the size of `buffer`; less only at the end of the file.
std::size_t read_full(int from, std::span<std::byte> buffer, const std::string& names);
void sync_content(int file, const std::string& names);

}  // namespace lifeboat
