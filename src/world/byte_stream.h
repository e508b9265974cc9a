// Bytes on their way: pushed into a sink, pulled out of a source.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

namespace lifeboat {

// Takes all of `bytes` or throws.
using ByteSink = std::function<void(std::span<const std::byte> bytes)>;
// Fills the front of `buffer`, returns how much; 0 at the end.
using ByteSource = std::function<std::size_t(std::span<std::byte> buffer)>;

}  // namespace lifeboat
