// The executed process, when the program is a child of it; identity.cc says why.
//
// All signals are blocked, and taken one by one. Each but the children's SIGCHLD is passed on,
// unless the helper, which is in the same process group, has got the same: then all of the group
// have, the program among them. The kernel signals the members of a group beginning with the
// newest, so helper and program have a signal when it comes here. (Two signals of the same number
// to the group within microseconds may count as one and a half. A program in a session of its own
// is passed all.)
//
// When the program stops, this process stops by the same signal, and what continues it continues
// the program: what a shell does with a job works. What continues the program alone continues this
// process too, by a watcher. SIGSTOP sent to this process alone stops nobody else, since it can be
// neither caught nor seen from outside but by a tracer. rexecd does not look for stops: there this
// process stops for nobody.
#include "format/records/signal_actions.h"
#include "stub/identity.h"

#include <asm/siginfo.h>
#include <asm/signal.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/time.h>
#include <linux/wait.h>

namespace rfork::stub {
namespace {

constexpr std::uint64_t all_signals = ~std::uint64_t(0);

std::uint64_t only(int signal) {
    return std::uint64_t(1) << (signal - 1);
}

void change_mask(int how, std::uint64_t set) {
    arch::syscall(__NR_rt_sigprocmask, how, &set, nullptr, sizeof set);
}

// By a signal that does what it does by default.
void signal_myself(int signal) {
    default_action(signal); // it may have been ignored since before the exec
    // Not kill(2), for which -1, where a sandbox refuses getpid(2), is everybody.
    const long self = arch::syscall(__NR_getpid);
    arch::syscall(__NR_tgkill, self, self, signal);
    change_mask(SIG_UNBLOCK, only(signal));
    change_mask(SIG_BLOCK, only(signal));
}

class Supervisor {
  public:
    explicit Supervisor(const Supervision& supervision) : supervision_(supervision) {}

    [[noreturn]] void run() {
        look_after_children();
        for (;;) {
            siginfo_t info{};
            const timespec* limit = supervision_.other_window ? &moment : nullptr;
            const long signal =
                arch::syscall(__NR_rt_sigtimedwait, &all_signals, &info, limit, sizeof all_signals);
            if (signal > 0)
                take(int(signal), info);
            else if (limit)
                tell_of_window();
        }
    }

  private:
    // By the kernel, about a child: SIGCHLD, and SIGCONT when it is the watcher.
    static bool is_report(int signal, const siginfo_t& info) {
        return (signal == SIGCHLD || signal == SIGCONT) && info.si_code > 0 &&
               info.si_code <= CLD_CONTINUED;
    }

    // Whether the whole group has got the signal.
    bool all_have(int signal) {
        supervision_.page->signal = std::uint32_t(signal);
        return tell_helper(supervision_, Command::ask) == Answer::yes;
    }

    void take(int signal, siginfo_t& info) {
        const bool is_ours = signal == SIGCHLD || !all_have(signal) || supervision_.own_session;
        if (signal == SIGCONT)
            forget_stops();
        if (signal == SIGCHLD || is_report(signal, info))
            look_after_children();
        if (!is_report(signal, info) && (is_ours || (signal == SIGCONT && stop_signal())))
            send(signal, info);
    }

    // SIGCONT has taken the stop signals from our queue, but not from the helper's if it was sent
    // to us alone.
    void forget_stops() {
        for (int signal = SIGTSTP; signal <= SIGTTOU; ++signal) // and SIGTTIN
            all_have(signal);
    }

    // A value, and who has sent it; what kill(2) sends has none, and cannot be sent otherwise.
    void send(int signal, siginfo_t& info) const {
        if (info.si_code < 0 && info.si_code != SI_TKILL &&
            arch::syscall(__NR_rt_sigqueueinfo, supervision_.program, signal, &info) == 0)
            return;
        arch::syscall(__NR_kill, supervision_.program, signal);
    }

