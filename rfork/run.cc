// Two processes: the program, or the image that goes on with it, and this one, which waits for what
// comes first: the program's end, a signal, or the time of the next checkpoint.
//
// On a terminal both are in one process group, so that its signals reach both, and this one leaves
// them to the program; what a process sends to this one is passed on. Elsewhere, as under a batch
// system, which may signal the whole group, the program has a group of its own, and all it gets it
// gets from here.
//
// The program is not held by anything of this but when it is frozen.
#include "run.h"

#include "base/clock.h"
#include "base/printable.h"
#include "freezing.h"
#include "image/reader.h"
#include "journey/settings.h"
#include "preload.h"
#include "remote/spool.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace rfork::tool {
namespace {

using std::chrono::milliseconds;

constexpr int cannot_execute = 126, not_found = 127; // as shells say it

bool is_on_terminal() {
    const UniqueFd terminal(open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC));
    return bool(terminal);
}

// Not by the terminal, which signals the whole group.
bool is_sent_by_a_process(const siginfo_t& info) {
    return info.si_code == SI_USER || info.si_code == SI_QUEUE || info.si_code == SI_TKILL;
}

constexpr int passed_on[] = {SIGHUP,  SIGINT,  SIGQUIT,  SIGTERM, SIGUSR1,
                             SIGUSR2, SIGALRM, SIGWINCH, SIGCONT, SIGTSTP};

std::string default_output(const std::string& command) {
    return "rfork." + command.substr(command.rfind('/') + 1);
}

// Whether there is something to go on from.
Result<bool> has_image(const std::string& path) {
    if (access(path.c_str(), F_OK) != 0)
        return false;
    const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file)
        return system_error(errno, "cannot open '" + path + "'", "see whose it is");
    const Result<image::Header> header = image::read_front(file.get());
    if (!header)
        return Error{header.error().code, "'" + path + "': " + header.error().sentence +
                                              ": move it away to start from the beginning"};
    return true;
}

class Program {
  public:
    // Returns when it has been executed, or what keeps it from that, as an exit status.
    Result<int> start(const std::vector<std::string>& command, const sigset_t& mask,
                      const std::optional<Preload>& preload, bool rolls_back);
    pid_t pid() const { return pid_; }
    bool has_own_group() const { return has_own_group_; }

  private:
    [[noreturn]] void become(const std::vector<std::string>& command, const sigset_t& mask,
                             const std::optional<Preload>& preload, bool rolls_back,
                             int tells) const;
    pid_t pid_ = 0;
    const bool has_own_group_ = !is_on_terminal();
    // Ignored, as it may have been, nobody would hear of the program's end.
    void (*const child_action_)(int) = std::signal(SIGCHLD, SIG_DFL);
};

void Program::become(const std::vector<std::string>& command, const sigset_t& mask,
                     const std::optional<Preload>& preload, bool rolls_back, int tells) const {
    if (has_own_group_)
        setpgid(0, 0);
    std::signal(SIGCHLD, child_action_);
    if (rolls_back)
        setenv("RFORK_FILES", "rollback", 1);
    if (preload)
        preload->set_environment();
    std::vector<char*> arguments;
    for (const std::string& argument : command)
        arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    sigprocmask(SIG_SETMASK, &mask, nullptr);
    execvp(arguments[0], arguments.data());
    const int error = errno;
    [[maybe_unused]] const ssize_t told = write(tells, &error, sizeof error);
    _exit(error == ENOENT ? not_found : cannot_execute);
}

Result<int> Program::start(const std::vector<std::string>& command, const sigset_t& mask,
                           const std::optional<Preload>& preload, bool rolls_back) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return system_error(errno, "cannot make a pipe");
    const UniqueFd reads(ends[0]);
    UniqueFd tells(ends[1]);
    pid_ = fork();
    if (pid_ < 0)
        return system_error(errno, "cannot start a process", "raise the limit (ulimit -u)");
    if (pid_ == 0)
        become(command, mask, preload, rolls_back, tells.get());
    tells.reset();
    int error = 0;
    if (read(reads.get(), &error, sizeof error) != sizeof error)
        return 0;
    waitpid(pid_, nullptr, 0);
    std::fprintf(stderr, "rfork: cannot execute '%s': %s\n", printable(command[0]).c_str(),
                 std::string(errno_text(error)).c_str());
    return error == ENOENT ? not_found : cannot_execute;
}

