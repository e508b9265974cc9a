#include "world/process_spawn.h"

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "world/process_pipe.h"

// A copy of the address space (fork) costs milliseconds in a large runner, and posix_spawn has no place for a gate. So
// the child shares our memory until it executes its program (CLONE_VM | CLONE_VFORK): the kernel suspends only the
// thread that made it, which is one that has nothing else to do. Until then the child runs on a stack of its own and
// does nothing but bare system calls.

// clone() under the name that no sanitizer intercepts: theirs takes every clone for a fork, with a memory of its own.
extern "C" int __clone(int (*function)(void*), void* stack, int flags, void* argument, ...) noexcept;

#define LIFEBOAT_IN_CHILD __attribute__((no_sanitize("address", "thread", "undefined")))

namespace lifeboat {

namespace {

constexpr std::size_t stack_size = 32u << 10;
// Left as it is: writing all of it would cost more than the child does.
using Stack = std::unique_ptr<std::byte[]>;

Stack new_stack() {
    return std::make_unique_for_overwrite<std::byte[]>(stack_size);
}

LIFEBOAT_IN_CHILD void* top_of(const Stack& stack) {
    return stack.get() + stack_size;
}

// How far a child came before it failed.
enum class Stage { none, make, folder, execute };

}  // namespace

struct GatedChild::Launch {
    // read by the child
    const char* program = nullptr;
    std::vector<char*> argv;
    std::vector<char*> envp;
    const char* folder = nullptr;
    int streams[3] = {-1, -1, -1};
    int gate = -1;
    int ready = -1;
    bool own_session = false;

    // written by the child or the kernel while our thread is suspended
    int pid = 0;
    int pidfd = -1;
    int intermediate = 0;
    Stage failed_at = Stage::none;
    int error_number = 0;

    // keep the texts alive
    SpawnRequest request;
    std::vector<std::string> variables;
    Stack stack = new_stack();
    Stack inner_stack;  // of a child with a session of its own

    static void keep_only_its_own(Launch& launch);
    static int child_main(void* shared);
    static int intermediate_main(void* shared);
};

// What follows runs in the child: only `syscall`, no library call, no allocation, no exception.
// Its streams, the gate and the answer stay; everything else of ours goes at once, not only at exec: two children that
// held the other's gate would wait for ever, and an intermediate that holds our own gate and our locks would keep both
// when we die.
LIFEBOAT_IN_CHILD void GatedChild::Launch::keep_only_its_own(Launch& launch) {
    for (int stream = 0; stream < 3; ++stream) {
        ::syscall(SYS_dup3, launch.streams[stream], stream, 0);
        launch.streams[stream] = stream;
    }
    const int low = launch.gate < launch.ready ? launch.gate : launch.ready;
    const int high = launch.gate < launch.ready ? launch.ready : launch.gate;
    if (low > 3) ::syscall(SYS_close_range, 3, low - 1, 0);
    if (high > low + 1) ::syscall(SYS_close_range, low + 1, high - 1, 0);
    ::syscall(SYS_close_range, high + 1, ~0u, 0);
}

LIFEBOAT_IN_CHILD int GatedChild::Launch::child_main(void* shared) {
    Launch& launch = *static_cast<Launch*>(shared);
    if (launch.own_session) {
        ::syscall(SYS_setsid);
    } else {
        ::syscall(SYS_setpgid, 0, 0);
    }
    keep_only_its_own(launch);

    launch.pid = static_cast<int>(::syscall(SYS_getpid));
    const std::uint64_t one = 1;
    ::syscall(SYS_write, launch.ready, &one, sizeof one);
    ::syscall(SYS_close, launch.ready);

    char opened = 0;
    long count = 0;
    do {
        count = ::syscall(SYS_read, launch.gate, &opened, 1);
    } while (count < 0 && errno == EINTR);
    if (count != 1) ::syscall(SYS_exit_group, 126);
    ::syscall(SYS_close, launch.gate);

    // The kernel's own structure, all zero: the default disposition. sigaction() of a sanitizer would note it as ours.
    const std::uint64_t by_default[8] = {};
    for (int signal = 1; signal <= 64; ++signal)
        ::syscall(SYS_rt_sigaction, signal, by_default, nullptr, 8);
    const std::uint64_t none_blocked = 0;
    ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none_blocked, nullptr, 8);

    launch.failed_at = Stage::folder;
    if (::syscall(SYS_chdir, launch.folder) == 0) {
        launch.failed_at = Stage::execute;
        ::syscall(SYS_execve, launch.program, launch.argv.data(), launch.envp.data());
    }
    launch.error_number = errno;
    ::syscall(SYS_exit_group, 127);
    __builtin_unreachable();
}

// The parent of a child with a session of its own: ends when that one has executed, which makes init its parent.
LIFEBOAT_IN_CHILD int GatedChild::Launch::intermediate_main(void* shared) {
    Launch& launch = *static_cast<Launch*>(shared);
    keep_only_its_own(launch);
    if (::__clone(child_main, top_of(launch.inner_stack), CLONE_VM | CLONE_VFORK | SIGCHLD, shared) < 0) {
        launch.failed_at = Stage::make;
        launch.error_number = errno;
    }
    ::syscall(SYS_exit_group, 0);
    __builtin_unreachable();
}

namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> all;
    all.reserve(texts.size() + 1);
    for (std::string& text : texts)
        all.push_back(text.data());
    all.push_back(nullptr);
    return all;
}

[[noreturn]] void throw_exec_error(Stage stage, int error_number, const SpawnRequest& request) {
    const std::string reason = std::generic_category().message(error_number);
    if (stage == Stage::folder) throw_errno("enter the working folder '" + request.folder + "'", error_number);
    if (stage == Stage::execute &&
        (error_number == ENOENT || error_number == EACCES || error_number == ENOEXEC || error_number == ELIBBAD)) {
        throw Error{ErrorCode::program_missing, "cannot execute '" + request.program + "': " + reason,
                    "The file, or the interpreter named in its first line, is missing or no program."};
    }
    throw_errno((stage == Stage::execute ? "execute '" : "make a process for '") + request.program + "'", error_number);
}

}  // namespace

GatedChild::GatedChild(const SpawnRequest& request) : launch_(std::make_unique<Launch>()) {
    Launch& launch = *launch_;
    launch.request = request;
    for (const auto& [name, value] : request.environment)
        launch.variables.push_back(name + "=" + value);
    launch.program = launch.request.program.c_str();
    launch.folder = launch.request.folder.c_str();
    launch.argv = pointers(launch.request.argv);
    launch.envp = pointers(launch.variables);
    launch.streams[0] = request.input;
    launch.streams[1] = request.output;
    launch.streams[2] = request.errors;
    launch.own_session = request.own_session;
    if (launch.own_session) launch.inner_stack = new_stack();

    Pipe gate = make_pipe();
    gate_ = std::move(gate.write);
    gate_in_child_ = std::move(gate.read);
    ready_ = hold_fd(::eventfd(0, EFD_CLOEXEC), "make an event descriptor");
    launch.gate = gate_in_child_.get();
    launch.ready = ready_.get();

    const auto start = [&launch] {
        // a signal meant for us must not run our handlers in a child that shares our memory
        sigset_t all;
        sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
        void* const stack = top_of(launch.stack);
        const int made = launch.own_session
                             ? ::__clone(Launch::intermediate_main, stack, CLONE_VM | CLONE_VFORK | SIGCHLD, &launch)
                             : ::__clone(Launch::child_main, stack, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD,
                                         &launch, &launch.pidfd);
        if (made < 0) {
            launch.failed_at = Stage::make;
            launch.error_number = errno;
        } else if (launch.own_session) {
            launch.intermediate = made;
        }
        // wakes the constructor where there is no child to do it
        const std::uint64_t one = 1;
        static_cast<void>(!::write(launch.ready, &one, sizeof one));
    };
    try {
        starter_ = std::thread(start);
    } catch (const std::system_error& error) {
        throw_errno("start a thread for '" + request.program + "'", error.code().value());
    }
    std::uint64_t count = 0;
    while (::read(ready_.get(), &count, sizeof count) < 0 && errno == EINTR) {
    }
    if (launch.pidfd >= 0) pidfd_ = FileDescriptor(launch.pidfd);
    if (launch.pid == 0) fail();
}

GatedChild::~GatedChild() {
    gate_.reset();
    if (starter_.joinable()) starter_.join();
    reap_intermediate();
    if (!pidfd_ || reaped_) return;
    if (running_) ::kill(-launch_->pid, SIGKILL);
    siginfo_t end{};
    while (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &end, WEXITED) < 0 && errno == EINTR) {
    }
}

int GatedChild::pid() const {
    return launch_->pid;
}

int GatedChild::pidfd() const {
    return pidfd_.get();
}

void GatedChild::open_gate() {
    const char open = 1;
    while (::write(gate_.get(), &open, 1) < 0 && errno == EINTR) {
    }
    starter_.join();
    gate_.reset();
    if (launch_->error_number != 0) fail();
    running_ = true;
    if (launch_->own_session) reap_intermediate();
}

void GatedChild::fail() {
    gate_.reset();
    if (starter_.joinable()) starter_.join();
    if (pidfd_) reap();
    reap_intermediate();
    throw_exec_error(launch_->failed_at, launch_->error_number == 0 ? ECHILD : launch_->error_number, launch_->request);
}

void GatedChild::reap_intermediate() {
    if (launch_->intermediate <= 0) return;
    while (::waitpid(launch_->intermediate, nullptr, 0) < 0 && errno == EINTR) {
    }
    launch_->intermediate = 0;
}

GatedChild::End GatedChild::reap() {
    siginfo_t end{};
    while (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &end, WEXITED) < 0) {
        if (errno != EINTR) throw_errno("learn how '" + launch_->request.program + "' ended", errno);
    }
    reaped_ = true;
    if (end.si_code == CLD_EXITED) return {.exit_code = end.si_status};
    return {.exit_code = 128 + end.si_status, .signal = end.si_status};
}

}  // namespace lifeboat
