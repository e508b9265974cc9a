// What gzip packed, unpacked as it is read. Its checksums and lengths are compared, so that a cut or flipped file is
// never taken for a shorter or other one (R8).
#pragma once

#include <filesystem>

#include "world/byte_stream.h"

namespace lifeboat {

// Reads `packed` as one or more gzip members. The source throws Error{incomplete} where it ends early and
// Error{corrupt} where it is no gzip, or not what was packed.
ByteSource gunzipped(ByteSource packed);

// Whether the file begins as gzip does.
bool looks_gzipped(const std::filesystem::path& path);

}  // namespace lifeboat
