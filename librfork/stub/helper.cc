// The helper beside the executed process; identity.cc says what it is for. It has all signals
// blocked for ever. SIGCHLD, which means nothing to others when it is sent, tells it to read the
// page; all others stay pending until the executed process asks about them.
//
//   init    first process of the program's pid namespace. Orphans become its children, and it reaps
//           them; when it ends, the kernel kills all the others. So it dies with the executed
//           process (PR_SET_PDEATHSIG, SIGKILL), until it is told to outlive it: then it ends with
//           the last process of the namespace.
//   guard   without a pid namespace, or beside a program that is itself the first process of one:
//           kills the program, by a pidfd, when the executed process has died without a word.
#include "stub/identity.h"

#include <asm/siginfo.h>
#include <asm/signal.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/futex.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/time.h>
#include <linux/wait.h>

namespace rfork::stub {
namespace {

constexpr int everybody = 0x7fffffff;

class Helper {
  public:
    Helper(SupervisionPage* page, HelperKind kind) : page_(page), kind_(kind) {}

    // `executed`: a pidfd of the executed process.
    [[noreturn]] void run(const Stub& stub, int executed) {
        become_tiny(stub, executed);
        arch::syscall(__NR_prctl, PR_SET_PDEATHSIG, kind_ == HelperKind::init ? SIGKILL : SIGCHLD);
        if (has_ended(executed)) // before that
            end();
        arch::syscall(__NR_close, executed);
        answer(Answer::yes);
        char title[title_size];
        show_helper(stub, page_->executed, title);
        for (;;) {
            wait_for(SIGCHLD, nullptr);
            if (kind_ == HelperKind::init)
                reap();
            if (__atomic_load_n(&page_->command, __ATOMIC_ACQUIRE) != Command::none)
                obey();
            if (kind_ == HelperKind::guard && is_orphaned())
                kill_program();
        }
    }

  private:
    [[noreturn]] static void end() {
        arch::syscall(__NR_exit_group, 0);
        __builtin_unreachable();
    }

    static bool has_ended(int process) {
        pollfd ended{process, POLLIN, 0};
        const timespec at_once{};
        return arch::syscall(__NR_ppoll, &ended, process < 0 ? 0 : 1, &at_once, nullptr, 0) == 1;
    }

    // Takes one pending signal of that number.
    static long wait_for(unsigned number, const timespec* limit) {
        const std::uint64_t set = std::uint64_t(1) << (number - 1);
        return arch::syscall(__NR_rt_sigtimedwait, &set, nullptr, limit, sizeof set);
    }

    void reap() {
        long r;
        do {
            siginfo_t child{};
            r = arch::syscall(__NR_waitid, P_ALL, 0, &child, WEXITED | WNOHANG | __WALL, nullptr);
            if (r == 0 && child.si_pid == 0)
                return;
        } while (r == 0);
        if (outlives_)
            end(); // no child is left, so nobody is
    }

    bool has_children() {
        siginfo_t child{};
        return arch::syscall(__NR_waitid, P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT | __WALL,
                             nullptr) == 0;
    }

    bool is_orphaned() const { return arch::syscall(__NR_getppid) != page_->executed; }

    [[noreturn]] void kill_program() {
        if (program_ >= 0)
            arch::syscall(__NR_pidfd_send_signal, program_, SIGKILL, nullptr, 0);
        end();
    }

    void obey() {
        const Command command = page_->command;
        __atomic_store_n(&page_->command, Command::none, __ATOMIC_RELEASE);
        switch (command) {
        case Command::none:
            return;
        case Command::guard:
            if (kind_ == HelperKind::guard)
                program_ = int(arch::syscall(__NR_pidfd_open, page_->program, 0));
            return answer(Answer::yes);
        case Command::ask: {
            const timespec at_once{};
            return answer(wait_for(page_->signal, &at_once) > 0 ? Answer::yes : Answer::no);
        }
        case Command::outlive:
            outlives_ = true;
            arch::syscall(__NR_prctl, PR_SET_PDEATHSIG, 0);
            if (has_children())
                return answer(Answer::yes);
            [[fallthrough]];
        case Command::end:
            answer(Answer::leaving);
            end();
        }
    }

    void answer(Answer answer) {
        __atomic_store_n(&page_->answer, answer, __ATOMIC_RELEASE);
        arch::syscall(__NR_futex, &page_->answer, FUTEX_WAKE, everybody, nullptr, nullptr, 0);
    }

    SupervisionPage* page_;
    HelperKind kind_;
    int program_ = -1; // a pidfd
    bool outlives_ = false;
};

bool has(int child, int state) {
    siginfo_t info{};
    arch::syscall(__NR_waitid, P_PID, child, &info, state | WNOHANG | WNOWAIT, nullptr);
    return info.si_pid == child;
}

// The helper may have been stopped with its whole group, of which only the executed process goes on
// again; or be dead.
Answer await_answer(const Supervision& supervision) {
    for (;;) {
        const timespec patience{0, 100'000'000};
        const Answer answer = __atomic_load_n(&supervision.page->answer, __ATOMIC_ACQUIRE);
        if (answer != Answer::none)
            return answer;
        if (arch::syscall(__NR_futex, &supervision.page->answer, FUTEX_WAIT, Answer::none,
                          &patience, nullptr, 0) != -ETIMEDOUT)
            continue;
        if (has(supervision.helper, WEXITED))
            return Answer::no;
        if (has(supervision.helper, WSTOPPED))
            arch::syscall(__NR_kill, supervision.helper, SIGCONT);
    }
}

} // namespace

void start_helper(const Stub& stub, Supervision& supervision, HelperKind kind) {
    __atomic_store_n(&supervision.page->answer, Answer::none, __ATOMIC_RELAXED);
    const long self = arch::syscall(__NR_pidfd_open, arch::syscall(__NR_getpid), 0);
    const long pid = arch::syscall(__NR_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid < 0)
        fail(stub, int(-pid),
             "cannot make a process that looks after the program (raise ulimit -u)");
    if (pid == 0)
        Helper(supervision.page, kind).run(stub, int(self));
    arch::syscall(__NR_close, self);
    supervision.helper = int(pid);
    await_answer(supervision); // there is no program before it can look after it
}

Answer tell_helper(Supervision& supervision, Command command) {
    if (!supervision.helper)
        return Answer::no;
    __atomic_store_n(&supervision.page->answer, Answer::none, __ATOMIC_RELAXED);
    __atomic_store_n(&supervision.page->command, command, __ATOMIC_RELEASE);
    arch::syscall(__NR_kill, supervision.helper, SIGCHLD);
    return await_answer(supervision);
}

} // namespace rfork::stub
