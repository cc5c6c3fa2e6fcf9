#include "faults/zygote.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

namespace faults {
namespace {

struct Order {
    std::size_t program;
    int timeout_ms;
};

template <class T>
bool say(int fd, T words) {
    iovec part{&words, sizeof words};
    return ::writev(fd, &part, 1) == sizeof words;
}

template <class T>
bool hear(int fd, T& words) {
    iovec part{&words, sizeof words};
    ssize_t got;
    while ((got = ::readv(fd, &part, 1)) < 0 && errno == EINTR) {
    }
    return got == sizeof words;
}

std::vector<char*> pointers_to(std::vector<std::string>& words) {
    std::vector<char*> pointers;
    for (std::string& word : words)
        pointers.push_back(word.data());
    pointers.push_back(nullptr);
    return pointers;
}

void die(const char* what) {
    std::perror(what);
    std::exit(2);
}

} // namespace

Zygote::Zygote(std::vector<Program> programs) : programs_(std::move(programs)) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        die("socketpair");
    channel_.reset(ends[0]);
    process_ = ::fork();
    if (process_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        be_zygote(ends[1]);
    }
    ::close(ends[1]);
    int number = -1;
    if (process_ < 0 || !hear(channel_.get(), number) || number < 0)
        die("a process with a seccomp filter that notifies");
    rfork::UniqueFd handle(static_cast<int>(::syscall(SYS_pidfd_open, process_, 0)));
    rfork::UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_getfd, handle.get(), number, 0)));
    if (!fd)
        die("pidfd_getfd");
    listener_.emplace(std::move(fd));
}

Zygote::~Zygote() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
}

void Zygote::start(std::size_t program, int timeout_ms) {
    say(channel_.get(), Order{program, timeout_ms});
}

Zygote::News Zygote::news() {
    News news;
    if (!hear(channel_.get(), news))
        die("the zygote");
    return news;
}

void Zygote::be_zygote(int channel) {
    rfork::UniqueFd listener = install_filter();
    say(channel, listener.get());
    sigset_t child, before;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    ::sigprocmask(SIG_BLOCK, &child, &before);
    ::signal(SIGCHLD, [](int) {});
    for (;;) {
        News news;
        while ((news.ended.process = ::waitpid(-1, &news.ended.status, WNOHANG)) > 0)
            say(channel, news);
        pollfd ready{channel, POLLIN, 0};
        if (::ppoll(&ready, 1, nullptr, &before) <= 0)
            continue;
        Order order{};
        if (!hear(channel, order))
            ::_exit(0);
        news = {};
        news.started = true;
        news.program = order.program;
        news.ended.process = spawn(programs_[order.program], order.timeout_ms);
        say(channel, news);
    }
}

pid_t Zygote::spawn(const Program& program, int timeout_ms) {
    const pid_t child = ::fork();
    if (child != 0)
        return child;
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGCHLD, SIG_DFL);
    const int files[] = {
        ::open("/dev/null", O_RDONLY),
        ::open(program.output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666),
        ::open(program.errors.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666),
    };
    for (int i = 0; i < 3; ++i) {
        ::fchmod(files[i], 0666); // a copy opens them again, as whomever it belongs to
        ::dup2(files[i], i);
    }
    ::close_range(3, ~0U, 0);
    std::vector<std::string> command = program.command, environment = program.environment;
    environment.push_back("RFORK_TIMEOUT_MS=" + std::to_string(timeout_ms));
    std::vector<char*> arguments = pointers_to(command), variables = pointers_to(environment);
    ::execvpe(arguments[0], arguments.data(), variables.data());
    ::_exit(126);
}

} // namespace faults
