// The code that takes the place of a vDSO function on another kernel. Shared by the stub and its
// tests: it makes bytes, wherever they are to run.
//
//   where the function was:   jmp rel32           to its slot, 5 bytes, shorter than any function
//   the slot:                 jmp *(%rip) .quad   to the running kernel's function; no register
//   changes
//                        or   mov, syscall, ret   if this kernel's vDSO has none of that name
//                        or   mov, ret            -ENOSYS: we do not know what it does either
#pragma once

#include <asm/unistd.h>
#include <cstddef>
#include <cstdint>
#include <linux/errno.h>

namespace rfork::arch {

inline constexpr std::size_t vdso_entry_size = 5;
inline constexpr std::size_t vdso_slot_size = 32;

inline void put_bytes(std::uint8_t*& at, std::uint64_t value, unsigned count) {
    for (; count > 0; --count, value >>= 8)
        *at++ = std::uint8_t(value);
}

// At `entry`, which is in place: goes to `slot`, less than 2 GiB away.
inline void write_vdso_entry(std::uint8_t* entry, const std::uint8_t* slot) {
    const std::int64_t distance = slot - (entry + vdso_entry_size);
    put_bytes(entry, 0xe9, 1);
    put_bytes(entry, std::uint64_t(distance), 4);
}

inline void write_jump(std::uint8_t* slot, std::uint64_t target) {
    put_bytes(slot, 0x25ff, 2); // jmp *0(%rip)
    put_bytes(slot, 0, 4);
    put_bytes(slot, target, 8);
}

// A vDSO function has its arguments, and its result, where the system call has them.
inline void write_system_call(std::uint8_t* slot, std::uint32_t number) {
    put_bytes(slot, 0xb8, 1); // mov $number, %eax
    put_bytes(slot, number, 4);
    put_bytes(slot, 0xc3050f, 3); // syscall; ret
}

inline void write_no_such_function(std::uint8_t* slot) {
    put_bytes(slot, 0xc0c748, 3); // mov $-ENOSYS, %rax
    put_bytes(slot, std::uint64_t(-ENOSYS), 4);
    put_bytes(slot, 0xc3, 1); // ret
}

// __vdso_getrandom(buffer, size, flags, state, state_size): a state_size of -1 asks how large
// states are to be, and a libc that gets no answer makes none and lets the function alone. With a
// state, of whatever kernel, the system call does as well.
inline void write_getrandom(std::uint8_t* slot) {
    put_bytes(slot, 0xfff88349, 4); // cmp $-1, %r8
    put_bytes(slot, 0x0874, 2);     // je, over the system call
    write_system_call(slot, __NR_getrandom);
    write_no_such_function(slot + 8);
}

struct VdsoFunction {
    char name[16]; // without "__vdso_"
    std::uint32_t system_call;
};
inline constexpr VdsoFunction vdso_functions[] = {{"clock_gettime", __NR_clock_gettime},
                                                  {"clock_getres", __NR_clock_getres},
                                                  {"gettimeofday", __NR_gettimeofday},
                                                  {"time", __NR_time},
                                                  {"getcpu", __NR_getcpu},
                                                  {"getrandom", __NR_getrandom}};

// Most functions are exported twice, as "__vdso_NAME" and as "NAME".
inline const char* plain_vdso_name(const char* name) {
    constexpr char prefix[] = "__vdso_";
    for (unsigned i = 0; i + 1 < sizeof prefix; ++i)
        if (name[i] != prefix[i])
            return name;
    return name + sizeof prefix - 1;
}

inline bool same_vdso_name(const char* a, const char* b) {
    for (; *a && *a == *b; ++a, ++b) {
    }
    return *a == *b;
}

// What a function of that name can do without a vDSO.
inline void write_without_vdso(std::uint8_t* slot, const char* name) {
    for (const VdsoFunction& known : vdso_functions) {
        if (!same_vdso_name(plain_vdso_name(name), known.name))
            continue;
        if (known.system_call == __NR_getrandom)
            write_getrandom(slot);
        else
            write_system_call(slot, known.system_call);
        return;
    }
    write_no_such_function(slot);
}

} // namespace rfork::arch
