// Threads that compute, or do the same small thing all the time.
#ifndef THREADS64_COMPUTING_H
#define THREADS64_COMPUTING_H

#include "worker.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <stdexcept>

namespace {

// x = factor * x + summand, n times, can be had in one step.
template <class T>
T jump(T x, T factor, T summand, std::uint64_t n) {
    T all_factor = 1, all_summand = 0;
    for (; n; n >>= 1) {
        if (n & 1) {
            all_summand = T(all_summand * factor + summand);
            all_factor = T(all_factor * factor);
        }
        summand = T(summand * factor + summand);
        factor = T(factor * factor);
    }
    return T(all_factor * x + all_summand);
}

class Integers : public Worker {
  public:
    Integers() : Worker("integers", computes) {}

  protected:
    void block() override {
        while (!requested()) {
            std::uint64_t x = x_;
            for (int i = 0; i < 1000; i++)
                x = x * factor + summand;
            x_ = x;
            steps_ += 1000;
        }
    }
    void verify() override { CHECK(x_ == jump<std::uint64_t>(1, factor, summand, steps_)); }

  private:
    static constexpr std::uint64_t factor = 6364136223846793005u, summand = 1442695040888963407u;
    std::uint64_t x_ = 1, steps_ = 0;
};

using Lane = std::uint16_t;
constexpr Lane lane_factor = 25173, lane_summand = 13849;

template <int bytes>
struct Vectors {
    typedef Lane vector __attribute__((vector_size(bytes)));
    vector a, b, c, d;
};

// A thousand steps, with everything in registers.
#define VECTOR_STEPS(name, bytes, instructions)                                                    \
    __attribute__((target(instructions))) void name(void *state) {                                 \
        Vectors<bytes> v;                                                                          \
        memcpy(&v, state, sizeof v);                                                               \
        for (int i = 0; i < 1000; i++) {                                                           \
            v.a = v.a * lane_factor + lane_summand;                                                \
            v.b = v.b * lane_factor + lane_summand;                                                \
            v.c = v.c * lane_factor + lane_summand;                                                \
            v.d = v.d * lane_factor + lane_summand;                                                \
        }                                                                                          \
        memcpy(state, &v, sizeof v);                                                               \
    }
VECTOR_STEPS(step_sse2, 16, "sse2")
VECTOR_STEPS(step_avx2, 32, "avx2")
VECTOR_STEPS(step_avx512, 64, "avx512f,avx512bw")

class VectorUnit : public Worker {
  public:
    explicit VectorUnit(int widest) : Worker("vectors", computes) {
        __builtin_cpu_init();
        if (widest >= 64 && __builtin_cpu_supports("avx512bw"))
            step_ = step_avx512;
        else if (widest >= 32 && __builtin_cpu_supports("avx2"))
            step_ = step_avx2;
        for (int i = 0; i < lanes; i++)
            lane_[i] = Lane(i);
    }

  protected:
    void block() override {
        while (!requested()) {
            step_(lane_);
            steps_ += 1000;
        }
    }
    void verify() override {
        const int used = step_ == step_avx512 ? lanes : step_ == step_avx2 ? lanes / 2 : lanes / 4;
        for (int i = 0; i < used; i++)
            CHECK(lane_[i] == jump<Lane>(Lane(i), lane_factor, lane_summand, steps_));
    }

  private:
    static constexpr int lanes = 4 * 64 / sizeof(Lane);
    void (*step_)(void *) = step_sse2;
    Lane lane_[lanes];
    std::uint64_t steps_ = 0;
};

// A logistic map forgets nothing: begun again, it comes to the same.
class Floats : public Worker {
  public:
    Floats() : Worker("floats", computes) { come_to(most_, expected_); }

  protected:
    void block() override {
        while (!requested()) {
            if (steps_ == most_) {
                CHECK(std::equal(x_, x_ + 4, expected_));
                steps_ = 0;
            }
            if (steps_++ == 0)
                begin(x_);
            step(x_);
        }
    }
    void verify() override {
        long double again[4];
        come_to(steps_, again);
        CHECK(steps_ == 0 || std::equal(x_, x_ + 4, again));
    }

  private:
    static void begin(long double (&x)[4]) {
        for (int i = 0; i < 4; i++)
            x[i] = (i + 1) / 7.0L;
    }
    __attribute__((noinline)) static void step(long double (&x)[4]) {
        long double a = x[0], b = x[1], c = x[2], d = x[3];
        for (int i = 0; i < 1000; i++) {
            a = 3.99L * a * (1 - a);
            b = 3.98L * b * (1 - b);
            c = 3.97L * c * (1 - c);
            d = 3.96L * d * (1 - d);
        }
        x[0] = a, x[1] = b, x[2] = c, x[3] = d;
    }
    static void come_to(int steps, long double (&x)[4]) {
        begin(x);
        for (int i = 0; i < steps; i++)
            step(x);
    }
    static constexpr int most_ = 100;
    long double x_[4], expected_[4];
    int steps_ = 0;
};

// Does the same small thing all the time.
class Repeater : public Worker {
  public:
    Repeater(const char *kind, std::function<void()> what) : Worker(kind, computes), what_(what) {}

  protected:
    void block() override {
        while (!requested())
            what_();
    }

  private:
    const std::function<void()> what_;
};

void ask_for_tid() {
    static thread_local const pid_t tid = own_tid();
    CHECK(own_tid() == tid && getpid() != 0);
}

void read_clock() {
    static thread_local std::int64_t last = 0;
    const std::int64_t time = now(CLOCK_MONOTONIC);
    CHECK(time >= last);
    last = time;
}

void use_heap() {
    static thread_local std::uint64_t seed = 0;
    const std::size_t size = 1 + ++seed * 7919 % 3000;
    const auto block = std::make_unique<char[]>(size), other = std::make_unique<char[]>(size / 2);
    fill(block.get(), size, seed);
    fill(other.get(), size / 2, seed + 1);
    CHECK(intact(block.get(), size, seed));
}

void throw_and_catch() {
    static thread_local int thrown = 0;
    try {
        throw std::runtime_error(std::to_string(++thrown));
    } catch (const std::runtime_error &e) {
        CHECK(e.what() == std::to_string(thrown));
    }
}

} // namespace

#endif
