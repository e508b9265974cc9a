#include "stores/folder_walk.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <random>

#include <unistd.h>

#include "stores/key.h"
#include "stores/left_behind.h"

namespace lifeboat {

namespace {

constexpr std::size_t page_size = 1000;

class Walk {
  public:
    Walk(const ListQuery& query, const FolderEntries& entries, const ListedPage& page, const WorkControl& control)
        : query_(query), entries_(entries), page_(page), control_(control) {}

    // False when the caller has had enough.
    bool walk(const std::string& path) {
        control_.check();
        std::vector<Listed> lines = entries_(path);
        // a folder's '/' sorts the keys below it to their place among its neighbours
        std::sort(lines.begin(), lines.end(),
                  [](const Listed& a, const Listed& b) { return a.object.key < b.object.key; });
        for (Listed& line : lines) {
            const std::string key = line.object.key;
            const std::string_view prefix = query_.prefix;
            std::string_view named = key;
            if (line.folder) named.remove_suffix(1);
            if (holds_temporary_name(named) || !key_refusal(named).empty()) continue;
            if (!std::string_view(key).starts_with(prefix)) {
                // a folder on the way to the prefix
                if (!line.folder || !prefix.starts_with(key)) continue;
            } else if (!line.folder || (query_.one_level && key.size() > prefix.size())) {
                if (!add(std::move(line))) return false;
                continue;
            }
            if (!walk(key)) return false;
        }
        return true;
    }

    void flush() {
        if (!pending_.empty()) page_(pending_);
    }

  private:
    bool add(Listed line) {
        pending_.push_back(std::move(line));
        if (pending_.size() < page_size) return true;
        const bool more = page_(pending_);
        pending_.clear();
        return more;
    }

    const ListQuery& query_;
    const FolderEntries& entries_;
    const ListedPage& page_;
    const WorkControl& control_;
    std::vector<Listed> pending_;
};

}  // namespace

void walk_folders(const ListQuery& query, const FolderEntries& entries, const ListedPage& page,
                  const WorkControl& control) {
    Walk walk(query, entries, page, control);
    if (walk.walk({})) walk.flush();
}

std::string temporary_name() {
    static thread_local std::mt19937_64 random{std::random_device{}()};
    std::array<char, 17> digits{};
    std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(random()));
    return std::string(temporary_mark) + std::to_string(::getpid()) + "-" + digits.data();
}

bool holds_temporary_name(std::string_view key) {
    return key.starts_with(temporary_mark) || key.find("/" + std::string(temporary_mark)) != std::string_view::npos;
}

std::string_view folder_of(std::string_view key) {
    const std::size_t slash = key.rfind('/');
    return slash == std::string_view::npos ? std::string_view{} : key.substr(0, slash);
}

}  // namespace lifeboat
