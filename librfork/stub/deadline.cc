#include "stub/stub.h"

#include <asm/unistd.h>
#include <linux/time.h>

namespace rfork::stub {
namespace {

std::uint64_t monotonic_ns() {
    struct {
        std::int64_t s, ns;
    } time = {0, 0};
    arch::syscall(__NR_clock_gettime, CLOCK_MONOTONIC, &time);
    return std::uint64_t(time.s) * 1000000000 + std::uint64_t(time.ns);
}

} // namespace

Deadline::Deadline(unsigned seconds) : end_(monotonic_ns() + seconds * std::uint64_t(1000000000)) {}

bool Deadline::passed() const {
    return monotonic_ns() > end_;
}

} // namespace rfork::stub
