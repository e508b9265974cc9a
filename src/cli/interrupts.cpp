#include "cli/interrupts.h"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/error.h"

namespace lifeboat {

namespace {

// A signal handler can reach nothing but a static: the write end of the watcher's pipe.
std::array<int, 2> wire{-1, -1};

void on_signal(int signal) {
    const int before = errno;
    const auto byte = static_cast<unsigned char>(signal);
    [[maybe_unused]] const ssize_t written = ::write(wire[1], &byte, 1);
    errno = before;
}

void handle(int signal, void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    ::sigaction(signal, &action, nullptr);
}

}  // namespace

Interrupts::Interrupts(std::function<void(int, int)> interrupted) {
    if (::pipe2(wire.data(), O_CLOEXEC) != 0) throw_errno("make a pipe for signals", errno);
    watcher_ = std::thread([this, interrupted = std::move(interrupted), from = wire[0]] {
        int count = 0;
        unsigned char byte = 0;
        while (true) {
            const ssize_t got = ::read(from, &byte, 1);
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0 || byte == 0) return;
            int none = 0;
            first_.compare_exchange_strong(none, byte);
            interrupted(byte, ++count);
        }
    });
    handle(SIGINT, on_signal);
    handle(SIGTERM, on_signal);
    handle(SIGHUP, SIG_IGN);
    handle(SIGTTOU, SIG_IGN);
}

Interrupts::~Interrupts() {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGTTOU})
        handle(signal, SIG_DFL);
    const unsigned char end = 0;
    [[maybe_unused]] const ssize_t written = ::write(wire[1], &end, 1);
    watcher_.join();
    for (int& descriptor : wire) {
        ::close(descriptor);
        descriptor = -1;
    }
}

}  // namespace lifeboat
