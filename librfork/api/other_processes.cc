// Calls about other processes, for schedulers: each executes the command-line tool, which traces and
// writes in a process of its own. So what the caller waits for and which signals it takes is its own
// affair, and no image carries code that only freezes others.
#include "api/public.h"

#include "api/blocked_signals.h"
#include "api/last_error.h"
#include "api/options.h"
#include "base/unique_fd.h"

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <string>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace rfork::api {
namespace {

extern "C" long rfork_clone_helper(std::uint64_t flags, std::uint64_t stack_top,
                                   std::uint32_t* parent_tid, std::uint32_t* child_tid,
                                   void (*function)(void*), void* argument);

// $RFORK_TOOL; else beside this library, as it is installed, or in PATH.
std::string find_tool() {
    if (const char* tool = secure_getenv("RFORK_TOOL"); tool && *tool)
        return tool;
    Dl_info info;
    if (dladdr(reinterpret_cast<const void*>(&find_tool), &info) && info.dli_fname) {
        std::string directory = info.dli_fname;
        for (int up = 0; up < 3; ++up) { // PREFIX/lib/librfork.so, or PREFIX/lib/<machine>/...
            directory.resize(std::min(directory.rfind('/'), directory.size()));
            std::string tool = directory + "/bin/rfork";
            if (access(tool.c_str(), X_OK) == 0)
                return tool;
        }
    }
    return "rfork";
}

constexpr std::size_t stack_size = 64 * 1024;

struct Tool {
    std::vector<char*> arguments;
    int hands_over; // a descriptor, or -1
    int tells;      // what it says
    std::uint64_t mask;
    std::uint64_t stack; // two of stack_size
};

// In a process that shares the memory, but not the descriptors, until it executes another program.
void become_tool(void* argument) {
    const Tool& tool = *static_cast<const Tool*>(argument);
    dup2(tool.tells, STDERR_FILENO);
    if (tool.hands_over >= 0)
        fcntl(tool.hands_over, F_SETFD, 0);
    arch::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &tool.mask, nullptr, sizeof tool.mask);
    execvp(tool.arguments[0], tool.arguments.data());
    constexpr char why[] = "2: cannot execute the program rfork: install it beside the library or "
                           "in PATH, or set RFORK_TOOL to where it is";
    [[maybe_unused]] const ssize_t told = write(STDERR_FILENO, why, sizeof why - 1);
    arch::syscall(SYS_exit_group, 127);
}

// In one between the caller and the tool. Who executes a program sends SIGCHLD when he ends, whatever
// he was made to send: to this one, which sends nothing.
void stand_between(void* argument) {
    const auto& tool = *static_cast<const Tool*>(argument);
    int status = 127 << 8;
    const long child = rfork_clone_helper(CLONE_VM | CLONE_VFORK, tool.stack + 2 * stack_size,
                                          nullptr, nullptr, become_tool, argument);
    while (child > 0 && arch::syscall(SYS_wait4, child, &status, __WALL, nullptr) == -EINTR) {
    }
    arch::syscall(SYS_exit_group, WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

std::string read_all(int fd) {
    std::string text;
    char buffer[512];
    ssize_t got;
    while ((got = read(fd, buffer, sizeof buffer)) > 0 || (got < 0 && errno == EINTR))
        if (got > 0 && text.size() < sizeof buffer * 8)
            text.append(buffer, std::size_t(got));
    return text;
}

// "rfork: NUMBER: sentence", the number being an errno: so it speaks to a library.
Error error_in(std::string text) {
    constexpr std::string_view prefix = "rfork: ";
    text = text.substr(0, text.find('\n'));
    if (text.starts_with(prefix))
        text.erase(0, prefix.size());
    char* end = nullptr;
    const long number = std::strtol(text.c_str(), &end, 10);
    if (number > 0 && end[0] == ':' && end[1] == ' ')
        return {int(number), end + 2};
    return {EIO, text.empty() ? "the program rfork has ended without a word" : text};
}

Result<void> run_tool(std::vector<std::string> words, int hands_over) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return system_error(errno, "cannot make a pipe",
                            "raise the limit on open files "
                            "(ulimit -n)");
    const UniqueFd reads(ends[0]);
    UniqueFd tells(ends[1]);
    void* stacks =
        mmap(nullptr, 2 * stack_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stacks == MAP_FAILED)
        return system_error(errno, "no memory to start the program rfork");
    words.insert(words.begin(), find_tool());
    Tool tool{{}, hands_over, tells.get(), 0, reinterpret_cast<std::uint64_t>(stacks)};
    for (std::string& word : words)
        tool.arguments.push_back(word.data());
    tool.arguments.push_back(nullptr);

    long child;
    {
        const BlockedSignals blocked; // there, too, so that no handler runs in it
        tool.mask = blocked.before();
        child = rfork_clone_helper(CLONE_VM, tool.stack + stack_size, nullptr, nullptr,
                                   stand_between, &tool);
    }
    tells.reset();
    const std::string said = child > 0 ? read_all(reads.get()) : "";
    int status = 0;
    while (child > 0 && arch::syscall(SYS_wait4, child, &status, __WALL, nullptr) == -EINTR) {
    }
    munmap(stacks, 2 * stack_size);
    if (child < 0)
        return system_error(int(-child), "cannot start the program rfork",
                            "raise the limit on processes (ulimit -u)");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return {};
    return error_in(said);
}

// What the tool is to do, in its own words.
Result<std::vector<std::string>> words_for(const char* command, const rfork_options* given,
                                           unsigned allowed) {
    const Result<OtherOptions> options = read_other_options(given, allowed);
    if (!options)
        return options.error();
    std::vector<std::string> words{command, "--quiet", "--for-library"};
    if (!options->ignored.empty())
        words.push_back("--ignore=" + options->ignored);
    if (options->flags & RFORK_END)
        words.push_back("--kill");
    if (options->flags & RFORK_STOP)
        words.push_back("--stop");
    return words;
}

int finish(const Result<void>& done, int before) {
    if (!done)
        return fail(done.error());
    errno = before;
    return 0;
}

} // namespace

extern "C" RFORK_API int rfork_checkpoint_pid(pid_t pid, int fd, const rfork_options* options) {
    const int before = errno;
    if (pid == getpid())
        return fail({EINVAL, "a process freezes itself by rfork_checkpoint()"});
    Result<std::vector<std::string>> words =
        words_for("checkpoint", options, RFORK_END | RFORK_STOP);
    if (!words)
        return fail(words.error());
    if (fcntl(fd, F_GETFD) < 0)
        return fail({EBADF, "descriptor " + std::to_string(fd) +
                                " is not open: pass one to which "
                                "the image can be written"});
    words->push_back("--output=fd:" + std::to_string(fd));
    words->push_back(std::to_string(pid));
    return finish(run_tool(std::move(*words), fd), before);
}

extern "C" RFORK_API int rfork_migrate_pid(pid_t pid, const char* host,
                                           const rfork_options* options) {
    const int before = errno;
    if (!host)
        return fail({EINVAL, "the host is a null pointer: pass a name or an address"});
    if (pid == getpid())
        return fail({EINVAL, "a process moves itself by rfork_move()"});
    Result<std::vector<std::string>> words = words_for("migrate", options, 0);
    if (!words)
        return fail(words.error());
    words->push_back(std::to_string(pid));
    words->push_back(host);
    return finish(run_tool(std::move(*words), -1), before);
}

// The caller's own end, if it succeeds: so it executes the image itself, by what the stub reads in the
// environment.
extern "C" RFORK_API int rfork_restart(const char* path, const rfork_options* options) {
    if (!path)
        return fail({EINVAL, "the path of the image is a null pointer"});
    const Result<OtherOptions> read = read_other_options(options, RFORK_STOP | RFORK_ROLLBACK);
    if (!read)
        return fail(read.error());
    std::vector<char*> environment;
    char stop[] = "RFORK_STOP=yes", rollback[] = "RFORK_FILES=rollback";
    for (char** entry = environ; entry && *entry; ++entry)
        environment.push_back(*entry);
    if (read->flags & RFORK_STOP)
        environment.insert(environment.begin(), stop);
    if (read->flags & RFORK_ROLLBACK)
        environment.push_back(rollback);
    environment.push_back(nullptr);
    char* arguments[] = {const_cast<char*>(path), nullptr};
    execve(path, arguments, environment.data());
    return fail(system_error(errno, "cannot execute '" + std::string(path) + "'",
                             "it must be an image that rfork has made, and you must be allowed to "
                             "execute it"));
}

} // namespace rfork::api