class Runner {
  public:
    explicit Runner(const RunOptions& options)
        : options_(options),
          path_(options.output.empty() ? default_output(options.command[0]) : options.output),
          next_(options.keep > 1 ? path_ + ".next" : path_) {}
    Result<int> run();

  private:
    sigset_t signals() const;
    void take(const siginfo_t& info);
    std::optional<int> look_at_program();
    std::uint64_t next_due() const;
    void stop_with_it();
    Result<void> checkpoint(bool ends);
    Result<void> ask_for_checkpoint(bool ends) const;
    Result<void> freeze(const std::string& path, bool ends) const;
    Result<void> keep_earlier(const std::string& next) const;
    bool try_checkpoint(bool ends);
    bool is_wanted(int signal) const {
        return std::find(options_.signals.begin(), options_.signals.end(), signal) !=
               options_.signals.end();
    }

    const RunOptions& options_;
    const std::string path_;
    const std::string next_; // where an image is written that is to get that path
    capture::Ignored ignored_;
    std::optional<Preload> preload_;
    sigset_t mask_{}; // as it was
    Program program_;
    std::uint64_t last_ = monotonic_ns(); // checkpoint, or beginning
    bool put_off_ = false;                // one is to be made as soon as --at-least allows
    bool ends_then_ = false;
    std::string last_complaint_;
};

sigset_t Runner::signals() const {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    for (int signal : passed_on)
        sigaddset(&set, signal);
    for (int signal : options_.signals)
        sigaddset(&set, signal);
    return set;
}

// A wait status that ends this, if it has ended.
std::optional<int> Runner::look_at_program() {
    int status = 0;
    while (waitpid(program_.pid(), &status, WNOHANG | WUNTRACED | WCONTINUED) == program_.pid()) {
        if (WIFEXITED(status) || WIFSIGNALED(status))
            return status;
        if (WIFSTOPPED(status))
            stop_with_it();
    }
    return {};
}

// So that a shell sees its job stopped; what continues this continues the program.
void Runner::stop_with_it() {
    kill(getpid(), SIGSTOP);
    kill(program_.pid(), SIGCONT);
}

std::uint64_t Runner::next_due() const {
    constexpr std::uint64_t never = ~std::uint64_t(0), ms = 1'000'000;
    const std::uint64_t soonest = last_ + std::uint64_t(options_.at_least.count()) * ms;
    if (put_off_)
        return soonest;
    if (!options_.every)
        return never;
    return std::max(soonest, last_ + std::uint64_t(options_.every->count()) * ms);
}

// The images before this one, as PATH.1, PATH.2 ...; there is a PATH at any time.
Result<void> Runner::keep_earlier(const std::string& next) const {
    for (int n = options_.keep - 1; n > 1; --n)
        rename((path_ + "." + std::to_string(n - 1)).c_str(),
               (path_ + "." + std::to_string(n)).c_str());
    if (options_.keep > 1) {
        const std::string first = path_ + ".1";
        unlink(first.c_str());
        if (link(path_.c_str(), first.c_str()) != 0 && errno != ENOENT)
            return system_error(errno, "cannot keep '" + path_ + "' as '" + first + "'");
    }
    if (rename(next.c_str(), path_.c_str()) != 0)
        return system_error(errno, "cannot give the image its name '" + path_ + "'");
    return {};
}

// It goes on for a moment after its image, of which a restart cuts off what it writes.
Result<void> Runner::ask_for_checkpoint(bool ends) const {
    if (Result<void> r = preload_->checkpoint(program_.pid()); !r)
        return r;
    if (ends)
        kill(program_.pid(), SIGKILL);
    return {};
}

Result<void> Runner::freeze(const std::string& path, bool ends) const {
    capture::Snapshot snapshot;
    snapshot.id = remote::new_id();
    snapshot.ignored = ignored_;
    const Result<std::unique_ptr<capture::FrozenProcess>> frozen = capture::FrozenProcess::freeze(
        program_.pid(), {!ends, ignored_.has(capture::Sort::children)}, snapshot);
    if (!frozen)
        return frozen.error();
    if (const Result<std::uint64_t> bytes = write_image_to(path, snapshot, options_.quiet); !bytes)
        return bytes.error();
    return ends ? (*frozen)->finish_with(SIGKILL) : (*frozen)->finish();
}

Result<void> Runner::checkpoint(bool ends) {
    const std::string& next = next_;
    Result<void> r = preload_ ? ask_for_checkpoint(ends) : freeze(next, ends);
    if (next == path_)
        return r;
    if (r)
        r = keep_earlier(next);
    if (!r)
        unlink(next.c_str());
    return r;
}

