#include "faults/lane.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace faults {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

// Longer than any fault lasts and than any of our programs may need for the way out of it.
constexpr milliseconds return_deadline{30'000}, quiet_deadline{20'000}, start_deadline{20'000};

// Where the image's stub and nothing else has its code (docs/architecture.md, the address plan).
constexpr std::uint64_t window_begin = 0x1000'0000'0000, window_end = 0x2000'0000'0000;

std::vector<std::string> lines_of(const std::string& path) {
    std::vector<std::string> lines;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);)
        lines.push_back(line);
    return lines;
}

bool is_ticket(const std::string& name) {
    constexpr std::string_view prefix = "rfork.";
    return name.starts_with(prefix) && name.size() == prefix.size() + 32 &&
           name.find_first_not_of("0123456789abcdef", prefix.size()) == std::string::npos;
}

// Every name in the spool, in the users' directories too.
std::vector<fs::path> names_in(const std::string& spool) {
    std::vector<fs::path> names;
    std::error_code error;
    for (fs::recursive_directory_iterator at(spool, error), end; !error && at != end;
         at.increment(error))
        names.push_back(at->path());
    return names;
}

bool lives(pid_t process) {
    std::ifstream file("/proc/" + std::to_string(process) + "/stat");
    std::string text;
    std::getline(file, text);
    const std::size_t name_end = text.rfind(") ");
    return name_end != std::string::npos && text[name_end + 2] != 'Z' && text[name_end + 2] != 'X';
}

std::vector<std::string> joined(std::vector<std::string> a, const std::vector<std::string>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

pid_t process_of(pid_t thread) {
    std::ifstream status("/proc/" + std::to_string(thread) + "/status");
    for (std::string word; status >> word;)
        if (pid_t process; word == "Tgid:" && status >> process)
            return process;
    return thread;
}

void complain(const std::string& what, Verdict& verdict) {
    verdict.complaint += (verdict.complaint.empty() ? "" : "; ") + what;
}

void complain_of_damage(const std::vector<std::string>& copies, Verdict& verdict) {
    for (const std::string& copy : copies)
        if (copy.find(" but ") != std::string::npos)
            complain("a copy is damaged: " + copy, verdict);
}

// How many runs of equal lines there are.
long runs_of(const std::vector<std::string>& lines) {
    long runs = 0;
    for (std::size_t i = 0; i < lines.size(); ++i)
        runs += i == 0 || lines[i] != lines[i - 1];
    return runs;
}

std::vector<Program> programs_of(const Setting& s) {
    const std::vector<std::string> environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                                                  "RFORK_SPOOL=" + s.spool,
                                                  "RFORK_KEY_FILE=" + s.callers_key};
    auto caller = [&](const std::string& program) {
        return Program{joined(s.on_caller, {program, s.target, s.scratch + "/copies"}), environment,
                       s.scratch + "/said", s.scratch + "/errors"};
    };
    return {
        caller(s.forks),
        caller(s.moves),
        {joined(s.on_target, {s.rexecd, "--listen", s.target, "--spool", s.spool, "--key",
                              s.rexecds_key, "--allow-root"}),
         environment, s.scratch + "/daemon.log", s.scratch + "/daemon.log"},
    };
}

// What else goes wrong can keep the caller from cleaning up, or comes when it has.
bool kills_only(const std::vector<Fault>& faults) {
    return std::all_of(faults.begin(), faults.end(), [](const Fault& fault) {
        return fault.action == Action::kill || fault.action == Action::kill_after;
    });
}

} // namespace

Lane::Lane(const Setting& setting) : setting_(setting), zygote_(programs_of(setting)) {
    ::umask(077);
}

// --- the loop
// -------------------------------------------------------------------------------------

void Lane::later(int ms, std::function<void()> work) {
    timers_.emplace(Clock::now() + milliseconds(ms), std::move(work));
}

void Lane::pump(Time until) {
    if (!timers_.empty())
        until = std::min(until, timers_.begin()->first);
    const auto wait = std::chrono::ceil<milliseconds>(until - Clock::now()).count();
    pollfd ready[] = {{zygote_.listener().fd(), POLLIN, 0}, {zygote_.fd(), POLLIN, 0}};
    if (::poll(ready, 2, int(std::max<long>(wait, 0))) > 0) {
        if (ready[0].revents & POLLIN)
            hear_listener();
        if (ready[1].revents)
            hear_zygote();
    }
    while (!timers_.empty() && timers_.begin()->first <= Clock::now()) {
        auto work = std::move(timers_.begin()->second);
        timers_.erase(timers_.begin());
        work();
    }
}

bool Lane::pump_until(Time deadline, const std::function<bool()>& condition) {
    while (!condition()) {
        if (Clock::now() >= deadline)
            return false;
        pump(std::min(deadline, Clock::now() + milliseconds(20)));
    }
    return true;
}

