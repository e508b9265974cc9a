#include "backup/level.h"

namespace lifeboat {

std::string_view to_text(Level level) {
    switch (level) {
        case Level::listed:
            return "listed";
        case Level::complete:
            return "complete";
        case Level::checksummed:
            return "checksummed";
        case Level::readable:
            return "readable";
        case Level::restored:
            return "restored";
        case Level::queried:
            return "queried";
    }
    return {};
}

std::optional<Level> level_named(std::string_view name) {
    for (const Level level :
         {Level::listed, Level::complete, Level::checksummed, Level::readable, Level::restored, Level::queried})
        if (to_text(level) == name) return level;
    return std::nullopt;
}

}  // namespace lifeboat
