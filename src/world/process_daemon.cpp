#include <array>
#include <cerrno>
#include <charconv>

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "world/files.h"
#include "world/process.h"
#include "world/process_pipe.h"
#include "world/process_program.h"
#include "world/process_spawn.h"
#include "world/process_table.h"

namespace lifeboat {

namespace {

namespace fs = std::filesystem;

void write_pid_file(const fs::path& pid_file, const ChildIdentity& daemon) {
    write_durably(pid_file,
                  std::to_string(daemon.pid) + "\n" + std::to_string(daemon.start_ticks) + "\n" + daemon.boot_id + "\n",
                  0644);
}

template <typename Number>
bool parse_number(std::string_view text, Number& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace

std::optional<ChildIdentity> read_pid_file(const fs::path& pid_file) {
    const FileDescriptor file(::open(pid_file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file) {
        if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
        throw_errno("read '" + pid_file.string() + "'", errno);
    }
    std::array<char, 256> text{};
    const ssize_t size = ::read(file.get(), text.data(), text.size());
    if (size < 0) throw_errno("read '" + pid_file.string() + "'", errno);
    const std::vector<std::string> lines = split(std::string_view(text.data(), static_cast<std::size_t>(size)), '\n');
    ChildIdentity daemon;
    if (lines.size() < 3 || !parse_number(lines[0], daemon.pid) || !parse_number(lines[1], daemon.start_ticks)) {
        throw Error{ErrorCode::invalid_file, "the pid file '" + pid_file.string() + "' was written by something else",
                    "Give the service a pid file of its own, or start it by a command that ends and a status command."};
    }
    daemon.boot_id = lines[2];
    return daemon;
}

ChildIdentity start_daemon(const Command& command, const fs::path& pid_file, const fs::path& log) {
    if (const std::optional<ChildIdentity> before = read_pid_file(pid_file); before && is_alive(*before)) {
        throw Error{ErrorCode::already_exists,
                    "the process " + std::to_string(before->pid) + " of '" + pid_file.string() + "' is alive"};
    }
    const ProgramPlace place = find_command(command);
    const FileDescriptor input = hold_fd(::open("/dev/null", O_RDONLY | O_CLOEXEC), "open '/dev/null'");
    const FileDescriptor output =
        hold_fd(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), "write '" + log.string() + "'");
    GatedChild child({.program = place.program.string(),
                      .argv = command.argv,
                      .environment = command.environment,
                      .folder = place.folder.string(),
                      .input = input.get(),
                      .output = output.get(),
                      .errors = output.get(),
                      .own_session = true});
    const std::optional<ProcessRow> row = process_row(child.pid());
    const ChildIdentity daemon{.pid = child.pid(), .start_ticks = row ? row->start_ticks : 0, .boot_id = boot_id()};
    write_pid_file(pid_file, daemon);
    try {
        child.open_gate();
    } catch (const Error&) {
        remove_file(pid_file);
        throw;
    }
    return daemon;
}

bool stop_daemon(const fs::path& pid_file, Duration grace) {
    const std::optional<ChildIdentity> daemon = read_pid_file(pid_file);
    if (!daemon) return false;
    const bool ended = end_group(*daemon, grace);
    if (is_alive(*daemon)) {
        throw Error{ErrorCode::busy,
                    "the process " + std::to_string(daemon->pid) + " of '" + pid_file.string() + "' does not end"};
    }
    remove_file(pid_file);
    return ended;
}

}  // namespace lifeboat
