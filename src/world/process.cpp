#include "world/process.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "world/process_pipe.h"
#include "world/process_program.h"
#include "world/process_spawn.h"
#include "world/process_stream.h"
#include "world/process_table.h"

namespace lifeboat {

namespace {

using std::chrono::milliseconds;

// Whoever keeps a pipe open after the child and its group are gone does not keep us.
constexpr Duration drain_time = milliseconds(500);
// A process that KILL does not end sits inside the kernel; nothing more can be done about it.
constexpr Duration kill_time = std::chrono::seconds(5);

SteadyTime steady_now() {
    return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
}

SteadyTime later(Duration duration) {
    const SteadyTime now = steady_now();
    return duration < SteadyTime::max() - now ? now + duration : SteadyTime::max();
}

FileDescriptor open_input(const Command& command) {
    if (!command.input_file.empty()) {
        return hold_fd(::open(command.input_file.c_str(), O_RDONLY | O_CLOEXEC),
                       "read '" + command.input_file.string() + "'");
    }
    if (command.input.empty()) return hold_fd(::open("/dev/null", O_RDONLY | O_CLOEXEC), "open '/dev/null'");
    // A file in memory needs no feeding, so that a child which never reads its input cannot stop us.
    FileDescriptor memory = hold_fd(::memfd_create("stdin", MFD_CLOEXEC), "keep the input in memory");
    std::string_view rest = command.input;
    while (!rest.empty()) {
        const ssize_t written = ::write(memory.get(), rest.data(), rest.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) throw_errno("keep the input in memory", errno);
        rest.remove_prefix(static_cast<std::size_t>(written));
    }
    if (::lseek(memory.get(), 0, SEEK_SET) != 0) throw_errno("rewind the input", errno);
    return memory;
}

FileDescriptor open_output_file(const std::filesystem::path& path) {
    return hold_fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600),
                   "write '" + path.string() + "'");
}

class Watch {
  public:
    Watch(GatedChild& child, const Command& command, const ChildControl& control, FileDescriptor output,
          FileDescriptor errors)
        : child_(child),
          command_(command),
          control_(control),
          wake_(hold_fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "make an event descriptor")),
          output_{std::move(output), ProcessStream(command.keep, command.on_output)},
          errors_{std::move(errors), ProcessStream(command.keep, command.on_error)},
          buffer_(std::make_unique_for_overwrite<char[]>(buffer_size)) {}

    ChildResult until_the_end() {
        const std::stop_callback wake(control_.stop, [this] {
            const std::uint64_t one = 1;
            static_cast<void>(!::write(wake_.get(), &one, sizeof one));
        });
        while (!ended_ && !given_up_) {
            end_in_time();
            wait_and_read(next_moment());
        }
        if (ended_) {
            const GatedChild::End end = child_.reap();
            result_.exit_code = end.exit_code;
            result_.signal = end.signal;
        } else {
            result_.exit_code = 128 + SIGKILL;
            result_.signal = SIGKILL;
        }
        end_the_rest();
        drain();
        output_.stream.finish();
        errors_.stream.finish();
        result_.output = output_.stream.tail();
        result_.errors = errors_.stream.tail();
        result_.output_bytes = output_.stream.bytes();
        return std::move(result_);
    }

  private:
    struct Source {
        FileDescriptor fd;
        ProcessStream stream;
    };

    // Once asked to end: KILL at `kill_at_`, and no hope left at `give_up_at_`.
    bool asked_to_end() const { return result_.timed_out || result_.cancelled; }

    void end_in_time() {
        const SteadyTime now = steady_now();
        if (!asked_to_end()) {
            result_.cancelled = control_.stop.stop_requested();
            result_.timed_out = !result_.cancelled && now >= control_.deadline;
            if (!asked_to_end()) return;
            signal_group(SIGTERM);
            signal_group(SIGCONT);
            kill_at_ = later(command_.grace);
        }
        if (!killed_ && now >= kill_at_) {
            signal_group(SIGKILL);
            killed_ = true;
            give_up_at_ = later(kill_time);
        }
        given_up_ = killed_ && now >= give_up_at_;
    }

    SteadyTime next_moment() const {
        if (killed_) return give_up_at_;
        return asked_to_end() ? kill_at_ : control_.deadline;
    }

    void signal_group(int signal) const { ::kill(-child_.pid(), signal); }

    // Until something happens or `until`.
    void wait_and_read(SteadyTime until) {
        pollfd polled[] = {{ended_ ? -1 : child_.pidfd(), POLLIN, 0},
                           {asked_to_end() ? -1 : wake_.get(), POLLIN, 0},
                           {output_.fd.get(), POLLIN, 0},
                           {errors_.fd.get(), POLLIN, 0}};
        const Duration left = std::clamp<Duration>(until - steady_now(), Duration::zero(), std::chrono::hours(1));
        const int timeout = static_cast<int>(std::chrono::ceil<milliseconds>(left).count());
        if (::poll(polled, 4, timeout) < 0) {
            if (errno == EINTR) return;
            throw_errno("wait for '" + command_.argv.front() + "'", errno);
        }
        if (polled[2].revents != 0) read_some(output_);
        if (polled[3].revents != 0) read_some(errors_);
        if (polled[0].revents != 0) ended_ = true;
    }

    void read_some(Source& source) {
        const ssize_t count = ::read(source.fd.get(), buffer_.get(), buffer_size);
        if (count > 0) {
            source.stream.take(std::string_view(buffer_.get(), static_cast<std::size_t>(count)));
        } else if (count == 0 || (errno != EINTR && errno != EAGAIN)) {
            source.fd.reset();
        }
    }

    // The leader has ended: nothing of its group may stay.
    void end_the_rest() {
        if (!group_lives(child_.pid())) return;
        result_.leftover = true;
        if (!killed_) {
            if (!asked_to_end()) {
                signal_group(SIGTERM);
                signal_group(SIGCONT);
                kill_at_ = later(command_.grace);
            }
            wait_for_group(kill_at_);
            signal_group(SIGKILL);
        }
        wait_for_group(later(kill_time));
    }

    void wait_for_group(SteadyTime until) {
        ended_ = true;
        for (Duration pause = milliseconds(2); group_lives(child_.pid()) && steady_now() < until;
             pause = std::min<Duration>(pause * 2, milliseconds(50))) {
            const SteadyTime next = std::min(later(pause), until);
            // what it still prints is read meanwhile: a full pipe would keep it from ending
            while (steady_now() < next)
                wait_and_read(next);
        }
    }

    void drain() {
        const SteadyTime until = later(drain_time);
        ended_ = true;
        while ((output_.fd || errors_.fd) && steady_now() < until)
            wait_and_read(until);
    }

    GatedChild& child_;
    const Command& command_;
    const ChildControl& control_;
    FileDescriptor wake_;
    Source output_;
    Source errors_;
    static constexpr std::size_t buffer_size = 64u << 10;
    std::unique_ptr<char[]> buffer_;
    ChildResult result_;
    bool ended_ = false;
    bool killed_ = false;
    bool given_up_ = false;
    SteadyTime kill_at_ = SteadyTime::max();
    SteadyTime give_up_at_ = SteadyTime::max();
};

