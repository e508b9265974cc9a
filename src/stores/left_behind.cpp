#include "stores/left_behind.h"

namespace lifeboat {

namespace {

constexpr Duration silence = std::chrono::hours(24);

// The mark, the process, 16 digits.
bool is_temporary_file_name(std::string_view name) {
    if (!name.starts_with(temporary_mark)) return false;
    name.remove_prefix(temporary_mark.size());
    const std::size_t dash = name.find('-');
    return dash != std::string_view::npos && dash > 0 && name.size() == dash + 17 &&
           name.substr(0, dash).find_first_not_of("0123456789") == std::string_view::npos &&
           name.substr(dash + 1).find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

bool is_left_behind(std::string_view name, std::optional<Timestamp> modified, std::optional<Timestamp> now) {
    return modified && now && *now - *modified >= silence && is_temporary_file_name(name);
}

bool SweptFolders::add(std::string_view folder) {
    const std::scoped_lock lock(mutex_);
    return folders_.emplace(folder).second;
}

}  // namespace lifeboat
