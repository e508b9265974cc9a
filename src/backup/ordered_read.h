// An object's bytes in their order, though several of its ranges travel at the same time.
#pragma once

#include <cstdint>
#include <string>

#include "stores/store.h"

namespace lifeboat {

// Gives `sink` the bytes from `offset` to `size`, from the caller's thread. Holds at most 32 MiB. Where the store
// cannot bind a read to one version (an empty `validator`), or one range is all there is, it is a plain read.
[[nodiscard]] ReadEnd read_in_order(Store& store, const std::string& key, std::uint64_t offset, std::uint64_t size,
                                    const std::string& validator, const ByteSink& sink, const WorkControl& control);

}  // namespace lifeboat