void Lane::hear_zygote() {
    const Zygote::News news = zygote_.news();
    const pid_t process = news.ended.process;
    if (news.started) {
        (news.program == daemon_program ? daemon_ : caller_) = process;
        return;
    }
    if (process == caller_) {
        caller_ended_ = true;
        caller_status_ = news.ended.status;
    }
    if (process == daemon_) {
        daemon_ = 0;
        if (daemon_wanted_) // as a service manager does
            zygote_.start(daemon_program, 0);
    }
}

void Lane::hear_listener() {
    if (auto notification = zygote_.listener().next())
        consider(*notification);
}

// --- faults
// ---------------------------------------------------------------------------------------

Role Lane::role_of(const seccomp_notif& notification, const std::string& executable) const {
    const std::uint64_t at = notification.data.instruction_pointer;
    if (at >= window_begin && at < window_end)
        return Role::stub;
    const auto process = static_cast<pid_t>(notification.pid);
    if (executable == setting_.forks || executable == setting_.moves)
        return process_of(process) == caller_ ? Role::caller : Role::writer;
    if (executable == setting_.rexecd)
        return process == daemon_ ? Role::daemon : Role::runner;
    return Role::other;
}

void Lane::consider(const seccomp_notif& notification) {
    const auto process = static_cast<pid_t>(notification.pid);
    const Role role = role_of(notification, executable_of(process));
    if (role == Role::other)
        return zygote_.listener().let_go(notification.id);
    if (role != Role::daemon)
        seen_.insert(process);
    if (role == Role::writer)
        writers_.insert(process);
    const Operation operation = describe(notification);
    const bool matters =
        operation.into_pipe || operation.call == Call::send || operation.call == Call::exec ||
        operation.path.starts_with(setting_.spool) || operation.to.starts_with(setting_.spool);
    if (!matters)
        return zygote_.listener().let_go(notification.id);

    const int nth = ++counts_[std::string(name_of(role)) + " " + name_of(operation.call)];
    if (setting_.trace)
        trace(process, role, operation);
    if (under_outage(notification, operation, role))
        return;
    for (std::size_t i = 0; i < faults_.size(); ++i) {
        const Fault& fault = faults_[i];
        if (fault.role != role || fault.call != operation.call || nth < fault.first ||
            (fault.last && nth > fault.last))
            continue;
        reached_[i] = true;
        return act(fault, notification, operation, role);
    }
    zygote_.listener().let_go(notification.id);
}

void Lane::trace(pid_t process, Role role, const Operation& operation) const {
    const auto now = std::chrono::duration_cast<milliseconds>(Clock::now() - begun_).count();
    std::printf("%6ld ms %s %d %s %s %s\n", long(now), name_of(role), int(process),
                name_of(operation.call), operation.path.c_str(), operation.to.c_str());
    std::fflush(stdout);
}

bool Lane::under_outage(const seccomp_notif& notification, const Operation& operation, Role role) {
    const Outage& outage = outages_[role == Role::caller || role == Role::writer];
    if (outage.until <= Clock::now() || !operation.path.starts_with(setting_.spool))
        return false;
    if (outage.error) {
        zygote_.listener().answer(notification.id, 0, outage.error);
        return true;
    }
    const auto left = std::chrono::ceil<milliseconds>(outage.until - Clock::now());
    later(int(left.count()), [this, id = notification.id] { zygote_.listener().let_go(id); });
    return true;
}

