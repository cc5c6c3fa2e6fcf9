#include "api/doorbell.h"

#include "arch/arch.h"

#include <cstddef>
#include <ctime>
#include <sys/syscall.h>
#include <sys/wait.h>

namespace rfork::api {
namespace {

bool has_ended(pid_t copy) {
    siginfo_t info{};
    arch::syscall(SYS_waitid, P_PID, copy, &info, WEXITED | WNOHANG | WNOWAIT | __WALL, nullptr);
    return info.si_pid == copy;
}

void wake(std::uint32_t* word) {
    constexpr int everybody = 0x7fffffff;
    arch::syscall(SYS_futex, word, FUTEX_WAKE, everybody, nullptr, nullptr, 0);
}

} // namespace

void Doorbell::hold() {
    entry_.next = &list_.list;
    list_.list.next = &entry_;
    list_.futex_offset = reinterpret_cast<char*>(&word_) - reinterpret_cast<char*>(&entry_);
    list_.list_op_pending = nullptr;
    arch::syscall(SYS_set_robust_list, &list_, sizeof list_);
    // The caller waits from the beginning, so the kernel must know that somebody does.
    const auto tid = std::uint32_t(arch::syscall(SYS_gettid));
    __atomic_store_n(&word_, tid | FUTEX_WAITERS, __ATOMIC_RELEASE);
    wake(&word_);
}

void Doorbell::ring() {
    arch::syscall(SYS_set_robust_list, nullptr, sizeof list_);
    __atomic_store_n(&word_, rung, __ATOMIC_RELEASE);
    wake(&word_);
}

void Doorbell::wait(pid_t copy) {
    constexpr timespec until_held{0, 10'000'000};
    for (;;) {
        const std::uint32_t now = __atomic_load_n(&word_, __ATOMIC_ACQUIRE);
        if (now & (rung | FUTEX_OWNER_DIED)) {
            wake(&word_); // a child that a signal handler has forked meanwhile waits here too
            return;
        }
        if (now == 0 && has_ended(copy))
            return;
        arch::syscall(SYS_futex, &word_, FUTEX_WAIT, now, now == 0 ? &until_held : nullptr, nullptr,
                      0);
    }
}

} // namespace rfork::api
