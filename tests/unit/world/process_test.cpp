#include "world/process.h"

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "world/files.h"
#include "world/process_stream.h"
#include "world/process_table.h"

using namespace lifeboat;
using namespace std::chrono_literals;

namespace {

SteadyTime in(Duration duration) {
    return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()) + duration;
}

Command shell(const std::string& script) {
    return {.argv = {"sh", "-c", script}, .environment = clean_environment(), .grace = 300ms};
}

PrivateDirectory scratch() {
    return PrivateDirectory(std::filesystem::temp_directory_path(), "process-test-");
}

std::string content_of(const std::filesystem::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

// Polls for something that another process does; false after 10 s.
template <typename Condition>
bool comes_true(Condition condition) {
    for (int i = 0; i < 1000; ++i) {
        if (condition()) return true;
        std::this_thread::sleep_for(10ms);
    }
    return false;
}

Error error_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        return error;
    }
    FAIL("no error was thrown");
    throw;
}

}  // namespace

TEST_CASE("a child's output, errors and exit code come back") {
    std::vector<std::string> lines;
    std::vector<std::string> complaints;
    Command command = shell("echo one; echo; printf three; echo bad >&2; exit 7");
    command.on_output = [&](std::string_view line) { lines.emplace_back(line); };
    command.on_error = [&](std::string_view line) { complaints.emplace_back(line); };
    const ChildResult result = run_child(command, {});
    CHECK(result.exit_code == 7);
    CHECK(result.signal == 0);
    CHECK(result.output == "one\n\nthree");
    CHECK(result.errors == "bad\n");
    CHECK(result.output_bytes == 10);
    CHECK(lines == std::vector<std::string>{"one", "", "three"});
    CHECK(complaints == std::vector<std::string>{"bad"});
    CHECK_FALSE(result.timed_out);
    CHECK_FALSE(result.cancelled);
    CHECK_FALSE(result.leftover);
}

TEST_CASE("a signal is exit code 128 and the signal") {
    const ChildResult result = run_child(shell("kill -SEGV $$"), {});
    CHECK(result.exit_code == 128 + SIGSEGV);
    CHECK(result.signal == SIGSEGV);
}