void Lane::act(const Fault& fault, const seccomp_notif& notification, const Operation& operation,
               Role role) {
    Listener& listener = zygote_.listener();
    const auto id = notification.id;
    const auto process = static_cast<pid_t>(notification.pid);
    switch (fault.action) {
    case Action::kill: // and never let go: it might make the call yet
        return kill(process, role);
    case Action::kill_after:
        Effect(notification).take_place();
        return kill(process, role);
    case Action::kill_late:
        effect_later(fault.ms, notification, role);
        return kill(process, role);
    case Action::error:
        return listener.answer(id, 0, fault.error);
    case Action::error_after:
        Effect(notification).take_place();
        return listener.answer(id, 0, fault.error);
    case Action::error_late:
        effect_later(fault.ms, notification, Role::other);
        return listener.answer(id, 0, fault.error);
    case Action::late:
        return later(fault.ms, [this, id] { zygote_.listener().let_go(id); });
    case Action::late_answer: {
        const long result = Effect(notification).take_place();
        // What has changed nothing, or would give back a descriptor, is made when it is answered.
        const bool answerable = fault.call == Call::rename || fault.call == Call::unlink ||
                                fault.call == Call::link || fault.call == Call::mkdir ||
                                fault.call == Call::tell;
        return later(fault.ms, [this, id, result, answerable] {
            if (answerable)
                zygote_.listener().answer(id, result, result < 0 ? int(-result) : 0);
            else
                zygote_.listener().let_go(id);
        });
    }
    case Action::stop:
        ::kill(process, SIGSTOP);
        stopped_.insert(process);
        later(fault.ms, [this, process] {
            ::kill(process, SIGCONT);
            stopped_.erase(process);
        });
        return listener.let_go(id);
    case Action::outage:
    case Action::hang:
        outages_[role == Role::caller || role == Role::writer] = {
            Clock::now() + milliseconds(fault.ms), fault.action == Action::hang ? 0 : fault.error};
        if (!under_outage(notification, operation, role))
            listener.let_go(id);
        return;
    case Action::drop: {
        // As many bytes as it wanted to send; of sendmsg(2) nobody reads the count.
        return listener.answer(id, static_cast<long>(notification.data.args[2]), 0);
    }
    case Action::orphan:
        kill_writers();
        return listener.let_go(id);
    case Action::lose_ticket:
        lose_tickets();
        return listener.let_go(id);
    case Action::lose_directory:
        for (const fs::path& path : names_in(setting_.spool)) {
            std::error_code error;
            fs::remove_all(path, error);
        }
        return listener.let_go(id);
    case Action::full:
        fill_spool(fault.ms);
        return listener.let_go(id);
    case Action::read_only:
        make_read_only(fault.ms);
        return listener.let_go(id);
    case Action::limit: {
        const rlimit limit{rlim_t(fault.value), rlim_t(fault.value)};
        ::prlimit(process, static_cast<__rlimit_resource>(fault.resource), &limit, nullptr);
        return listener.let_go(id);
    }
    }
}

void Lane::kill(pid_t process, Role role) {
    if (role == Role::caller)
        caller_killed_ = true;
    // Who kills a program that has won, kills the program: then it is nobody's fault that none
    // runs.
    if (role == Role::stub && a_copy_has_won())
        winner_killed_ = true;
    ::kill(process, SIGKILL);
}

void Lane::effect_later(int ms, const seccomp_notif& notification, Role role) {
    auto effect = std::make_shared<Effect>(notification);
    later(ms, [this, effect, role] {
        const long result = effect->take_place();
        if (role == Role::stub && result >= 0 && effect->is_rename())
            winner_killed_ = true;
    });
}

bool Lane::a_copy_has_won() const {
    const auto names = names_in(setting_.spool);
    return std::any_of(names.begin(), names.end(), [](const fs::path& path) {
        const std::string name = path.filename();
        return name.find(".run.") != std::string::npos || name.find(".ack.") != std::string::npos;
    });
}

void Lane::kill_writers() {
    for (pid_t process : writers_)
        if (lives(process))
            ::kill(process, SIGKILL);
}

void Lane::lose_tickets() {
    for (const fs::path& path : names_in(setting_.spool))
        if (is_ticket(path.filename()))
            ::unlink(path.c_str());
}

