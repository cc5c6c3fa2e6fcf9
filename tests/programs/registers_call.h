/* All registers around a call: registers_call.S. */
#ifndef REGISTERS_CALL_H
#define REGISTERS_CALL_H

#include <cpuid.h>
#include <stddef.h>
#include <stdint.h>

struct registers {
    unsigned char zmm[32][64];
    uint64_t k[8];
    uint64_t saved[6];
    uint32_t mxcsr;
    uint16_t control_word, pad;
    uint32_t x87_loaded, pad2;
    unsigned char x87[3][16];
    unsigned char x87_saved[112];
};
_Static_assert(offsetof(struct registers, mxcsr) == 2160 &&
                   offsetof(struct registers, x87) == 2176 &&
                   offsetof(struct registers, x87_saved) == 2224,
               "registers_call.S has these offsets");

int call_with_registers(struct registers *in, struct registers *out, int (*function)(const char *),
                        const char *argument, int level);

/* What this CPU has: 2 AVX-512, 1 AVX, 0 neither. */
static inline int vector_level(void) {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw"))
        return 2;
    return __builtin_cpu_supports("avx") ? 1 : 0;
}

#endif
