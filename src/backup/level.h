// How far a backup has been verified. Each level includes those before it.
#pragma once

#include <optional>
#include <string_view>

namespace lifeboat {

enum class Level {
    listed,       // the manifest is there and can be read
    complete,     // every object is there with its size
    checksummed,  // every byte was read and has the manifest's SHA-256
    readable,     // the format's own reader went through it to the end
    restored,     // it was restored into something that opens
    queried,      // and the set's checks hold there
};

std::string_view to_text(Level level);
std::optional<Level> level_named(std::string_view name);

}  // namespace lifeboat
