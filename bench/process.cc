#include "process.h"

#include "clock.h"
#include "failure.h"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace rfork::bench {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& strings) {
    std::vector<char*> result;
    for (const std::string& text : strings)
        result.push_back(const_cast<char*>(text.c_str()));
    result.push_back(nullptr);
    return result;
}

// In the child, which borrows the bench's memory until the exec and may leave a time there. It dies
// with the bench, even if that is killed.
[[noreturn]] void become(char* const* command, char* const* environment, int input, int output,
                         volatile std::int64_t& exec_time) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    ::dup2(input, STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    ::close_range(3, ~0u, 0); // whatever the bench was started with: an image may not carry it
    exec_time = now();
    ::execve(command[0], command, environment);
    ::_exit(127);
}

} // namespace

Process::Process(const std::vector<std::string>& command,
                 const std::vector<std::string>& environment, int output) {
    auto arguments = pointers(command), variables = pointers(environment);
    UniqueFd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    pid_ = ::vfork();
    if (pid_ == 0)
        become(arguments.data(), variables.data(), nothing.get(), output, exec_time_);
    if (pid_ < 0)
        fail("cannot start " + command[0], errno);
}

bool Process::ended() {
    if (pid_ == 0)
        return true;
    if (::waitpid(pid_, nullptr, WNOHANG) == 0)
        return false;
    pid_ = 0;
    return true;
}

void Process::end() {
    if (ended())
        return;
    ::kill(pid_, SIGTERM);
    for (int i = 0; i < 200; ++i) {
        if (ended())
            return;
        sleep_milliseconds(10);
    }
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
}

UniqueFd watch(int pid) {
    UniqueFd watched(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!watched)
        fail("cannot watch process " + std::to_string(pid), errno);
    return watched;
}

bool wait_until_ended(const UniqueFd& watched, int timeout_ms) {
    pollfd wanted{watched.get(), POLLIN, 0};
    return ::poll(&wanted, 1, timeout_ms) == 1;
}

} // namespace rfork::bench
