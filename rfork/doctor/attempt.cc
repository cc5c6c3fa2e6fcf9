#include "doctor/attempt.h"

#include <cerrno>
#include <csignal>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace rfork::tool {
namespace {

constexpr unsigned patience_s = 10;

// Not exit(): what is in our buffers is not the child's to write.
pid_t fork_child(const std::function<int()>& work) {
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child != 0)
        return child;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const pid_t parent_now = ::getppid(); // 0 from inside a pid namespace
    if (parent_now == parent || parent_now == 0)
        ::_exit(work());
    ::_exit(ECHILD);
}

int wait_for(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return errno;
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    return WTERMSIG(status) == SIGALRM ? ETIMEDOUT : EPERM;
}

} // namespace

int error_of(long result) {
    return result < 0 ? errno : 0;
}

int try_in_child(const std::function<int()>& attempt) {
    const pid_t child = fork_child([&] {
        ::signal(SIGALRM, SIG_DFL);
        ::alarm(patience_s);
        return attempt();
    });
    return child < 0 ? errno : wait_for(child);
}

IdleChild::IdleChild()
    : pid_(fork_child([]() -> int {
          for (;;)
              ::pause();
      })) {}

IdleChild::~IdleChild() {
    if (pid_ < 0)
        return;
    ::kill(pid_, SIGKILL);
    wait_for(pid_);
}

} // namespace rfork::tool
