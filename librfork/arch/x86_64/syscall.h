// System calls without a libc: the result is the value, or -errno. Used by the stub, which has no
// libc, and by the code around the capture, which must touch neither errno nor vector registers.
#pragma once

#include <cstdint>

namespace rfork::arch {

inline long syscall6(long number, long a, long b, long c, long d, long e, long f) {
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

template <class T>
inline long as_argument(T value) {
    return (long)value;
}

template <class... Arguments>
inline long syscall(long number, Arguments... arguments) {
    static_assert(sizeof...(arguments) <= 6);
    const long padded[6] = {as_argument(arguments)...};
    return syscall6(number, padded[0], padded[1], padded[2], padded[3], padded[4], padded[5]);
}

} // namespace rfork::arch