// What goes wrong is told, and the program goes on: once, as long as it is the same.
bool Runner::try_checkpoint(bool ends) {
    put_off_ = ends_then_ = false;
    const Result<void> done = checkpoint(ends);
    last_ = monotonic_ns();
    const std::string complaint = done ? "" : done.error().sentence;
    if (!done && done.error().code != ESRCH && complaint != last_complaint_)
        std::fprintf(stderr, "rfork: no checkpoint: %s\n", complaint.c_str());
    last_complaint_ = complaint;
    return bool(done);
}

void Runner::take(const siginfo_t& info) {
    if (is_wanted(info.si_signo)) {
        put_off_ = true;
        ends_then_ = options_.exit_after.has_value();
    } else if (info.si_signo != SIGCHLD && info.si_pid != program_.pid() &&
               (program_.has_own_group() || is_sent_by_a_process(info))) {
        kill(program_.pid(), info.si_signo);
    }
}

// As it ended, so does this; a second core file would be none of the program's.
[[noreturn]] void end_as(int signal) {
    const rlimit none{0, 0};
    setrlimit(RLIMIT_CORE, &none);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    std::signal(signal, SIG_DFL);
    sigprocmask(SIG_UNBLOCK, &set, nullptr);
    kill(getpid(), signal);
    _exit(128 + signal);
}

Result<int> Runner::run() {
    const Result<capture::Ignored> ignored = journey::read_ignored(options_.ignored);
    if (!ignored)
        return ignored.error();
    ignored_ = *ignored;
    Result<bool> goes_on = options_.restart ? has_image(path_) : Result<bool>(false);
    if (!goes_on)
        return goes_on.error();
    if (options_.preloads) {
        Result<Preload> preload = Preload::prepare(next_);
        if (!preload)
            return preload.error();
        preload_.emplace(std::move(*preload));
    }
    const sigset_t set = signals();
    sigprocmask(SIG_BLOCK, &set, &mask_);
    const std::string image = path_.find('/') == std::string::npos ? "./" + path_ : path_;
    const Result<int> failed = program_.start(*goes_on ? std::vector{image} : options_.command,
                                              mask_, preload_, *goes_on && options_.rolls_back);
    if (!failed)
        return failed.error();
    if (*failed)
        return *failed;

    for (;;) {
        if (const std::optional<int> status = look_at_program()) {
            if (WIFSIGNALED(*status))
                end_as(WTERMSIG(*status));
            return WEXITSTATUS(*status);
        }
        const std::uint64_t now = monotonic_ns(), due = next_due();
        if (now >= due) {
            const bool ends = ends_then_;
            if (try_checkpoint(ends) && ends) {
                waitpid(program_.pid(), nullptr, 0);
                return *options_.exit_after;
            }
            continue;
        }
        siginfo_t info{};
        const timespec patience = to_timespec(std::min<std::uint64_t>(due - now, 3600'000'000'000));
        if (sigtimedwait(&set, &info, &patience) > 0)
            take(info);
    }
}

} // namespace

Result<std::chrono::milliseconds> parse_duration(const std::string& text) {
    static constexpr struct {
        std::string_view name;
        double ms;
    } units[] = {{"", 1000},    {"ms", 1},        {"s", 1000},
                 {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
    double value = 0;
    const char* end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, value);
    for (const auto& unit : units)
        if (error == std::errc() && std::string_view(at, std::size_t(end - at)) == unit.name &&
            value * unit.ms >= 1 && value * unit.ms < 1e12)
            return milliseconds(std::llround(value * unit.ms));
    return Error{EINVAL, "'" + text + "' is no time: a number, and ms, s, m, h or d"};
}

Result<std::vector<int>> parse_signals(const std::string& text) {
    std::vector<int> signals;
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t comma = std::min(text.find(',', at), text.size());
        std::string word = text.substr(at, comma - at);
        at = comma + 1;
        if (word.starts_with("SIG"))
            word.erase(0, 3);
        int number = std::atoi(word.c_str());
        for (int n = 1; n < SIGRTMIN && !number; ++n)
            if (const char* name = sigabbrev_np(n); name && word == name)
                number = n;
        if (number < 1 || number > SIGRTMAX || number == SIGKILL || number == SIGSTOP ||
            number == SIGCHLD)
            return Error{EINVAL, "'" + word + "' is no signal at which a checkpoint can be made"};
        signals.push_back(number);
    }
    return signals;
}

Result<int> run(const RunOptions& options) {
    return Runner(options).run();
}

} // namespace rfork::tool
