#include "api/copy_events.h"

#include "arch/arch.h"
#include "base/clock.h"

#include <cstddef>
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

// The list of those that have not happened yet.
void CopyEvents::link() {
    robust_list* last = &list_.list;
    for (Held& event : events_) {
        if (event.word & happened)
            continue;
        last->next = &event.entry;
        last = &event.entry;
    }
    last->next = &list_.list;
}

void CopyEvents::hold() {
    // The caller waits from the beginning, so the kernel must know that somebody does.
    const auto tid = std::uint32_t(arch::syscall(SYS_gettid));
    list_.futex_offset = offsetof(Held, word) - offsetof(Held, entry);
    list_.list_op_pending = nullptr;
    link();
    arch::syscall(SYS_set_robust_list, &list_, sizeof list_);
    for (Held& event : events_) {
        __atomic_store_n(&event.word, tid | FUTEX_WAITERS, __ATOMIC_RELEASE);
        wake(&event.word);
    }
}

void CopyEvents::report(CopyEvent event) {
    std::uint32_t& word = events_[unsigned(event)].word;
    __atomic_store_n(&word, happened, __ATOMIC_RELEASE);
    link();
    wake(&word);
}

bool CopyEvents::wait(CopyEvent event, pid_t copy, std::uint64_t at_most) {
    constexpr std::uint64_t until_held = 10'000'000;
    const std::uint64_t began = monotonic_ns();
    std::uint32_t& word = events_[unsigned(event)].word;
    for (;;) {
        const std::uint32_t now = __atomic_load_n(&word, __ATOMIC_ACQUIRE);
        if (now & (happened | FUTEX_OWNER_DIED)) {
            wake(&word); // a child that a signal handler has forked meanwhile waits here too
            return true;
        }
        if (now == 0 && has_ended(copy))
            return true;
        const std::uint64_t elapsed = at_most ? monotonic_ns() - began : 0;
        if (at_most && elapsed >= at_most)
            return false;
        std::uint64_t pause = at_most ? at_most - elapsed : 0;
        if (now == 0 && (pause == 0 || pause > until_held))
            pause = until_held;
        const timespec time = to_timespec(pause);
        arch::syscall(SYS_futex, &word, FUTEX_WAIT, now, pause ? &time : nullptr, nullptr, 0);
    }
}

} // namespace rfork::api
