// The part of files.h that asks about file systems and mounts.
#include <cerrno>
#include <fstream>
#include <sstream>

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"
#include "world/files.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

struct Mount {
    fs::path point;
    std::string type;
};

// The kernel writes blanks in names as \040 and the like.
std::string unescape(const std::string& text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 3 < text.size()) {
            plain += static_cast<char>(std::stoi(text.substr(i + 1, 3), nullptr, 8));
            i += 3;
        } else {
            plain += text[i];
        }
    }
    return plain;
}

// proc(5), mountinfo: id, parent, device, root, mount point, options, optional fields, "-", type, …
std::vector<Mount> mounts() {
    std::vector<Mount> found;
    std::ifstream file{"/proc/self/mountinfo"};
    for (std::string line; std::getline(file, line);) {
        std::istringstream words{line};
        std::vector<std::string> fields;
        for (std::string word; words >> word;)
            fields.push_back(word);
        const auto dash = std::find(fields.begin(), fields.end(), "-");
        if (fields.size() < 5 || dash == fields.end() || dash + 1 == fields.end()) continue;
        found.push_back({.point = unescape(fields[4]), .type = *(dash + 1)});
    }
    return found;
}

fs::path nearest_existing(fs::path path) {
    struct stat status {};
    while (::stat(path.c_str(), &status) != 0) {
        if (errno != ENOENT && errno != ENOTDIR) throw_errno("look at '" + path.string() + "'", errno);
        const fs::path above = path.parent_path();
        if (above.empty() || above == path) return above.empty() ? fs::path{"."} : above;
        path = above;
    }
    return path;
}

fs::path canonical_of(const fs::path& path) {
    std::error_code failed;
    fs::path canonical = fs::canonical(path, failed);
    if (failed) throw_errno("look at '" + path.string() + "'", failed.value());
    return canonical;
}

}  // namespace

FileSystemSpace space_at(const fs::path& path) {
    const fs::path place = canonical_of(nearest_existing(path));
    struct statvfs status {};
    if (::statvfs(place.c_str(), &status) != 0)
        throw_errno("ask for the free space at '" + place.string() + "'", errno);
    FileSystemSpace space;
    const std::uint64_t blocks = ::geteuid() == 0 ? status.f_bfree : status.f_bavail;
    space.free = {blocks * status.f_frsize};
    space.total = {status.f_blocks * status.f_frsize};
    space.mount_point = "/";
    for (const auto& mount : mounts()) {
        // A later mount on the same point hides the earlier one.
        if (lies_within(place, mount.point) && lies_within(mount.point, space.mount_point)) {
            space.mount_point = mount.point;
            space.type = mount.type;
        }
    }
    return space;
}

bool same_filesystem(const fs::path& a, const fs::path& b) {
    struct stat of_a {};
    struct stat of_b {};
    const fs::path place_a = nearest_existing(a);
    const fs::path place_b = nearest_existing(b);
    if (::stat(place_a.c_str(), &of_a) != 0) throw_errno("look at '" + place_a.string() + "'", errno);
    if (::stat(place_b.c_str(), &of_b) != 0) throw_errno("look at '" + place_b.string() + "'", errno);
    return of_a.st_dev == of_b.st_dev;
}

std::vector<fs::path> mounts_within(const fs::path& path) {
    std::error_code failed;
    const fs::path place = fs::canonical(path, failed);
    if (failed) return {};
    std::vector<fs::path> within;
    for (const auto& mount : mounts()) {
        if (lies_within(mount.point, place)) within.push_back(mount.point);
    }
    return within;
}

}  // namespace lifeboat
