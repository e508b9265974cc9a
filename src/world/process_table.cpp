#include "world/process_table.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "world/file_descriptor.h"

namespace lifeboat {

namespace {

template <typename Number>
bool read_number(std::string_view& text, Number& number) {
    while (!text.empty() && text.front() == ' ')
        text.remove_prefix(1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
}

// proc(5): pid (comm) state ppid pgrp session … starttime is the 22nd. `comm` may hold blanks and parentheses.
std::optional<ProcessRow> parse_stat(int pid, std::string_view stat) {
    const std::size_t close = stat.rfind(')');
    if (close == std::string_view::npos || close + 2 >= stat.size()) return std::nullopt;
    ProcessRow row{.pid = pid, .state = stat[close + 2]};
    std::string_view rest = stat.substr(close + 3);
    int parent = 0;
    if (!read_number(rest, parent) || !read_number(rest, row.group) || !read_number(rest, row.session)) return {};
    for (int field = 7; field < 22; ++field) {
        long long skipped = 0;
        std::string_view before = rest;
        if (!read_number(rest, skipped)) {
            // flags and the like can exceed a signed number
            unsigned long long wide = 0;
            rest = before;
            if (!read_number(rest, wide)) return std::nullopt;
        }
    }
    if (!read_number(rest, row.start_ticks)) return std::nullopt;
    return row;
}

}  // namespace

std::optional<ProcessRow> process_row(int pid) {
    const std::string path = "/proc/" + std::to_string(pid) + "/stat";
    const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return std::nullopt;
    std::array<char, 1024> text{};
    const ssize_t size = ::read(file.get(), text.data(), text.size());
    if (size <= 0) return std::nullopt;
    return parse_stat(pid, std::string_view(text.data(), static_cast<std::size_t>(size)));
}

std::vector<ProcessRow> living_members(int group) {
    std::vector<ProcessRow> members;
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc"), ::closedir);
    if (!folder) return members;
    while (const dirent* entry = ::readdir(folder.get())) {
        if (!std::isdigit(static_cast<unsigned char>(entry->d_name[0]))) continue;
        std::string_view name(entry->d_name);
        int pid = 0;
        if (!read_number(name, pid)) continue;
        const std::optional<ProcessRow> row = process_row(pid);
        if (row && row->group == group && !row->dead()) members.push_back(*row);
    }
    return members;
}

bool group_lives(int group) {
    if (::kill(-group, 0) != 0 && errno == ESRCH) return false;
    return !living_members(group).empty();
}

bool end_process_group(int group, Duration grace) {
    using namespace std::chrono;
    // kill(-1) and kill(-0) would reach far more than a group
    if (group <= 1) return true;
    const auto gone_before = [group](steady_clock::time_point until) {
        for (auto pause = milliseconds(2);; pause = std::min(pause * 2, milliseconds(50))) {
            if (!group_lives(group)) return true;
            if (steady_clock::now() >= until) return false;
            std::this_thread::sleep_for(pause);
        }
    };
    ::kill(-group, SIGTERM);
    ::kill(-group, SIGCONT);
    if (gone_before(steady_clock::now() + grace)) return true;
    ::kill(-group, SIGKILL);
    return gone_before(steady_clock::now() + seconds(5));
}

}  // namespace lifeboat
