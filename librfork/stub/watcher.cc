// While the executed process is stopped because the program is, it cannot see how the program goes
// on, if that is continued or killed alone: a stopped process is only woken by SIGCONT. So it makes
// the watcher before it stops, a child that tells by its own end what it has seen, which the kernel
// is asked to report by SIGCONT. That works from within a pid namespace, where the executed process
// cannot be signalled otherwise. It looks at both in /proc, ever less often, since no event would
// tell anybody but the program's parent.
//
// The watcher ends only when the executed process has stopped: a stop forgets the SIGCONT that came
// before it. Where /proc tells nothing, it waits to be dismissed.
#include "stub/identity.h"

#include <asm/signal.h>
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/prctl.h>
#include <linux/time.h>

namespace rfork::stub {
namespace {

constexpr long first_pause_ns = 20'000'000, last_pause_ns = 640'000'000;

const char* skip_fields(const char* at, unsigned count) {
    while (count && *at)
        count -= *at++ == ' ';
    return at;
}

// Also before anybody could have been told; 0 is one outside of this pid namespace.
bool has_lost_parent(const Supervision& supervision) {
    const long parent = arch::syscall(__NR_getppid);
    return parent != 0 && parent != supervision.page->executed;
}

[[noreturn]] void watch(const Supervision& supervision) {
    arch::syscall(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL);
    if (has_lost_parent(supervision))
        arch::syscall(__NR_exit_group, 0);
    for (timespec pause{0, first_pause_ns};;) {
        if (state_of(supervision.program) == State::not_stopped &&
            state_of(supervision.page->executed) == State::stopped)
            arch::syscall(__NR_exit_group, 0);
        arch::syscall(__NR_nanosleep, &pause, nullptr);
        if (pause.tv_nsec < last_pause_ns)
            pause.tv_nsec *= 2;
    }
}

} // namespace

// Of the main thread, field 3 of /proc/PID/stat. One that has ended says nothing of the others
// (field 20), if there are any.
State state_of(int pid) {
    char path[32], text[512];
    Text(path, sizeof path) << "/proc/" << std::uint64_t(pid) << "/stat";
    const long fd = arch::syscall(__NR_open, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return State::unknown;
    const long size = arch::syscall(__NR_read, fd, text, sizeof text - 1);
    arch::syscall(__NR_close, fd);
    text[size > 0 ? size : 0] = '\0';
    const char* state = text + length(text);
    while (state > text && *state != ')') // the name before it may hold anything
        --state;
    state = skip_fields(state, 1);
    switch (*state) {
    case '\0':
        return State::unknown;
    case 'T': // and of one that is traced
    case 't':
        return State::stopped;
    case 'Z':
        return starts_with(skip_fields(state, 17), "1 ") ? State::not_stopped : State::unknown;
    }
    return State::not_stopped;
}

int start_watcher(const Supervision& supervision) {
    const long pid = arch::syscall(__NR_clone, SIGCONT, 0, 0, 0, 0);
    if (pid == 0)
        watch(supervision);
    return int(pid);
}

void dismiss_watcher(int watcher) {
    if (watcher < 0) // there was no room for it
        return;
    arch::syscall(__NR_kill, watcher, SIGKILL);
    reap(watcher);
}

} // namespace rfork::stub
