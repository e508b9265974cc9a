// The part of sqlite.h that asks the kernel who has a file open: the descriptors of every process, and the table of
// locks, which also shows the locks of processes that may not be looked into.
#include <cerrno>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "world/file_descriptor.h"
#include "world/sqlite.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

using Device = std::pair<dev_t, ino_t>;

bool is_number(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::string command_of(int pid) {
    std::ifstream file{"/proc/" + std::to_string(pid) + "/comm"};
    std::string name;
    std::getline(file, name);
    return printable(name);
}

enum class Held { yes, no, unknown };

Held holds_open(const std::string& pid, const std::set<Device>& wanted) {
    const std::string folder = "/proc/" + pid + "/fd";
    const std::unique_ptr<DIR, int (*)(DIR*)> descriptors{::opendir(folder.c_str()), ::closedir};
    if (descriptors == nullptr) return errno == EACCES || errno == EPERM ? Held::unknown : Held::no;
    while (const dirent* entry = ::readdir(descriptors.get())) {
        struct stat status {};
        if (::fstatat(::dirfd(descriptors.get()), static_cast<const char*>(entry->d_name), &status, 0) != 0) continue;
        if (wanted.contains({status.st_dev, status.st_ino})) return Held::yes;
    }
    return Held::no;
}

// proc(5): "1: POSIX  ADVISORY  WRITE 1234 fd:01:131 0 EOF"; a waiting one has "->" behind the number.
std::set<int> lockers(const std::set<Device>& wanted) {
    std::set<int> pids;
    std::ifstream file{"/proc/locks"};
    for (std::string line; std::getline(file, line);) {
        std::istringstream words{line};
        std::vector<std::string> fields;
        for (std::string word; words >> word;)
            fields.push_back(word);
        if (fields.size() > 1 && fields[1] == "->") fields.erase(fields.begin() + 1);
        if (fields.size() < 6) continue;
        const auto numbers = split(fields[5], ':');
        if (numbers.size() != 3) continue;
        try {
            const dev_t device = ::makedev(static_cast<unsigned>(std::stoul(numbers[0], nullptr, 16)),
                                           static_cast<unsigned>(std::stoul(numbers[1], nullptr, 16)));
            const int pid = std::stoi(fields[4]);
            if (pid > 0 && wanted.contains({device, std::stoul(numbers[2])})) pids.insert(pid);
        } catch (const std::exception&) {
            continue;  // another kernel's format: this second source is then silent
        }
    }
    return pids;
}

}  // namespace

FileHolders who_has_open(const fs::path& path) {
    std::set<Device> wanted;
    // Held while we look: a journal that its writer deletes meanwhile would give its inode to the next file of anybody.
    // O_PATH, since closing any other descriptor drops the locks that this process has on the file.
    std::vector<FileDescriptor> kept;
    const auto want = [&](const std::string& name) {
        FileDescriptor file{::open(name.c_str(), O_PATH | O_CLOEXEC)};
        struct stat status {};
        if (!file || ::fstat(file.get(), &status) != 0) return;
        wanted.emplace(status.st_dev, status.st_ino);
        kept.push_back(std::move(file));
    };
    want(path.string());
    for (const auto& suffix : sqlite_companions())
        want(path.string() + suffix);

    FileHolders found;
    if (wanted.empty()) return found;
    std::set<int> pids = lockers(wanted);
    const std::unique_ptr<DIR, int (*)(DIR*)> processes{::opendir("/proc"), ::closedir};
    if (processes == nullptr) throw_errno("list the processes in '/proc'", errno);
    while (const dirent* entry = ::readdir(processes.get())) {
        const std::string name{static_cast<const char*>(entry->d_name)};
        if (!is_number(name)) continue;
        switch (holds_open(name, wanted)) {
            case Held::yes:
                pids.insert(std::stoi(name));
                break;
            case Held::unknown:
                found.everyone_seen = false;
                break;
            case Held::no:
                break;
        }
    }
    pids.erase(::getpid());
    for (const int pid : pids)
        found.holders.push_back({.pid = pid, .command = command_of(pid)});
    return found;
}

}  // namespace lifeboat
