#include "actions/postgres_load.h"

#include <atomic>
#include <cerrno>
#include <fstream>
#include <mutex>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actions/family.h"
#include "actions/postgres_pulse.h"
#include "base/text.h"

namespace lifeboat {

namespace fs = std::filesystem;

namespace {

// Feeds ranges of a file into a named pipe. psql then never sees what is not to be loaded, and no second copy of the
// dump is made.
class PipeFeed {
  public:
    PipeFeed(fs::path file, std::vector<ByteRange> ranges, fs::path pipe)
        : file_(std::move(file)), ranges_(std::move(ranges)), pipe_(std::move(pipe)) {
        std::error_code ignored;
        fs::remove(pipe_, ignored);
        if (mkfifo(pipe_.c_str(), 0600) != 0) throw_errno("make the pipe '" + pipe_.string() + "'", errno);
        thread_ = std::jthread([this](const std::stop_token& stop) { feed(stop); });
    }
    ~PipeFeed() {
        thread_.request_stop();
        if (thread_.joinable()) thread_.join();
        std::error_code ignored;
        fs::remove(pipe_, ignored);
    }
    PipeFeed(const PipeFeed&) = delete;
    PipeFeed& operator=(const PipeFeed&) = delete;

    // Asks the reader to be ended when its input could not be fed whole: at a mere end of file psql would commit.
    std::stop_token failed() const { return failed_.get_token(); }
    bool complete() const { return complete_; }
    std::uint64_t fed() const { return fed_; }
    std::string failure() const {
        const std::lock_guard lock(mutex_);
        return failure_;
    }

  private:
    void feed(const std::stop_token& stop) {
        // a reader that goes away is an error code here, not a signal
        sigset_t signals;
        sigemptyset(&signals);
        sigaddset(&signals, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &signals, nullptr);

        int out = -1;
        while (out < 0 && !stop.stop_requested()) {
            out = open(pipe_.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
            if (out < 0 && errno != ENXIO && errno != EINTR) return fail("open the pipe", errno, out, stop);
            if (out < 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));  // until the reader has opened it
        }
        if (out < 0) return;
        std::ifstream in(file_, std::ios::binary);
        if (!in) return fail("open '" + file_.string() + "'", errno, out, stop);
        std::string buffer(1U << 16, '\0');
        for (const ByteRange& range : ranges_) {
            in.seekg(static_cast<std::streamoff>(range.begin));
            for (std::uint64_t left = range.end - range.begin; left > 0;) {
                const auto want = static_cast<std::streamsize>(std::min<std::uint64_t>(left, buffer.size()));
                in.read(buffer.data(), want);
                if (in.gcount() != want) return fail("read '" + file_.string() + "'", EIO, out, stop);
                if (!write_all(out, std::string_view(buffer.data(), static_cast<std::size_t>(want)), stop)) {
                    close(out);
                    return;
                }
                left -= static_cast<std::uint64_t>(want);
            }
        }
        complete_ = true;
        close(out);
    }

    // False when the reader is gone or the feed was stopped: the reader's own end says why.
    bool write_all(int out, std::string_view bytes, const std::stop_token& stop) {
        while (!bytes.empty()) {
            if (stop.stop_requested()) return false;
            const ssize_t written = write(out, bytes.data(), bytes.size());
            if (written > 0) {
                bytes.remove_prefix(static_cast<std::size_t>(written));
                fed_ += static_cast<std::uint64_t>(written);
                continue;
            }
            if (errno == EPIPE) return false;
            pollfd waiting{out, POLLOUT, 0};
            poll(&waiting, 1, 100);
        }
        return true;
    }

    void fail(const std::string& what, int error_number, int out, const std::stop_token& stop) {
        {
            const std::lock_guard lock(mutex_);
            failure_ = "cannot " + what + ": " + std::generic_category().message(error_number);
        }
        failed_.request_stop();
        // the pipe stays open until the reader has been ended
        while (out >= 0 && !stop.stop_requested())
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        if (out >= 0) close(out);
    }

