#include "world/process_spawn.h"

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <system_error>

#include <sched.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "world/bare_syscall.h"
#include "world/process_pipe.h"

// A copy of the address space (fork) costs milliseconds in a large runner, and posix_spawn has no place for a gate. So
// the child shares our memory until it executes its program (CLONE_VM), beside the thread that made it and in that
// one's thread-local storage: it runs on a stack of its own and does nothing but bare system calls, whose errors are
// return values, since `errno` is ours.

// clone() under the name that no sanitizer intercepts: theirs takes every clone for a fork, with a memory of its own.
extern "C" int __clone(  // NOLINT(bugprone-reserved-identifier)
    int (*function)(void*), void* stack, int flags, void* argument, ...) noexcept;

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

    // written by the child, read when it has executed or is gone
    int pid = 0;  // of one with a session of its own: readable when `ready` is
    Stage failed_at = Stage::none;
    int error_number = 0;

    // keep the texts alive
    SpawnRequest request;
    std::vector<std::string> variables;
    Stack stack = new_stack();
    Stack inner_stack;  // of a child with a session of its own

    static void keep_only_its_own(Launch& launch);
    static void tell_ready(Launch& launch);
    static int child_main(void* shared);
    static int intermediate_main(void* shared);
};

// What follows runs in the child: no library call, no allocation, no exception.
// Its streams, the gate and the answer stay; everything else of ours goes at once, not only at exec: two children that
// held the other's gate would wait for ever, and an intermediate that holds our own gate and our locks would keep both
// when we die.
LIFEBOAT_IN_CHILD void GatedChild::Launch::keep_only_its_own(Launch& launch) {
    for (int stream = 0; stream < 3; ++stream) {
        bare_syscall(SYS_dup3, launch.streams[stream], stream, 0);
        launch.streams[stream] = stream;
    }
    const int low = launch.ready >= 0 && launch.ready < launch.gate ? launch.ready : launch.gate;
    const int high = launch.ready > launch.gate ? launch.ready : launch.gate;
    if (low > 3) bare_syscall(SYS_close_range, 3, low - 1, 0);
    if (high > low + 1) bare_syscall(SYS_close_range, low + 1, high - 1, 0);
    bare_syscall(SYS_close_range, high + 1, ~0u, 0);
}

LIFEBOAT_IN_CHILD void GatedChild::Launch::tell_ready(Launch& launch) {
    const std::uint64_t one = 1;
    bare_syscall(SYS_write, launch.ready, reinterpret_cast<long>(&one), sizeof one);
    bare_syscall(SYS_close, launch.ready);
}

LIFEBOAT_IN_CHILD int GatedChild::Launch::child_main(void* shared) {
    Launch& launch = *static_cast<Launch*>(shared);
    if (launch.own_session) {
        bare_syscall(SYS_setsid);
    } else {
        bare_syscall(SYS_setpgid, 0, 0);
    }
    keep_only_its_own(launch);
    if (launch.own_session) {
        launch.pid = static_cast<int>(bare_syscall(SYS_getpid));
        tell_ready(launch);
    }

    char opened = 0;
    long count = 0;
    do {
        count = bare_syscall(SYS_read, launch.gate, reinterpret_cast<long>(&opened), 1);
    } while (count == -EINTR);
    if (count != 1) bare_syscall(SYS_exit_group, 126);
    bare_syscall(SYS_close, launch.gate);

    // The kernel's own structure, all zero: the default disposition.
    const std::uint64_t by_default[8] = {};
    for (int signal = 1; signal <= 64; ++signal)
        bare_syscall(SYS_rt_sigaction, signal, reinterpret_cast<long>(by_default), 0, 8);
    const std::uint64_t none_blocked = 0;
    bare_syscall(SYS_rt_sigprocmask, SIG_SETMASK, reinterpret_cast<long>(&none_blocked), 0, 8);

    launch.failed_at = Stage::folder;
    long error = bare_syscall(SYS_chdir, reinterpret_cast<long>(launch.folder));
    if (error == 0) {
        launch.failed_at = Stage::execute;
        error = bare_syscall(SYS_execve, reinterpret_cast<long>(launch.program),
                             reinterpret_cast<long>(launch.argv.data()), reinterpret_cast<long>(launch.envp.data()));
    }
    launch.error_number = static_cast<int>(-error);
    bare_syscall(SYS_exit_group, 127);
    __builtin_unreachable();
}

