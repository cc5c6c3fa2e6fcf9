// arithmetic COUNT - vector and x87 arithmetic, frozen at COUNT random points
//
// The sum of a long computation that lives in registers alone is known from a first run without
// disturbance. Then a timer signal interrupts it somewhere, and the handler freezes the program:
// the caller has to end with the same sum, and so has the image, which is started each time.
//
// What is computed (arithmetic_steps.S) forgets no bit of any register: one that is lost anywhere
// changes the sum.
#include "frozen.h"

#include <algorithm>
#include <cstddef>
#include <random>
#include <signal.h>
#include <spawn.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <vector>

extern char **environ;

namespace {

constexpr int steps = 20000;

struct alignas(64) State {
    unsigned char vectors[32][64];
    long double x87[7];
    std::uint16_t masks[8];
    std::uint32_t mxcsr;
    std::uint16_t control_word;
};

static_assert(offsetof(State, x87) == 2048 && offsetof(State, masks) == 2160 &&
                  offsetof(State, mxcsr) == 2176 && offsetof(State, control_word) == 2180,
              "arithmetic_steps.S has these offsets");

extern "C" {
void arithmetic_sse2(State *, long count);
void arithmetic_avx2(State *, long count);
void arithmetic_avx512(State *, long count);
}

struct Unit {
    const char *name;
    void (*run)(State *, long);
    std::uint64_t expected;
    long microseconds;
};

std::uint64_t sum_of(const State &state) {
    std::uint64_t sum = 0;
    auto add = [&sum](const void *memory, std::size_t size) {
        for (std::size_t i = 0; i < size; i++)
            sum = (sum ^ static_cast<const unsigned char *>(memory)[i]) * 0x100000001b3;
    };
    add(state.vectors, sizeof state.vectors);
    add(state.masks, sizeof state.masks);
    add(&state.mxcsr, sizeof state.mxcsr);
    add(&state.control_word, sizeof state.control_word);
    for (const long double &x : state.x87)
        add(&x, 10);
    return sum;
}

std::uint64_t compute(const Unit &unit) {
    State state;
    memset(&state, 0, sizeof state);
    fill(state.vectors, sizeof state.vectors, 1);
    fill(state.masks, sizeof state.masks, 2);
    for (int i = 0; i < 7; i++)
        state.x87[i] = (i + 1) / 9.0L;
    unit.run(&state, steps);
    return sum_of(state);
}

volatile int freezes, last_outcome;

void on_timer(int) {
    last_outcome = freeze();
    freezes = freezes + 1;
}

void arm(long microseconds) {
    const itimerval timer{.it_interval = {}, .it_value = {0, microseconds}};
    CHECK(setitimer(ITIMER_REAL, &timer, nullptr) == 0);
}

// Knows what it has to come to, and how long that takes.
Unit measured(const char *name, void (*run)(State *, long)) {
    Unit unit{name, run, 0, 999999};
    for (int i = 0; i < 5; i++) {
        timespec start, end;
        clock_gettime(CLOCK_MONOTONIC, &start);
        unit.expected = compute(unit);
        clock_gettime(CLOCK_MONOTONIC, &end);
        unit.microseconds = std::min(unit.microseconds, (end.tv_sec - start.tv_sec) * 1000000 +
                                                            (end.tv_nsec - start.tv_nsec) / 1000);
    }
    printf("note: %s and x87: sum %lx in %ld us\n", name, unit.expected, unit.microseconds);
    return unit;
}

std::vector<Unit> units_of_this_cpu() {
    std::vector<Unit> units{measured("SSE2", arithmetic_sse2)};
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2"))
        units.push_back(measured("AVX2", arithmetic_avx2));
    if (__builtin_cpu_supports("avx512f"))
        units.push_back(measured("AVX-512", arithmetic_avx512));
    fflush(stdout); // an image would print it again
    return units;
}

// What the image says, which is the sum it has come to.
std::uint64_t sum_of_image() {
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    CHECK(posix_spawn_file_actions_init(&actions) == 0);
    CHECK(posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO) == 0);
    char name[] = "image", *arguments[] = {name, nullptr};
    pid_t image = 0;
    CHECK(posix_spawn(&image, getenv("IMAGE"), &actions, nullptr, arguments, environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    FILE *said = fdopen(ends[0], "r");
    std::uint64_t sum = 0;
    CHECK(said && fscanf(said, "note: sum %lx", &sum) == 1);
    fclose(said);
    int status = -1;
    CHECK(waitpid(image, &status, 0) == image && status == 0);
    return sum;
}

} // namespace

int main(int argc, char **argv) {
    const int count = argc > 1 ? atoi(argv[1]) : 20;
    const std::vector<Unit> units = units_of_this_cpu();

    // What the handler may interrupt is the computation and what is around it, but no malloc.
    struct sigaction action = {};
    action.sa_handler = on_timer;
    CHECK(sigaction(SIGALRM, &action, nullptr) == 0);
    std::mt19937 random(2002);
    for (int i = 0; i < count; i++) {
        const Unit &unit = units[std::size_t(i) % units.size()];
        arm(1 + long(random() % unsigned(unit.microseconds)));
        std::uint64_t sum = unit.expected;
        while (freezes == i && sum == unit.expected)
            sum = compute(unit);
        CHECK(sum == unit.expected);
        if (last_outcome == CHILD) {
            printf("note: sum %lx\n", sum);
            return success();
        }
        CHECK(sum_of_image() == unit.expected);
    }
    return success();
}
