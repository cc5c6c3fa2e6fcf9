#include "process/standstill.h"

#include "base/clock.h"

#include <cerrno>
#include <csignal>
#include <ctime>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>

namespace rfork::capture {

extern "C" long rfork_clone_helper(std::uint64_t flags, std::uint64_t stack_top,
                                   std::uint32_t* parent_tid, std::uint32_t* child_tid,
                                   void (*function)(Standstill*), Standstill* argument);

namespace {

constexpr std::uint32_t one_more_met = 1u << 28; // above all tids

// What the helper is asked for, in this order.
enum : std::uint32_t { to_stop = 1, to_read_pending, to_park, to_rescue, to_end };

// Not private: the kernel's own wake-up at a thread's end is not (CLONE_CHILD_CLEARTID).
void wait_while(std::uint32_t& word, std::uint32_t value) {
    while (__atomic_load_n(&word, __ATOMIC_ACQUIRE) == value)
        arch::syscall(SYS_futex, &word, FUTEX_WAIT, value, nullptr, nullptr, 0);
}

void set(std::uint32_t& word, std::uint32_t value) {
    __atomic_store_n(&word, value, __ATOMIC_RELEASE);
    arch::syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

// Yama lets a process trace its descendants only, unless they say that they want it.
class WantsToBeTraced {
  public:
    explicit WantsToBeTraced(std::uint32_t by)
        : said_(arch::syscall(SYS_prctl, PR_SET_PTRACER, by, 0, 0, 0) == 0) {}
    ~WantsToBeTraced() {
        if (said_)
            arch::syscall(SYS_prctl, PR_SET_PTRACER, 0, 0, 0, 0);
    }

  private:
    bool said_;
};

struct KernelAction {
    std::uint64_t handler, flags, restorer, mask;
};

// A step that the kernel reports to a thread which ignores SIGTRAP makes it forget that it does.
class KeptTrapAction {
  public:
    KeptTrapAction() { ask(action_); }
    ~KeptTrapAction() {
        KernelAction now;
        ask(now);
        if (now.handler != action_.handler)
            arch::syscall(SYS_rt_sigaction, SIGTRAP, &action_, nullptr, sizeof action_.mask);
    }

  private:
    static void ask(KernelAction& action) {
        arch::syscall(SYS_rt_sigaction, SIGTRAP, nullptr, &action, sizeof action.mask);
    }
    KernelAction action_{};
};

} // namespace

long Standstill::start_helper() {
    process_ = pid_t(arch::syscall(SYS_getpid));
    requested_ = 0;
    const long started =
        rfork_clone_helper(CLONE_VM | CLONE_FILES | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID,
                           stack_top_, &helper_, &helper_, &Standstill::work, this);
    if (started > 0)
        helper_id_ = pid_t(started);
    return started;
}

Result<void> Standstill::begin() {
    const KeptTrapAction kept;
    if (const long started = start_helper(); started < 0)
        return system_error(int(-started), "cannot start a process that stops the other threads",
                            "raise the limit on processes (ulimit -u)");
    return ask(to_stop);
}

Result<void> Standstill::read_pending(std::uint64_t callers, std::vector<PendingSignal>& to) {
    callers_pending_ = callers;
    pending_ = &to;
    return ask(to_read_pending);
}

// False if the helper has died, now or before.
bool Standstill::request(std::uint32_t what) {
    const WantsToBeTraced wants{std::uint32_t(helper_id_)};
    const std::uint32_t before = __atomic_load_n(&helper_, __ATOMIC_ACQUIRE);
    if (before == 0)
        return false;
    set(requested_, what);
    wait_while(helper_, before);
    return what == to_end || __atomic_load_n(&helper_, __ATOMIC_ACQUIRE) != 0;
}

Result<void> Standstill::ask(std::uint32_t what) {
    if (!request(what))
        return helper_died();
    return outcome_;
}

Result<void> Standstill::end() {
    if (!helper_id_)
        return {};
    if (!request(to_end))
        return helper_died();
    await_helper();
    return {};
}

Result<void> Standstill::hold() {
    if (!helper_id_)
        return {};
    if (Result<void> r = ask(to_park); !r)
        return r;
    request(to_end);
    await_helper();
    return {};
}

// The helper's clone had no exit signal, so only __WALL finds it.
int Standstill::await_helper() {
    int status = 0;
    while (arch::syscall(SYS_wait4, helper_id_, &status, __WALL, nullptr) == -EINTR) {
    }
    helper_id_ = 0;
    return status;
}

// With it, the kernel has let all threads go, wherever they were. Some may still be in our code, on
// stacks of ours: another helper, and another, brings them back to theirs.
Error Standstill::helper_died() {
    const int status = await_helper();
    bring_back_all();
    if (WIFEXITED(status))
        return {ENOMEM, "not enough working memory to stop the threads of the process: raise the "
                        "limit on virtual memory (ulimit -v)"};
    return {EIO, "the process that was to stop the other threads was killed: try again"};
}

// By as many helpers as it takes.
void Standstill::bring_back_all() {
    while (tracer_.has_strayed()) {
        constexpr timespec a_moment{0, 1'000'000};
        if (start_helper() < 0) {
            arch::syscall(SYS_nanosleep, &a_moment, nullptr);
            continue;
        }
        if (request(to_rescue))
            request(to_end);
        await_helper();
    }
}

void Standstill::work(Standstill* here) {
    here->help();
    for (;;)
        arch::syscall(SYS_exit, 0);
}

void Standstill::help() {
    arch::syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (arch::syscall(SYS_getppid) != process_)
        return; // it came too late
    // Leaves the descriptors that we share with the program to it. A kernel that cannot
    // (before 5.9) makes a copy of the table.
    if (arch::syscall(SYS_close_range, 0, ~0u, CLOSE_RANGE_UNSHARE) < 0)
        arch::syscall(SYS_unshare, CLONE_FILES);
    const KernelAction by_default{};
    arch::syscall(SYS_rt_sigaction, SIGCHLD, &by_default, nullptr, sizeof by_default.mask);
    for (std::uint32_t met = 0, next; (next = next_request(met)) != to_end; met = next) {
        if (next == to_stop) {
            began_ = monotonic_ns();
            outcome_ = tracer_.stop();
        } else if (next == to_park) {
            outcome_ = tracer_.park();
        } else if (next == to_rescue) {
            tracer_.rescue();
        } else {
            outcome_ = tracer_.read_pending(callers_pending_, *pending_);
            threads = tracer_.threads();
        }
        set(helper_, helper_ + one_more_met);
    }
    tracer_.release();
    duration_ = monotonic_ns() - began_;
}

std::uint32_t Standstill::next_request(std::uint32_t met) {
    wait_while(requested_, met);
    return requested_;
}

} // namespace rfork::capture
