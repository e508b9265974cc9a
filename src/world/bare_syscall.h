// A system call without the C library: it touches nothing of the calling thread, `errno` included. For code that shares
// memory with a thread which is not suspended.
#pragma once

namespace lifeboat {

// The kernel's own answer: a negative errno when it failed. Pointers are given as numbers.
__attribute__((always_inline)) inline long bare_syscall(long number, long first = 0, long second = 0, long third = 0,
                                                        long fourth = 0) {
#if defined(__x86_64__)
    register long r10 __asm__("r10") = fourth;
    long answer;
    __asm__ volatile("syscall"
                     : "=a"(answer)
                     : "a"(number), "D"(first), "S"(second), "d"(third), "r"(r10)
                     : "rcx", "r11", "memory");
    return answer;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = first;
    register long x1 __asm__("x1") = second;
    register long x2 __asm__("x2") = third;
    register long x3 __asm__("x3") = fourth;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
#else
#error "write the system call of this processor here"
#endif
}

}  // namespace lifeboat
