// Who the program is: its pid, the tids of its threads, its clocks.
//
// libc and the program remember the numbers: in mutexes that are held, in messages, in files. A
// process cannot change its own; it can only make another with a number of its choice (clone3(2),
// set_tid), where it has the right to, and if nobody there has the number. Everybody has the right
// to in a pid namespace of his own, where all numbers but 1 are free.
//
//   X  the process that was executed. Whoever did so knows its pid, waits for it, sends it signals.
//   P  the program: a child of X, with the pid it had.
//   H  the helper, another child of X.
//
//      by right                            in a pid namespace
//
//      shell                               shell
//       '- X                                '- X
//           |- H  guard                         |.................. pid namespace, maybe user
//           '- P  the old pid                   |- H  init, pid 1   and time namespace
//                                               '- P  the old pid   and a mount namespace: /proc
//
// The stub goes on in P. X and H keep nothing but the stub's window: no descriptor (whoever reads
// from the program must see its end), no directory, no right that X did not have.
//
// P is X's child, not the init's, so that X itself sees how P stops and ends, and nothing has to be
// passed through a third process that could fail. In the namespace P's parent is therefore 0, as in
// a container. Orphans become the init's children. The namespace ends with the last of its
// processes: X ends at once when P does, and tells the init before that it may outlive it.
//
// While X is stopped along with P, a watcher, a third child, sees whether P goes on without it
// (watcher.cc).
//
// If X dies without having said so, which only SIGKILL can make it, P must not go on without
// anybody who knows it. In a namespace the init dies with X (PR_SET_PDEATHSIG), and by that P and
// all others; a guard kills P. P itself has that setting until the program runs, when it has to be
// what it was, and waits with that for the guard to know it.
//
// Signals. What is sent to X is for P, so X passes it on. What is sent to a process group, as a
// terminal does with ^C and ^Z and a shell with `kill %1`, reaches P too, since P is in X's group:
// the shell has made that group, gives it the terminal, stops and continues it. Then X must not
// pass the signal on. It cannot see the difference in the signal, but H is in the group as well,
// and is sent nothing else: if H has got the same, everybody has. (Putting X outside of the group
// would be simpler, but then the SIGCONT of the shell's fg would not reach X, which has stopped
// along with P, as the shell wants to see.)
//
// rexecd starts images as leaders of sessions without a terminal. Then P becomes the leader of a
// session too, since the program may well have been one, and gets all that X gets. H stays in X's
// group, which therefore lives as long as the namespace does: rexecd keeps the log that long.
//
// What was rejected: a namespace always (root's programs would lose sight of all others for want of
// nothing); P as the child of the init (statuses would have to be reported, and reports can be
// lost); ptrace(2) on X to see SIGSTOP (then nobody could debug it, for one signal that nobody
// sends to one process of a job).
#include "stub/identity.h"
#include "format/kinds.h"

#include "format/records/thread.h"

#include <asm/signal.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/futex.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/time.h>