    const fs::path file_;
    const std::vector<ByteRange> ranges_;
    const fs::path pipe_;
    std::stop_source failed_;
    std::atomic<bool> complete_ = false;
    std::atomic<std::uint64_t> fed_ = 0;
    mutable std::mutex mutex_;
    std::string failure_;
    std::jthread thread_;
};

Error load_failed(const PostgresDump& dump, const ChildResult& result) {
    Error error = program_error("cannot load '" + dump.name() + "'", result);
    // psql's verbose messages carry the SQLSTATE of what failed first
    for (const std::string& line : split(result.errors, '\n')) {
        const std::string state = sqlstate_in_message(line);
        if (state.empty()) continue;
        error.code = postgres_error_code(state);
        error.details = Json{{"sqlstate", state}};
        error.message =
            "cannot load '" + dump.name() + "': " + printable(line.substr(line.find(state + ": ") + state.size() + 2));
        break;
    }
    return error;
}

}  // namespace

void load_archive(const PostgresLoad& load, const PostgresDump& dump, const ArchiveContents& contents,
                  const std::function<bool(std::string_view line)>& left_out, Context& context) {
    const PostgresProgram program =
        find_postgres_program("pg_restore", std::max(load.server_major, contents.program_major));
    const PostgresLogin login(load.target, context.workspace, load.settings);
    std::vector<std::string> arguments{dump.path, "--no-owner", "--no-privileges", "--exit-on-error"};
    // pg_restore cannot load a tar archive with several sessions
    const bool parallel = load.jobs > 1 && dump.format != PostgresDump::Format::tar;
    arguments.push_back(parallel ? "--jobs=" + std::to_string(load.jobs) : "--single-transaction");

    const fs::path list = context.workspace / "load.list";
    if (std::any_of(contents.list.begin(), contents.list.end(), left_out)) {
        std::ofstream file(list);
        for (const std::string& line : contents.list)
            file << (left_out(line) ? ";" : "") << line << '\n';
        if (!file.flush()) throw Error{ErrorCode::io_failed, "cannot write '" + list.string() + "'"};
        arguments.push_back("--use-list=" + list.string());
    }
    Command command = login.command(program, std::move(arguments));
    command.on_error = [&context](std::string_view line) { context.log(line); };
    ChildResult result;
    {
        const PostgresPulse pulse(context, load.look);
        result = run_for(context, command);
    }
    std::error_code ignored;
    fs::remove(list, ignored);
    if (result.exit_code != 0) throw load_failed(dump, result);
}

void load_plain(const PostgresLoad& load, const PostgresDump& dump, const std::vector<ByteRange>& ranges,
                Context& context) {
    const PostgresProgram program = find_postgres_program("psql", load.server_major);
    const PostgresLogin login(load.target, context.workspace, load.settings);
    const fs::path pipe = context.workspace / "load.pipe";
    PipeFeed feed(dump.path, ranges, pipe);
    Command command = login.command(program, {"-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose",
                                              "--single-transaction", "-o", "/dev/null", "-f", pipe.string()});
    command.on_error = [&context](std::string_view line) { context.log(line); };

    // ended with the deed, or when its input breaks off
    std::stop_source either;
    const std::stop_callback deed(context.stop, [&either] { either.request_stop(); });
    const std::stop_callback input(feed.failed(), [&either] { either.request_stop(); });
    Context watched = context;
    watched.stop = either.get_token();
    ChildResult result;
    try {
        const PostgresPulse pulse(context, load.look);
        result = run_for(watched, command);
    } catch (const Error&) {
        if (!feed.failure().empty())
            throw Error{ErrorCode::io_failed, "cannot load '" + dump.name() + "': " + feed.failure()};
        throw;
    }
    if (result.exit_code != 0) throw load_failed(dump, result);
    if (!feed.complete()) {
        throw Error{ErrorCode::io_failed, "psql ended before it had read all of '" + dump.name() + "'"};
    }
}

}  // namespace lifeboat
