// The names in a directory, without opendir(3): it allocates, and asks no server anew. By system
// calls, so that a program's errno stays its own.
#pragma once

#include "arch/arch.h"

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <sys/syscall.h>

namespace rfork {

// Calls each(name) for every entry of the open directory, from its beginning; 0 or an errno value.
// Nothing is allocated, so this can be called any number of times.
template <class Each>
int for_each_name(int directory, Each each) {
    constexpr std::size_t name_at = 19; // in struct linux_dirent64 of getdents64(2)
    if (const long r = arch::syscall(SYS_lseek, directory, 0, SEEK_SET); r < 0)
        return int(-r);
    alignas(8) char buffer[8192];
    for (;;) {
        const long got = arch::syscall(SYS_getdents64, directory, buffer, sizeof buffer);
        if (got < 0)
            return int(-got);
        if (got == 0)
            return 0;
        for (long at = 0; at < got;) {
            std::uint16_t size;
            std::memcpy(&size, buffer + at + 16, sizeof size);
            each(std::string_view(buffer + at + name_at));
            at += size;
        }
    }
}

} // namespace rfork