void Lane::fill_spool(int ms) {
    const std::string filler = setting_.spool + "/filler";
    rfork::UniqueFd fd(::open(filler.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    const std::string block(65536, 'x');
    for (std::size_t size = block.size(); size > 0; size /= 2)
        while (::write(fd.get(), block.data(), size) == ssize_t(size)) {
        }
    later(ms, [filler] { ::unlink(filler.c_str()); });
}

void Lane::make_read_only(int ms) {
    if (::mount(nullptr, setting_.spool.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0)
        return; // a file is open for writing there
    later(ms, [this] { ::mount(nullptr, setting_.spool.c_str(), nullptr, MS_REMOUNT, nullptr); });
}

// --- trials
// ---------------------------------------------------------------------------------------

Verdict Lane::run(const Plan& plan) {
    prepare(plan);
    if (!pump_until(Clock::now() + start_deadline, [this] { return daemon_is_ready(); })) {
        std::fprintf(stderr, "fault-trials: rexecd does not start, see %s\n",
                     scratch("daemon.log").c_str());
        std::exit(2);
    }
    Verdict verdict;
    begun_ = Clock::now();
    faults_ = plan.faults;
    reached_.assign(faults_.size(), false);
    moves_ = plan.move;
    zygote_.start(moves_ ? moving_program : forking_program, plan.timeout_ms);
    if (!pump_until(Clock::now() + return_deadline, [this] { return caller_ended_; }))
        verdict.complaint = "the caller does not return";
    finish(verdict);
    return verdict;
}

void Lane::prepare(const Plan&) {
    faults_.clear();
    counts_.clear();
    outages_.clear();
    seen_.clear();
    writers_.clear();
    caller_ = 0;
    caller_ended_ = caller_killed_ = winner_killed_ = false;
    for (const char* name : {"said", "copies", "copies.ticks", "errors"})
        ::unlink(scratch(name).c_str());
    std::error_code error;
    for (const fs::path& path : names_in(setting_.spool))
        fs::remove_all(path, error);
    if (!daemon_) {
        ::unlink(scratch("daemon.log").c_str());
        zygote_.start(daemon_program, 0);
    }
}

bool Lane::daemon_is_ready() const {
    const auto log = lines_of(scratch("daemon.log"));
    return daemon_ && lives(daemon_) && std::any_of(log.begin(), log.end(), [](const auto& line) {
               return line.find("listening on") != std::string::npos;
           });
}

// Until nothing can happen any more.
void Lane::finish(Verdict& verdict) {
    for (std::size_t i = 0; i < reached_.size(); ++i)
        verdict.reached += reached_[i];
    pump_until(Clock::now() + milliseconds(6'000), [this] { return timers_.empty(); });
    if (!pump_until(Clock::now() + quiet_deadline, [this] { return all_quiet(); }) &&
        verdict.complaint.empty())
        verdict.complaint = "left: " + who_lives();
    kill_the_rest();
    judge(verdict);
}

bool Lane::all_quiet() {
    return timers_.empty() && std::none_of(seen_.begin(), seen_.end(), lives);
}

std::string Lane::who_lives() const {
    std::string who;
    for (pid_t process : seen_)
        if (lives(process))
            who += " process " + std::to_string(process) + " of " + executable_of(process);
    return who;
}

void Lane::kill_the_rest() {
    for (pid_t process : seen_)
        if (lives(process))
            ::kill(process, SIGKILL);
    pump_until(Clock::now() + milliseconds(5'000), [this] { return all_quiet(); });
}

void Lane::judge(Verdict& verdict) {
    moves_ ? judge_move(verdict) : judge_fork(verdict);
    if (verdict.outcome.starts_with("-1 ") && kills_only(faults_) && ticket_is_left())
        complain("the caller was told -1, and its ticket is left", verdict);
}

bool Lane::ticket_is_left() const {
    const auto names = names_in(setting_.spool);
    return std::any_of(names.begin(), names.end(),
                       [](const fs::path& path) { return is_ticket(path.filename().string()); });
}

void Lane::judge_move(Verdict& verdict) {
    const auto said = lines_of(scratch("said"));
    const auto signed_by = lines_of(scratch("copies"));
    const auto ticks = lines_of(scratch("copies.ticks"));
    const bool failed = !said.empty() && said[0].starts_with("-1 ");
    const auto moved = std::count_if(signed_by.begin(), signed_by.end(),
                                     [](const auto& line) { return line.starts_with("child "); });
    const auto stayed = long(signed_by.size()) - moved;
    verdict.outcome = caller_killed_ ? "killed" : failed ? said[0] : "moved";
    verdict.copy_ran = moved > 0;
    complain_of_damage(signed_by, verdict);
    if (moved + stayed > 1)
        complain("DOUBLED: " + std::to_string(moved) + " went on there, " + std::to_string(stayed) +
                     " here",
                 verdict);
    // Each thread's host is one, and then another: never the first again.
    if (runs_of(ticks) > 2)
        complain("DOUBLED: the other thread ran in two places at the same time", verdict);
    if (caller_killed_ || !verdict.complaint.empty())
        return;
    if (failed && stayed != 1)
        complain("LOST: the caller was told -1, and has not gone on", verdict);
    if (!failed && moved != 1 && !winner_killed_)
        complain("LOST: the caller has ended, with wait status " + std::to_string(caller_status_) +
                     ", and no copy ran",
                 verdict);
}

void Lane::judge_fork(Verdict& verdict) {
    const auto said = lines_of(scratch("said"));
    const auto copies = lines_of(scratch("copies"));
    const bool parent = !said.empty() && said[0] == "PARENT";
    const bool failed = !said.empty() && said[0].starts_with("-1 ");
    verdict.outcome = caller_killed_ ? "killed" : said.empty() ? "nothing" : said[0];
    verdict.copy_ran = !copies.empty();
    complain_of_damage(copies, verdict);
    if (copies.size() > 1)
        complain("DOUBLED: " + std::to_string(copies.size()) + " copies ran", verdict);
    if (caller_killed_)
        return;
    if (!parent && !failed && verdict.complaint.empty())
        complain("the caller ended with wait status " + std::to_string(caller_status_), verdict);
    if (failed && !copies.empty())
        complain("DOUBLED: the caller was told -1, and a copy ran", verdict);
    if (parent && copies.empty() && !winner_killed_)
        complain("LOST: the caller was told PARENT, and no copy ran", verdict);
}

} // namespace faults