    // A moment after it has gone on, so that the call in which it waits ends with EINTR, as ever.
    void tell_of_window() {
        if (has_left_) {
            arch::syscall(__NR_kill, supervision_.program, SIGWINCH);
            supervision_.other_window = false;
        }
        has_left_ = is_at_the_door(supervision_) && !stop_signal();
    }

    // By which the program is stopped now; 0 if it is not.
    int stop_signal() const {
        siginfo_t info{};
        arch::syscall(__NR_waitid, P_PID, supervision_.program, &info, WSTOPPED | WNOHANG | WNOWAIT,
                      nullptr);
        return info.si_pid == supervision_.program ? info.si_status : 0;
    }

    void look_after_children() {
        for (;;) {
            siginfo_t info{};
            const long r = arch::syscall(__NR_waitid, P_ALL, 0, &info,
                                         WEXITED | WNOHANG | WNOWAIT | __WALL, nullptr);
            if (r < 0 || info.si_pid == 0)
                break;
            if (info.si_pid == supervision_.program)
                end_like(info);
            if (info.si_pid == supervision_.helper)
                supervision_.helper = 0;
            reap(info.si_pid); // or one that this process had before it was the image
        }
        const int signal = stop_signal();
        if (signal && supervision_.shows_stops)
            stop_like(signal);
    }

    // A SIGCONT that is here already would be forgotten by a stop after it. (The watcher ends
    // before any is taken that came with the stop: the one that its end sends cannot displace it.)
    void stop_like(int signal) {
        const std::uint64_t cont = only(SIGCONT);
        const timespec at_once{};
        siginfo_t info{};
        if (arch::syscall(__NR_rt_sigtimedwait, &cont, &info, &at_once, sizeof cont) == SIGCONT)
            return take(SIGCONT, info);
        const int watcher = start_watcher(supervision_);
        signal_myself(signal);
        dismiss_watcher(watcher);
    }

    [[noreturn]] void end_like(const siginfo_t& ended) {
        reap(supervision_.program);
        dismiss_helper(supervision_);
        if (ended.si_code != CLD_EXITED) {
            // The program has left a core file, if there was to be one.
            const rlimit none{};
            arch::syscall(__NR_setrlimit, RLIMIT_CORE, &none);
            arch::syscall(__NR_prctl, PR_SET_DUMPABLE, 0);
            signal_myself(ended.si_status);
        }
        // The first process of a pid namespace survives its own signals; shells say this for one.
        constexpr int killed = 128;
        arch::syscall(__NR_exit_group,
                      ended.si_code == CLD_EXITED ? ended.si_status : killed + ended.si_status);
        __builtin_unreachable();
    }

    Supervision supervision_;
    bool has_left_ = false; // the stub
};

} // namespace

void default_action(int signal) {
    const kinds::SignalAction action{};
    arch::syscall(__NR_rt_sigaction, signal, &action, nullptr, sizeof action.mask);
}

void reap(int child) {
    arch::syscall(__NR_waitid, P_PID, child, nullptr, WEXITED | __WALL, nullptr);
}

void dismiss_helper(Supervision& supervision) {
    const Command command = supervision.own_pids ? Command::outlive : Command::end;
    if (tell_helper(supervision, command) == Answer::leaving)
        reap(supervision.helper);
    supervision.helper = 0;
}

void become_tiny(const Stub& stub, int descriptor) {
    close_all_descriptors(descriptor);
    arch::syscall(__NR_chdir, "/");
    const image::Window& window = stub.header->window;
    arch::syscall(__NR_munmap, 0, window.base);
    arch::syscall(__NR_munmap, window.end, arch::address_space_end - window.end);
    if (stub.borrowed_rights)
        limit_rights(stub, stub.rights, 0);
}

void supervise(const Stub& stub, Supervision supervision) {
    char title[title_size];
    show_program(stub, supervision.program, title);
    if (stub.stops)
        stop_at_the_door(stub, supervision);
    become_tiny(stub);
    Supervisor(supervision).run();
}

} // namespace rfork::stub