TEST_CASE("stdin is what was given, else nothing") {
    Command command = shell("cat");
    CHECK(run_child(command, {}).output.empty());

    command.input = std::string(1'000'000, 'x') + "\n";
    command.keep = Bytes{2'000'000};
    CHECK(run_child(command, {}).output == command.input);

    // a child that never reads its input stops nobody
    Command deaf = shell("exit 0");
    deaf.input = std::string(5'000'000, 'x');
    CHECK(run_child(deaf, {}).exit_code == 0);

    const PrivateDirectory folder = scratch();
    std::ofstream(folder.path() / "in") << "from a file";
    Command filed = shell("cat");
    filed.input_file = folder.path() / "in";
    filed.output_file = folder.path() / "out";
    CHECK(run_child(filed, {}).output.empty());
    CHECK(content_of(folder.path() / "out") == "from a file");
    CHECK((std::filesystem::status(folder.path() / "out").permissions() & std::filesystem::perms::all) ==
          (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
}

TEST_CASE("R6 a child's environment is what was declared and nothing of ours") {
    for (const char* name : {"PGHOST", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "DATABASE_URL", "TMOUT", "LD_PRELOAD_X"})
        ::setenv(name, "hostile", 1);
    Command command{.argv = {"env"}, .environment = clean_environment()};
    command.environment["DECLARED"] = "yes";
    const ChildResult result = run_child(command, {});
    for (const char* name : {"PGHOST", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "DATABASE_URL", "TMOUT", "LD_PRELOAD_X"})
        ::unsetenv(name);

    std::string expected;
    for (const auto& [name, value] : command.environment)
        expected += name + "=" + value + "\n";
    CHECK(result.output == expected);
    CHECK(result.output.find("LANG=C.UTF-8\n") != std::string::npos);
    CHECK(result.output.find("TZ=UTC\n") != std::string::npos);
    CHECK(result.output.find("hostile") == std::string::npos);
}

TEST_CASE("a child holds no descriptor and no ignored signal of ours") {
    const auto before = std::signal(SIGUSR1, SIG_IGN);
    const int leaked = ::open("/dev/null", O_RDONLY);  // not close-on-exec, as a library might do it
    const ChildResult result =
        run_child(shell("i=3; while [ $i -lt 100 ]; do [ ! -e /proc/$$/fd/$i ] || echo $i; i=$((i + 1)); done; "
                        "exec grep -E 'Sig(Blk|Ign)' /proc/self/status"),
                  {});
    ::close(leaked);
    std::signal(SIGUSR1, before);
    CHECK(result.output == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST_CASE("the working folder is / unless given") {
    CHECK(run_child({.argv = {"pwd"}, .environment = clean_environment()}, {}).output == "/\n");
    const PrivateDirectory folder = scratch();
    CHECK(run_child({.argv = {"pwd"}, .environment = clean_environment(), .folder = folder.path()}, {}).output ==
          folder.path().string() + "\n");
}

TEST_CASE("what cannot be started says why") {
    const PrivateDirectory folder = scratch();
    const auto run = [](Command command) { return error_of([&] { run_child(command, {}); }); };

    const Error missing = run({.argv = {"no-such-program"}, .environment = clean_environment()});
    CHECK(missing.code == ErrorCode::program_missing);
    CHECK(missing.message == "there is no program 'no-such-program' in PATH");

    const Error missing_path = run({.argv = {"/no/such/program"}});
    CHECK(missing_path.code == ErrorCode::program_missing);
    CHECK(missing_path.message == "there is no program '/no/such/program'");

    const Error no_folder = run({.argv = {"true"}, .folder = "/no/such/folder"});
    CHECK(no_folder.code == ErrorCode::not_found);
    CHECK(no_folder.message == "the working folder '/no/such/folder' does not exist");

    const std::filesystem::path script = folder.path() / "script";
    std::ofstream(script) << "echo not marked executable\n";
    CHECK(run({.argv = {script.string()}}).code == ErrorCode::program_missing);

    std::filesystem::permissions(script, std::filesystem::perms::owner_all);
    std::ofstream(script) << "#!/no/such/interpreter\n";
    const Error interpreter = run({.argv = {script.string()}});
    CHECK(interpreter.code == ErrorCode::program_missing);
    CHECK(interpreter.message == "cannot execute '" + script.string() + "': No such file or directory");

    CHECK(run({.argv = {}}).code == ErrorCode::refused);
    CHECK(run({.argv = {"echo", std::string("a\0b", 3)}}).code == ErrorCode::refused);
    CHECK(run({.argv = {"true"}, .environment = clean_environment(), .input_file = "/no/such/file"}).code ==
          ErrorCode::not_found);
}

TEST_CASE("run_child_checked says how a child ended") {
    const auto run = [](const std::string& script) { return error_of([&] { run_child_checked(shell(script), {}); }); };
    const Error failed = run("echo first >&2; echo the disk is gone >&2; exit 3");
    CHECK(failed.code == ErrorCode::child_failed);
    CHECK(failed.message == "'sh' ended with exit code 3: the disk is gone");
    CHECK(failed.details == Json{{"exit_code", 3}});
    CHECK(run("kill -KILL $$").message == "'sh' was ended by signal 9 (Killed)");

    const Error late = error_of([] { run_child_checked(shell("sleep 300"), {.deadline = in(50ms)}); });
    CHECK(late.code == ErrorCode::timed_out);
    CHECK(run_child_checked(shell("echo fine"), {}).output == "fine\n");
}

TEST_CASE("R10 a group that ignores TERM is gone after the deadline and the grace") {
    ChildIdentity child;
    const ChildResult result =
        run_child(shell("trap '' TERM; sleep 300 & sleep 300"),
                  {.deadline = in(1s), .started = [&](const ChildIdentity& identity) { child = identity; }});
    CHECK(result.timed_out);
    CHECK(result.signal == SIGKILL);
    CHECK(result.exit_code == 137);
    CHECK(child.pid > 1);
    CHECK(living_members(child.pid).empty());
    CHECK_FALSE(is_alive(child));
}

TEST_CASE("R10 a stopped group ends at the deadline too") {
    ChildIdentity child;
    const ChildResult result =
        run_child(shell("kill -STOP $$; sleep 300"),
                  {.deadline = in(200ms), .started = [&](const ChildIdentity& identity) { child = identity; }});
    CHECK(result.timed_out);
    CHECK(result.signal == SIGTERM);
    CHECK(living_members(child.pid).empty());
}

TEST_CASE("R10 a child that is asked to stop may put things in order first") {
    std::stop_source stop;
    std::thread asker;
    Command command = shell("trap 'echo tidied; exit 0' TERM; echo ready; while :; do sleep 0.01; done");
    command.grace = 10s;
    command.on_output = [&](std::string_view line) {
        if (line == "ready") stop.request_stop();
    };
    const ChildResult result = run_child(command, {.stop = stop.get_token()});
    CHECK(result.cancelled);
    CHECK_FALSE(result.timed_out);
    CHECK(result.exit_code == 0);
    CHECK(result.output == "ready\ntidied\n");
}

TEST_CASE("a stop from another thread is heard at once, and one before the start starts nothing") {
    std::stop_source stop;
    std::thread asker([&] {
        std::this_thread::sleep_for(100ms);
        stop.request_stop();
    });
    const auto began = std::chrono::steady_clock::now();
    const ChildResult result = run_child(shell("exec sleep 300"), {.stop = stop.get_token()});
    asker.join();
    CHECK(result.cancelled);
    CHECK(std::chrono::steady_clock::now() - began < 60s);

    const PrivateDirectory folder = scratch();
    const ChildResult none = run_child(shell("touch " + (folder.path() / "ran").string()), {.stop = stop.get_token()});
    CHECK(none.cancelled);
    CHECK_FALSE(std::filesystem::exists(folder.path() / "ran"));
}

TEST_CASE("R10 200 MB on stdout are read without a deadlock and without keeping them") {
    std::uint64_t lines = 0;
    Command command = shell("yes 0123456789012345678901234567890123456789 | head -c 200000000; echo end");
    command.keep = Bytes{4096};
    command.on_output = [&](std::string_view) { ++lines; };
    const ChildResult result = run_child(command, {});
    CHECK(result.exit_code == 0);
    CHECK(result.output_bytes == 200'000'004);
    CHECK(result.output.size() == 4096);
    CHECK(result.output.substr(4092) == "end\n");
    CHECK(lines == 200'000'000 / 41 + 1);
}

TEST_CASE("R38 lines are cut at 64 KiB and the tail is exact, however the bytes arrive") {
    const std::string text = "short\n" + std::string(100'000, 'x') + "\nlast";
    for (const std::size_t step : {1ul, 7ul, 65536ul, text.size()}) {
        std::vector<std::string> lines;
        ProcessStream stream(Bytes{10}, [&](std::string_view line) { lines.emplace_back(line); });
        for (std::size_t at = 0; at < text.size(); at += step)
            stream.take(std::string_view(text).substr(at, step));
        stream.finish();
        CHECK(lines == std::vector<std::string>{"short", std::string(65536, 'x'), "last"});
        CHECK(stream.tail() == "xxxxx\nlast");
        CHECK(stream.bytes() == text.size());
    }
    ProcessStream nothing(Bytes{0}, {});
    nothing.take("abc");
    CHECK(nothing.tail().empty());
}

TEST_CASE("what outlives its leader is ended and said") {
    ChildIdentity child;
    const ChildResult result =
        run_child(shell("sleep 300 & exit 0"), {.started = [&](const ChildIdentity& identity) { child = identity; }});
    CHECK(result.exit_code == 0);
    CHECK(result.leftover);
    CHECK(living_members(child.pid).empty());
}

TEST_CASE("R10 one who escapes into a session of its own and holds the pipe keeps nobody waiting") {
    const PrivateDirectory folder = scratch();
    const std::string pid_file = (folder.path() / "pid").string();
    const ChildResult result =
        run_child(shell("setsid sh -c 'echo $$ > " + pid_file + "; exec sleep 300' & while [ ! -s " + pid_file +
                        " ]; do sleep 0.01; done; echo out"),
                  {.deadline = in(60s)});
    const int escaped = std::stoi(content_of(pid_file));
    CHECK(result.exit_code == 0);
    CHECK(result.output == "out\n");
    CHECK(process_row(escaped).has_value());
    ::kill(escaped, SIGKILL);
}

TEST_CASE("the child runs only after `started` has returned") {
    const PrivateDirectory folder = scratch();
    const std::filesystem::path mark = folder.path() / "ran";
    bool ran_before = true;
    ChildIdentity seen;
    const ChildResult result = run_child(shell("touch " + mark.string()), {.started = [&](const ChildIdentity& child) {
                                             seen = child;
                                             CHECK(is_alive(child));
                                             std::this_thread::sleep_for(50ms);
                                             ran_before = std::filesystem::exists(mark);
                                         }});
    CHECK(result.exit_code == 0);
    CHECK_FALSE(ran_before);
    CHECK(std::filesystem::exists(mark));
    CHECK(seen.boot_id == boot_id());
    CHECK(seen.start_ticks > 0);

    // nothing is left of a child whose `started` failed
    std::filesystem::remove(mark);
    ChildIdentity refused;
    CHECK_THROWS_AS(
        run_child(shell("touch " + mark.string()), {.started =
                                                        [&](const ChildIdentity& child) {
                                                            refused = child;
                                                            throw Error{ErrorCode::disk_full, "the journal is full"};
                                                        }}),
        Error);
    CHECK_FALSE(is_alive(refused));
    CHECK_FALSE(std::filesystem::exists(mark));
}

TEST_CASE("R10 a child whose parent dies before the gate opens never runs") {
    const PrivateDirectory folder = scratch();
    const std::filesystem::path mark = folder.path() / "ran";
    int report[2];
    REQUIRE(::pipe(report) == 0);
    const pid_t runner = ::fork();
    if (runner == 0) {
        // two children whose gates are open at the same time, so that each could hold the other's
        const auto wait_for_ever = [&](const ChildIdentity& child) {
            static_cast<void>(!::write(report[1], &child.pid, sizeof child.pid));
            for (;;)
                ::pause();
        };
        std::thread other([&] { run_child(shell("touch " + mark.string()), {.started = wait_for_ever}); });
        run_child(shell("touch " + mark.string()), {.started = wait_for_ever});
        ::_exit(0);
    }
    ::close(report[1]);
    int children[2] = {0, 0};
    for (int& child : children)
        REQUIRE(::read(report[0], &child, sizeof child) == sizeof child);
    CHECK(process_row(children[0]).has_value());
    CHECK(process_row(children[1]).has_value());
    ::kill(runner, SIGKILL);
    ::waitpid(runner, nullptr, 0);
    for (const int child : children) {
        CHECK(comes_true([&] {
            const auto row = process_row(child);
            return !row || row->dead();
        }));
    }
    CHECK_FALSE(std::filesystem::exists(mark));
    ::close(report[0]);
}

TEST_CASE("children started from many threads at once do not disturb each other") {
    std::vector<std::thread> threads;
    std::vector<std::string> outputs(8);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        threads.emplace_back([&, i] {
            for (int round = 0; round < 20; ++round) {
                const std::string text = std::to_string(i) + "-" + std::to_string(round);
                outputs[i] += run_child({.argv = {"echo", text}, .environment = clean_environment()},
                                        {.started = [](const ChildIdentity&) {}})
                                  .output;
            }
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        std::string expected;
        for (int round = 0; round < 20; ++round)
            expected += std::to_string(i) + "-" + std::to_string(round) + "\n";
        CHECK(outputs[i] == expected);
    }
}

TEST_CASE("a process is known by pid, start and boot, not by its number") {
    const ChildIdentity me = this_process();
    CHECK(me.pid == ::getpid());
    CHECK(is_alive(me));
    CHECK_FALSE(is_alive({.pid = me.pid, .start_ticks = me.start_ticks + 1, .boot_id = me.boot_id}));
    CHECK_FALSE(is_alive({.pid = me.pid, .start_ticks = me.start_ticks, .boot_id = "another boot"}));
    const auto age = std::chrono::system_clock::now() - started_at(me);
    CHECK(age > -1s);
    CHECK(age < 24h);
}

TEST_CASE("the group of a dead runner is ended, its leader alive or not, and nobody else's") {
    const PrivateDirectory folder = scratch();
    const std::string ready = (folder.path() / "ready").string();
    const std::string script = GENERATE(std::string("trap '' TERM; sleep 300 & echo $! > READY; sleep 300"),
                                        std::string("sleep 300 & echo $! > READY.new; mv READY.new READY; exit 0"));
    std::string text = script;
    for (std::size_t at = text.find("READY"); at != std::string::npos; at = text.find("READY", at + ready.size()))
        text.replace(at, 5, ready);

    int report[2];
    REQUIRE(::pipe(report) == 0);
    const pid_t runner = ::fork();
    if (runner == 0) {
        Command command = shell(text);
        command.grace = 60s;
        run_child(command, {.started = [&](const ChildIdentity& child) {
                      static_cast<void>(!::write(report[1], &child.pid, sizeof child.pid));
                      static_cast<void>(!::write(report[1], &child.start_ticks, sizeof child.start_ticks));
                  }});
        ::_exit(0);
    }
    ::close(report[1]);
    ChildIdentity child{.boot_id = boot_id()};
    REQUIRE(::read(report[0], &child.pid, sizeof child.pid) == sizeof child.pid);
    REQUIRE(::read(report[0], &child.start_ticks, sizeof child.start_ticks) == sizeof child.start_ticks);
    ::close(report[0]);
    CHECK(comes_true([&] { return std::filesystem::exists(ready); }));
    ::kill(runner, SIGKILL);
    ::waitpid(runner, nullptr, 0);

    ChildIdentity other = child;
    other.start_ticks += 1'000'000'000;
    CHECK_FALSE(end_group(other, 100ms));
    other = child;
    other.boot_id = "another boot";
    CHECK_FALSE(end_group(other, 100ms));

    // the second script's group may have been ended by its runner already, when that came so far
    if (!living_members(child.pid).empty()) CHECK(end_group(child, 100ms));
    CHECK(living_members(child.pid).empty());
    CHECK_FALSE(end_group(child, 100ms));
}

TEST_CASE("a daemon is in a session of its own, known by its pid file, and ends only when told") {
    const PrivateDirectory folder = scratch();
    const std::filesystem::path pid_file = folder.path() / "pid";
    const std::filesystem::path log = folder.path() / "log";
    const Command command = shell("echo up; echo oops >&2; exec sleep 300");
    const ChildIdentity daemon = start_daemon(command, pid_file, log);
    CHECK(is_alive(daemon));
    CHECK(content_of(pid_file) ==
          std::to_string(daemon.pid) + "\n" + std::to_string(daemon.start_ticks) + "\n" + boot_id() + "\n");
    const auto row = process_row(daemon.pid);
    REQUIRE(row);
    CHECK(row->session == daemon.pid);
    CHECK(row->group == daemon.pid);
    CHECK(::waitpid(daemon.pid, nullptr, WNOHANG) == -1);  // no child of ours
    CHECK(comes_true([&] { return content_of(log) == "up\noops\n"; }));

    CHECK(error_of([&] { start_daemon(command, pid_file, log); }).code == ErrorCode::already_exists);
    CHECK(is_alive(daemon));

    CHECK(stop_daemon(pid_file, 5s));
    CHECK_FALSE(is_alive(daemon));
    CHECK_FALSE(std::filesystem::exists(pid_file));
    CHECK_FALSE(stop_daemon(pid_file, 5s));
}

TEST_CASE("a daemon survives its runner") {
    const PrivateDirectory folder = scratch();
    const std::filesystem::path pid_file = folder.path() / "pid";
    const pid_t runner = ::fork();
    if (runner == 0) {
        start_daemon(shell("exec sleep 300"), pid_file, folder.path() / "log");
        ::_exit(0);
    }
    ::waitpid(runner, nullptr, 0);
    const auto daemon = read_pid_file(pid_file);
    REQUIRE(daemon);
    CHECK(is_alive(*daemon));
    CHECK(stop_daemon(pid_file, 5s));
}

TEST_CASE("a daemon that cannot be executed leaves no pid file, and a foreign one is refused") {
    const PrivateDirectory folder = scratch();
    const std::filesystem::path pid_file = folder.path() / "pid";
    const std::filesystem::path script = folder.path() / "script";
    std::ofstream(script) << "#!/no/such/interpreter\n";
    std::filesystem::permissions(script, std::filesystem::perms::owner_all);
    CHECK(error_of([&] { start_daemon({.argv = {script.string()}}, pid_file, folder.path() / "log"); }).code ==
          ErrorCode::program_missing);
    CHECK_FALSE(std::filesystem::exists(pid_file));

    std::ofstream(pid_file) << "4711\n";
    CHECK(error_of([&] { read_pid_file(pid_file); }).code == ErrorCode::invalid_file);
    CHECK(error_of([&] { stop_daemon(pid_file, 1s); }).code == ErrorCode::invalid_file);

    // of another boot: its number means nothing any more
    std::ofstream(pid_file) << ::getpid() << "\n1\nanother-boot\n";
    CHECK_FALSE(stop_daemon(pid_file, 1s));
}

TEST_CASE("find_program looks in PATH") {
    CHECK(find_program("sh").has_value());
    CHECK(find_program("/bin/sh") == std::filesystem::path("/bin/sh"));
    CHECK_FALSE(find_program("no-such-program"));
    CHECK_FALSE(find_program("/etc/passwd"));
}
