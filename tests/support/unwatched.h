// While it lives, what its thread allocates is not looked for by the leak checker (where there is one): for libraries
// whose own leaks cannot be told by a name, because the stack ends in a library below them.
#pragma once

extern "C" void __lsan_disable() __attribute__((weak));
extern "C" void __lsan_enable() __attribute__((weak));

namespace lifeboat {

class Unwatched {
  public:
    Unwatched() {
        if (__lsan_disable != nullptr) __lsan_disable();
    }
    ~Unwatched() {
        if (__lsan_enable != nullptr) __lsan_enable();
    }
    Unwatched(const Unwatched&) = delete;
    Unwatched& operator=(const Unwatched&) = delete;
};

}  // namespace lifeboat