// The parent of a child with a session of its own: suspended by the kernel until that one has executed (CLONE_VFORK),
// and then it ends, which makes init the child's parent.
LIFEBOAT_IN_CHILD int GatedChild::Launch::intermediate_main(void* shared) {
    Launch& launch = *static_cast<Launch*>(shared);
    keep_only_its_own(launch);
    const int made = ::__clone(child_main, top_of(launch.inner_stack), CLONE_VM | CLONE_VFORK | SIGCHLD, shared);
    if (made < 0) {
        launch.failed_at = Stage::make;
        launch.error_number = EAGAIN;  // the likely reason; the true one stands in an `errno` that is not ours
        tell_ready(launch);
    }
    bare_syscall(SYS_exit_group, 0);
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

[[noreturn]] void throw_spawn_error(Stage stage, int error_number, const SpawnRequest& request) {
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
    launch.gate = gate.read.get();
    FileDescriptor ready;
    if (launch.own_session) {
        ready = hold_fd(::eventfd(0, EFD_CLOEXEC), "make an event descriptor");
        launch.ready = ready.get();
    }

    // a signal meant for us must not run our handlers in a child that shares our memory
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    int pidfd = -1;
    void* const stack = top_of(launch.stack);
    const int made = launch.own_session
                         ? ::__clone(Launch::intermediate_main, stack, CLONE_VM | SIGCHLD, &launch)
                         : ::__clone(Launch::child_main, stack, CLONE_VM | CLONE_PIDFD | SIGCHLD, &launch, &pidfd);
    const int error_number = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (made < 0) throw_spawn_error(Stage::make, error_number, launch.request);

    if (!launch.own_session) {
        pid_ = made;
        pidfd_ = FileDescriptor(pidfd);
        ::setpgid(made, made);  // whoever of us two comes first: the group is there when this returns
        return;
    }
    intermediate_ = made;
    std::uint64_t count = 0;
    while (::read(ready.get(), &count, sizeof count) < 0 && errno == EINTR) {
    }
    pid_ = launch.pid;
    if (pid_ == 0) {
        reap_intermediate();
        throw_spawn_error(launch.failed_at, launch.error_number, launch.request);
    }
}

GatedChild::~GatedChild() {
    gate_.reset();
    reap_intermediate();
    if (!pidfd_ || reaped_) return;
    if (running_) ::kill(-pid_, SIGKILL);
    siginfo_t end{};
    while (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &end, WEXITED) < 0 && errno == EINTR) {
    }
}

int GatedChild::pid() const {
    return pid_;
}

int GatedChild::pidfd() const {
    return pidfd_.get();
}

void GatedChild::open_gate() {
    const char open = 1;
    while (::write(gate_.get(), &open, 1) < 0 && errno == EINTR) {
    }
    gate_.reset();
    running_ = true;
    if (!launch_->own_session) return;
    reap_intermediate();
    throw_if_not_executed();
}

void GatedChild::throw_if_not_executed() const {
    if (launch_->error_number != 0) throw_spawn_error(launch_->failed_at, launch_->error_number, launch_->request);
}

void GatedChild::reap_intermediate() {
    if (intermediate_ <= 0) return;
    while (::waitpid(intermediate_, nullptr, 0) < 0 && errno == EINTR) {
    }
    intermediate_ = 0;
}

GatedChild::End GatedChild::reap() {
    siginfo_t end{};
    while (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &end, WEXITED) < 0) {
        if (errno != EINTR) throw_errno("learn how '" + launch_->request.program + "' ended", errno);
    }
    reaped_ = true;
    throw_if_not_executed();
    if (end.si_code == CLD_EXITED) return {.exit_code = end.si_status};
    return {.exit_code = 128 + end.si_status, .signal = end.si_status};
}

}  // namespace lifeboat
