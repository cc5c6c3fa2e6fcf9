#include "api/halt.h"

namespace rfork::api {
namespace {

constexpr std::uint64_t bit(int signal) {
    return std::uint64_t(1) << (signal - 1);
}

std::uint64_t halted_mask(std::uint64_t mask, const capture::KernelFacts& facts) {
    constexpr std::uint64_t ignored = 1; // SIG_IGN; 0 is SIG_DFL
    for (unsigned number = 1; number <= kinds::signal_count; ++number)
        if (facts.signal_actions[number - 1].handler > ignored)
            mask |= bit(int(number));
    return mask | bit(SIGTSTP) | bit(SIGTTIN) | bit(SIGTTOU);
}

} // namespace

void Halt::begin(std::unique_ptr<capture::Standstill> standstill, BlockedSignals& blocked,
                 const capture::KernelFacts& facts) {
    others_ = std::move(standstill);
    begun_ = true;
    mask_before_ = blocked.before();
    blocked.leave(halted_mask(mask_before_, facts));
}

void Halt::end() {
    if (!begun_)
        return;
    begun_ = false;
    BlockedSignals blocked;
    others_.reset();
    blocked.leave(mask_before_);
}

void end_original() {
    for (;;)
        arch::syscall(SYS_exit_group, 0);
}

} // namespace rfork::api
