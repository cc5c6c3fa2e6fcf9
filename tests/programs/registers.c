/*
 * registers [zero] - every register keeps its value across the call, in the caller and in the copy:
 * vector registers up to AVX-512 with masks, x87 stack and control word, MXCSR, callee-saved ones.
 *
 * With "zero" all vector and x87 registers are in their initial state, which XSAVE does not write,
 * and only MXCSR is not.
 */
#include "frozen.h"
#include "registers_call.h"

int main(int argc, char **argv) {
    static const char *const names[] = {"SSE", "AVX", "AVX-512"};
    const int zero = argc > 1 && !strcmp(argv[1], "zero");
    const int with = vector_level();
    static struct registers in, out;
    if (!zero) {
        fill(in.zmm, sizeof in.zmm, 1);
        fill(in.k, sizeof in.k, 2);
        const long double values[3] = {3.14159265358979323846L, -1e4000L, 1.0L / 3};
        for (int i = 0; i < 3; i++)
            memcpy(in.x87[i], &values[i], 10);
        in.x87_loaded = 1;
    }
    fill(in.saved, sizeof in.saved, 3);
    in.mxcsr = 0x1f80 | 0x4000 | 0x8000;      /* round up, flush to zero */
    in.control_word = zero ? 0x037f : 0x077f; /* round down */
    CHECK(getenv("IMAGE"));

    const int outcome = call_with_registers(&in, &out, rfork_checkpoint, getenv("IMAGE"), with);

    if (outcome < 0)
        fprintf(stderr, "%s\n", rfork_strerror_last());
    CHECK(outcome == PARENT || outcome == CHILD);
    frozen_role = outcome == PARENT ? "in the caller" : "in the copy";
    const size_t vector = with == 2 ? 64 : with == 1 ? 32 : 16;
    for (int i = 0; i < (with == 2 ? 32 : 16); i++)
        CHECK(!memcmp(in.zmm[i], out.zmm[i], vector));
    if (with == 2)
        CHECK(!memcmp(in.k, out.k, sizeof in.k));
    CHECK(!memcmp(in.saved, out.saved, sizeof in.saved));
    CHECK(in.mxcsr == out.mxcsr && in.control_word == out.control_word);
    const unsigned status = out.x87_saved[4] | out.x87_saved[5] << 8;
    CHECK((status >> 11 & 7) == (zero ? 0 : 5)); /* the top of the x87 stack */
    for (int i = 0; i < 3 && !zero; i++)         /* st(0) is what was loaded last */
        CHECK(!memcmp(out.x87_saved + 28 + 10 * i, in.x87[2 - i], 10));
    printf("note: %s registers\n", names[with]);
    return success();
}