std::string last_line(std::string_view text) {
    text = trim(text);
    const std::size_t newline = text.rfind('\n');
    return printable(newline == std::string_view::npos ? text : text.substr(newline + 1));
}

}  // namespace

ChildResult run_child(const Command& command, const ChildControl& control) {
    const ProgramPlace place = find_command(command);
    const FileDescriptor input = open_input(command);
    Pipe output = command.output_file.empty() ? make_pipe() : Pipe{{}, open_output_file(command.output_file)};
    Pipe errors = make_pipe();
    if (control.stop.stop_requested()) return {.exit_code = 128 + SIGTERM, .signal = SIGTERM, .cancelled = true};

    GatedChild child({.program = place.program.string(),
                      .argv = command.argv,
                      .environment = command.environment,
                      .folder = place.folder.string(),
                      .input = input.get(),
                      .output = output.write.get(),
                      .errors = errors.write.get()});
    output.write.reset();
    errors.write.reset();
    if (control.started) {
        const std::optional<ProcessRow> row = process_row(child.pid());
        control.started({.pid = child.pid(), .start_ticks = row ? row->start_ticks : 0, .boot_id = boot_id()});
    }
    child.open_gate();
    return Watch(child, command, control, std::move(output.read), std::move(errors.read)).until_the_end();
}

ChildResult run_child_checked(const Command& command, const ChildControl& control) {
    ChildResult result = run_child(command, control);
    const std::string program = "'" + command.argv.front() + "'";
    if (result.cancelled) throw Error{ErrorCode::cancelled, program + " was stopped"};
    if (result.timed_out) throw Error{ErrorCode::timed_out, program + " did not end within its time"};
    if (result.exit_code == 0) return result;
    std::string message = result.signal != 0 ? program + " was ended by signal " + std::to_string(result.signal) +
                                                   " (" + ::strsignal(result.signal) + ")"
                                             : program + " ended with exit code " + std::to_string(result.exit_code);
    if (const std::string line = last_line(result.errors); !line.empty()) message += ": " + line;
    Error error{ErrorCode::child_failed, std::move(message)};
    error.details = Json{{"exit_code", result.exit_code}};
    throw error;
}

std::map<std::string, std::string> clean_environment() {
    std::map<std::string, std::string> environment{
        {"PATH", std::string(default_path)}, {"HOME", "/"}, {"LANG", "C.UTF-8"}, {"TZ", "UTC"}};
    for (const char* name : {"PATH", "HOME", "TMPDIR"}) {
        if (const char* value = std::getenv(name); value != nullptr && *value != '\0') environment[name] = value;
    }
    return environment;
}

}  // namespace lifeboat