namespace rfork::stub {
namespace {

using kinds::ProcessRecord;

int own_pid() {
    return int(arch::syscall(__NR_getpid));
}

// Neither a task nor a group has it. (A number can also be in use by a session of which only other
// groups are left; then making the thread fails later, with a sentence.)
bool is_free(int number) {
    return number > 1 && arch::syscall(__NR_kill, number, 0) == -ESRCH &&
           arch::syscall(__NR_kill, -number, 0) == -ESRCH;
}

// The kernel hands out numbers in ascending order, so that the next ones will not stay free.
bool is_soon_taken(int number) {
    constexpr int soon = 4096;
    return number > own_pid() && number - own_pid() < soon;
}

bool will_be_free(int number, int mine) {
    return number == mine || (is_free(number) && (!is_soon_taken(number) || mine == own_pid()));
}

// All numbers that the processes and their threads had, but `mine`.
bool ids_are_free(const Stub& stub, int mine) {
    for (const image::Process& process : processes_of(stub)) {
        if (!will_be_free(process.pid, mine))
            return false;
        Records records(stub, process);
        while (const image::RecordHeader* record = records.next())
            if (record->kind == image::Kind::thread &&
                !will_be_free(as<kinds::ThreadRecord>(*record).tid, mine))
                return false;
    }
    return true;
}

bool makes_others(const Stub& stub, const ProcessRecord& record) {
    return record.threads > 1 || are_several(stub);
}

// Others would have to be made with a right that a user namespace takes away, as the clocks may.
bool has_the_pid(const Stub& stub, const ProcessRecord& record) {
    return record.pid == own_pid() &&
           (!makes_others(stub, record) ||
            ((stub.rights.effective & bit(cap_sys_admin)) && ids_are_free(stub, record.pid)));
}

bool has_terminal() {
    const long fd = arch::syscall(__NR_open, "/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return false;
    arch::syscall(__NR_close, fd);
    return true;
}

SupervisionPage* make_page(const Stub& stub) {
    const std::uint64_t place = supervision_page_place(stub);
    const long r = arch::syscall(__NR_mmap, place, image::page_size, PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (r < 0)
        fail(stub, int(-r), "cannot map a page to look after the program");
    auto* page = reinterpret_cast<SupervisionPage*>(place);
    page->executed = own_pid();
    return page;
}

// All that the processes beside the program do; where a sandbox refuses it, they would do nothing
// else, and never sleep.
void check_can_wait_for_signals(const Stub& stub) {
    const std::uint64_t none = 0;
    const timespec at_once{};
    const long r = arch::syscall(__NR_rt_sigtimedwait, &none, nullptr, &at_once, sizeof none);
    if (r != -EAGAIN)
        fail(stub, int(-r),
             "cannot wait for signals (rt_sigtimedwait(2)), which it takes to keep the program's "
             "pid: allow it in the sandbox, or start the image with RFORK_PID=new");
}

class ProcessMaker {
  public:
    ProcessMaker(Stub& stub, const ProcessRecord& record)
        : stub_(stub), record_(record), clocks_(record), late_(!clocks_.are_continuous()) {}

    // Returns in the program; the process that was executed stays behind.
    void run() {
        check_can_wait_for_signals(stub_);
        default_action(SIGCHLD); // ignored, it would keep us from seeing our children end
        supervision_.page = make_page(stub_);
        supervision_.own_session = arch::syscall(__NR_getsid, 0) == own_pid() && !has_terminal();
        supervision_.shows_stops = stub_.status_fd < 0;
        supervision_.other_window = stub_.other_window;
        long pid = by_right();
        if (pid < 0)
            pid = in_namespace();
        if (pid == 0)
            return be_the_program();
        supervision_.program = supervision_.page->program = int(pid);
        tell_helper(supervision_, Command::guard);
        __atomic_store_n(&supervision_.page->guarded, 1, __ATOMIC_RELEASE);
        arch::syscall(__NR_futex, &supervision_.page->guarded, FUTEX_WAKE, 1, nullptr, nullptr, 0);
        supervise(stub_, supervision_);
    }

  private:
    long by_right() {
        if (!may_choose_pids(stub_.rights) || !is_free(record_.pid) ||
            !ids_are_free(stub_, record_.pid))
            return -EPERM;
        if (continue_clocks() == -EPERM)
            return -EPERM;
        start_helper(stub_, supervision_, HelperKind::guard);
        const long pid = make_process(record_.pid, SIGCHLD);
        if (pid < 0)
            dismiss_helper(supervision_);
        return pid;
    }

    // A program that is the first process itself is its own init.
    long in_namespace() {
        const bool is_init = record_.pid == 1;
        if (is_init)
            start_helper(stub_, supervision_, HelperKind::guard);
        if (long r = enter_pid_namespace(stub_); r < 0)
            fail(stub_, int(-r),
                 "cannot keep the program's pid, which takes namespaces here: allow them (sysctl "
                 "user.max_user_namespaces and kernel.unprivileged_userns_clone, the seccomp "
                 "profile of a container; a chroot forbids them), or start the image with "
                 "RFORK_PID=new; pid",
                 PidText(record_.pid).text);
        own_namespace_ = true;
        if (continue_clocks() < 0)
            clocks_.rebase(stub_);
        supervision_.own_pids = !is_init;
        if (!is_init)
            start_helper(stub_, supervision_, HelperKind::init);
        const long pid = make_process(is_init ? 0 : record_.pid, SIGCHLD);
        if (pid < 0)
            dismiss_helper(supervision_);
        if (pid == -EAGAIN)
            fail(stub_, EAGAIN, "cannot make the program's process (raise ulimit -u)");
        if (pid < 0)
            fail(stub_, int(-pid),
                 "cannot make a process with the program's pid (sysctl kernel.pid_max must be "
                 "greater, and a seccomp profile may forbid clone3; or start the image with "
                 "RFORK_PID=new); pid",
                 PidText(record_.pid).text);
        return pid;
    }

    long continue_clocks() {
        if (!late_)
            return 0;
        const long r = clocks_.continue_in_children();
        if (r == 0)
            late_ = false;
        else if (r != -EPERM)
            clocks_.rebase(stub_);
        return r;
    }

    // Threads and processes are still to be made, by other parts of the stub.
    std::uint64_t right_to_choose_ids() const {
        if (!makes_others(stub_, record_))
            return 0;
        const bool has_own =
            arch::syscall(__NR_prctl, PR_CAPBSET_READ, cap_checkpoint_restore, 0, 0, 0) >= 0;
        return bit(has_own ? cap_checkpoint_restore : cap_sys_admin);
    }

    void be_the_program() {
        arch::syscall(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL);
        if (!own_namespace_ && arch::syscall(__NR_getppid) != stub_.outer_pid)
            arch::syscall(__NR_exit_group, refusal_status);
        if (supervision_.own_session)
            arch::syscall(__NR_setsid);
        if (own_namespace_)
            mount_proc();
        if (stub_.borrowed_rights)
            limit_rights(stub_, stub_.rights, right_to_choose_ids());
        stub_.supervision_page = supervision_.page;
        stub_.supervised = true;
        stub_.keeps_ids = true;
    }

    Stub& stub_;
    const ProcessRecord& record_;
    Clocks clocks_;
    bool late_;
    bool own_namespace_ = false;
    Supervision supervision_;
};

} // namespace

long make_process(int pid, int exit_signal) {
    const std::int32_t number = pid;
    clone_args arguments{};
    arguments.exit_signal = std::uint64_t(exit_signal);
    if (pid != 0) {
        arguments.set_tid = reinterpret_cast<std::uint64_t>(&number);
        arguments.set_tid_size = 1;
    }
    return arch::syscall(__NR_clone3, &arguments, sizeof arguments);
}

void keep_ids(Stub& stub, const ProcessRecord& record) {
    stub.rights = read_rights();
    if (has_the_pid(stub, record)) {
        stub.keeps_ids = true;
        Clocks(record).continue_here(stub);
    } else {
        ProcessMaker(stub, record).run();
    }
}

// Until then the death of the process in front is that of this one, by PR_SET_PDEATHSIG.
void await_guard(const Stub& stub) {
    if (!stub.supervised)
        return;
    std::uint32_t& guarded = stub.supervision_page->guarded;
    while (!__atomic_load_n(&guarded, __ATOMIC_ACQUIRE))
        arch::syscall(__NR_futex, &guarded, FUTEX_WAIT, 0, nullptr, nullptr, 0);
}

void return_lent_identity(const Stub& stub) {
    if (stub.supervised)
        arch::syscall(__NR_prctl, PR_SET_PDEATHSIG, stub.parent_death_signal);
    return_rights(stub);
}

} // namespace rfork::stub
