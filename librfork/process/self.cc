#include "process/self.h"

#include "ask/thread_query.h"
#include "base/clock.h"
#include "base/proc.h"
#include "format/records/attributes.h"
#include "format/records/pending_signal.h"
#include "process/own_landlock.h"
#include "process/own_memory.h"
#include "process/own_posix_timers.h"
#include "process/refused.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

// glibc 2.35 and later register a restartable-sequences area for every thread, at this offset from
// the thread pointer; other libcs do not have the symbols.
extern "C" {
extern const std::ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));
}

namespace rfork::capture {
namespace {

void ask_registrations(kinds::ThreadRecord& record, ask::Refused& refused) {
    ask::ThreadQuery query{};
    ask::ask_kernel_of_thread(query);
    ask::take_answers(query, record);
    if (!refused.call)
        refused = query.refused;
    arch::syscall(SYS_get_robust_list, 0, &record.robust_list, &record.robust_list_size);
}

constexpr std::uint32_t rseq_signature = 0x53053053; // x86: glibc's RSEQ_SIG

enum class Registered { nothing, this_area, another };

// The kernel does not tell a thread where its own area is, but it answers whether it is this one.
Registered ask_rseq(std::uint64_t area, std::uint32_t size) {
    constexpr int unregister = 1; // RSEQ_FLAG_UNREGISTER
    const long r = arch::syscall(SYS_rseq, area, size, 0, rseq_signature);
    if (r == 0)
        arch::syscall(SYS_rseq, area, size, unregister, rseq_signature);
    return r == -EBUSY                   ? Registered::this_area
           : r == -EINVAL || r == -EPERM ? Registered::another
                                         : Registered::nothing;
}

// As a rule it is libc's. Its size is at least 32 whatever __rseq_size says, which counts the
// fields in use (glibc 2.40). False if it is none that is known here.
bool ask_rseq(kinds::ThreadRecord& record) {
    if (&__rseq_size == nullptr || __rseq_size == 0) {
        alignas(32) std::uint8_t none[32] = {};
        return ask_rseq(reinterpret_cast<std::uint64_t>(none), sizeof none) == Registered::nothing;
    }
    const std::uint64_t area = record.registers.fs_base + std::uint64_t(__rseq_offset);
    for (std::uint32_t size = 32; size <= 256; size += 32) {
        if (size < __rseq_size)
            continue;
        const Registered answer = ask_rseq(area, size);
        if (answer == Registered::another)
            continue;
        if (answer == Registered::this_area) {
            record.rseq = area;
            record.rseq_size = size;
            record.rseq_signature = rseq_signature;
        }
        return true;
    }
    return false;
}

// FXSAVE has no header that would tell what is in use.
void add_xstate_header(Thread& thread) {
    const std::uint64_t x87_and_sse = 3;
    std::memcpy(thread.xstate.data() + arch::xstate_bv_offset, &x87_and_sse, sizeof x87_and_sse);
}

Thread ask_thread(const SavedRegisters& saved, OwnFacts& facts) {
    constexpr int get_fs = 0x1003, get_gs = 0x1004;
    constexpr std::uint64_t user_cs = 0x33, user_ss = 0x2b, no_system_call = ~std::uint64_t(0);
    Thread thread;
    kinds::ThreadRecord& record = thread.record;
    record.tid = std::int32_t(arch::syscall(SYS_gettid));
    record.signal_mask = saved.signal_mask;
    record.registers = saved.general;
    record.registers.cs = user_cs;
    record.registers.ss = user_ss;
    record.registers.orig_rax = no_system_call;
    arch::syscall(SYS_arch_prctl, get_fs, &record.registers.fs_base);
    arch::syscall(SYS_arch_prctl, get_gs, &record.registers.gs_base);
    ask_registrations(record, facts.kernel.refused);
    if (saved.without_tsc)
        record.flags |= kinds::thread_without_tsc;
    facts.knows_rseq = ask_rseq(record);

    record.xcr0 = arch::enabled_xstate(saved.by_xsave);
    record.xstate_size = (arch::xstate_layout(record.xcr0, record.layout) + 7) / 8 * 8;
    thread.xstate.assign(saved.xstate, saved.xstate + record.xstate_size);
    if (!saved.by_xsave)
        add_xstate_header(thread);
    return thread;
}

// What the others have in common with the caller: the layout of vector state.
void complete(Thread& other, const Thread& caller, bool by_xsave) {
    other.record.xcr0 = caller.record.xcr0;
    other.record.xstate_size = caller.record.xstate_size;
    std::memcpy(other.record.layout, caller.record.layout, sizeof other.record.layout);
    other.xstate.resize(other.record.xstate_size);
    if (!by_xsave)
        add_xstate_header(other);
}

std::string status_of(const std::string& pid) {
    return text_of("/proc/" + pid + "/status");
}

std::string parent_in(const std::string& status) {
    const std::string parent = field(status, "PPid");
    // It came into this pid namespace from outside, as the first process did.
    return parent == "0" && field(status, "Pid") != "1" ? "1" : parent;
}

int filters_in(const std::string& status) {
    return std::atoi(field(status, "Seccomp_filters").c_str());
}

// A filter that the process was born with belongs to where it runs (a container, a service), as its
// namespaces do, and a copy gets that of where it comes to run. One of its own would be lost. A
// parent that is just ending (a shell, rexecd's runner) says nothing; then the next one is asked.
bool has_own_seccomp_filter(std::string status) {
    constexpr int tries = 50, pause_ms = 1;
    const int mode = std::atoi(field(status, "Seccomp").c_str());
    if (mode != SECCOMP_MODE_FILTER)
        return mode == SECCOMP_MODE_STRICT;
    for (int i = 0; i < tries && !status.empty(); ++i) {
        const std::string parents = status_of(parent_in(status));
        if (filters_in(status) <= filters_in(parents))
            return false;
        if (filters_in(parents) > 0) // it lives, and has fewer
            return true;
        ::poll(nullptr, 0, pause_ms);
        status = status_of(field(status, "Pid"));
    }
    return true;
}

Error cannot_carry(const std::string& what, const std::string& remedy) {
    return {ENOTSUP, what + ", which an image cannot carry yet: " + remedy};
}

// A main thread that has ended has its name still.
void ask_name_of_ended_main(const std::string& directory, KernelFacts& facts) {
    const std::string process = process_directory(directory);
    if (process == directory)
        return;
    const std::string name = text_of(process + "/comm"); // and a newline
    if (!name.empty())
        name.copy(facts.name_of_ended_main, std::min(name.size() - 1, std::size_t(15)));
}

// Where a unit of systemd locks the personality, it may not even be asked for.
void ask_persona(const std::string& directory, KernelFacts& facts) {
    if (facts.persona <= 0xffffffff)
        return;
    const std::string text = text_of(directory + "/personality");
    facts.persona = std::strtoul(text.c_str(), nullptr, 16);
    if (text.empty())
        facts.refused = {SYS_personality, EPERM};
}

// Of the thread whose tid is the pid.
void mark_leader(Thread& thread) {
    if (thread.record.tid == std::int32_t(arch::syscall(SYS_getpid)))
        thread.record.flags |= kinds::thread_leads;
}

} // namespace

OwnFacts ask_own_facts(std::string directory, const SavedRegisters& saved) {
    OwnFacts facts;
    facts.directory = std::move(directory);
    ask::rfork_ask_process(&facts.kernel);
    ask_name_of_ended_main(facts.directory, facts.kernel);
    ask_persona(facts.directory, facts.kernel);
    facts.threads.push_back(ask_thread(saved, facts));
    mark_leader(facts.threads.front());
    ask::rfork_ask_timers(&facts.kernel);
    facts.posix_timers = own_posix_timers();
    arch::syscall(SYS_rt_sigpending, &facts.pending_set, sizeof facts.pending_set);
    return facts;
}

void take_rseq(const kinds::ThreadRecord* read, OwnFacts& facts) {
    if (facts.knows_rseq || !read)
        return;
    kinds::ThreadRecord& record = facts.threads.front().record;
    record.rseq = read->rseq;
    record.rseq_size = read->rseq_size;
    record.rseq_signature = read->rseq_signature;
    facts.knows_rseq = true;
}

void add_other_threads(std::vector<Thread> others, bool by_xsave, OwnFacts& facts) {
    facts.threads.reserve(1 + others.size());
    for (Thread& other : others) {
        complete(other, facts.threads.front(), by_xsave);
        mark_leader(other);
        facts.threads.push_back(std::move(other));
    }
}

// The main thread's directory speaks for all, as long as there is a main thread.
Result<std::string> own_proc_directory() {
    char link[64];
    const ssize_t got = readlink("/proc/thread-self", link, sizeof link - 1);
    if (got <= 0)
        return system_error(errno, "cannot read /proc/thread-self", "mount /proc");
    link[got] = '\0';
    const std::string thread = std::string("/proc/") + link;
    const std::string process = process_directory(thread);
    char executable[1];
    if (readlink((process + "/exe").c_str(), executable, sizeof executable) < 0)
        return thread;
    return process;
}

std::string process_directory(const std::string& directory) {
    return directory.substr(0, directory.find("/task/"));
}

Result<std::size_t> count_threads(const std::string& directory) {
    struct stat tasks;
    if (stat((process_directory(directory) + "/task").c_str(), &tasks) != 0)
        return system_error(errno, "cannot count the threads of the process");
    return std::size_t(tasks.st_nlink) - 2; // ".", ".." and one for each thread
}

// Seen from the copy, whose parent the process is.
Result<Self> Self::open(const OwnFacts& facts) {
    UniqueFd directory(::open(facts.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory)
        return system_error(errno, "cannot open " + facts.directory + " of the calling process");
    Self self(getppid(), std::move(directory), facts);
    Result<std::string> of_caller = self.read("status");
    if (!of_caller)
        return of_caller.error();
    self.status_ = std::move(*of_caller);
    return self;
}

// A copy has inherited what the caller has open, under the same numbers.
Result<UniqueFd> Self::descriptor(int number) const {
    UniqueFd fd(fcntl(number, F_DUPFD_CLOEXEC, 0));
    if (!fd)
        return system_error(errno, "cannot duplicate descriptor " + std::to_string(number),
                            "raise the limit on open files (ulimit -n)");
    return fd;
}

// Of the copy, which has it from the process; among the files of a thread it is not.
std::uint32_t Self::core_filter() const {
    const std::string text = text_of("/proc/self/coredump_filter");
    if (text.empty())
        return kinds::default_core_filter; // a kernel without core files
    return std::uint32_t(std::strtoul(text.c_str(), nullptr, 16));
}

// Asked by the number itself: to close a duplicate, on NFS, is to wait for the server.
bool Self::has_owner(int number) const {
    f_owner_ex owner{};
    return (fcntl(number, F_GETOWN_EX, &owner) == 0 && owner.pid != 0) ||
           fcntl(number, F_GETSIG) > 0;
}

Result<UniqueFd> Self::executable() const {
    UniqueFd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    if (!file)
        return system_error(errno, "cannot open /proc/self/exe");
    return file;
}

// Of the copy, since its memory is what becomes the image.
Result<std::vector<MemoryMapEntry>> Self::memory_map() const {
    UniqueFd smaps(::open("/proc/self/smaps", O_RDONLY | O_CLOEXEC));
    if (!smaps)
        return system_error(errno, "cannot read /proc/self/smaps", "mount /proc");
    return read_memory_map(smaps.get());
}

// The copy's, which is the caller's.
std::size_t Self::read_memory(std::uint64_t address, void* to, std::size_t size) const {
    return std::size_t(std::max(peek_own(address, to, size), 0L));
}

int Self::examine(const std::string& path, struct stat& to, bool follows) const {
    const int r = follows ? ::stat(path.c_str(), &to) : ::lstat(path.c_str(), &to);
    return r == 0 ? 0 : errno;
}

int Self::examine_file_system(const std::string& path, struct statfs& to) const {
    return ::statfs(path.c_str(), &to) == 0 ? 0 : errno;
}

int Self::check_access(const std::string& path, int mode) const {
    return ::faccessat(AT_FDCWD, path.c_str(), mode, AT_EACCESS) == 0 ? 0 : errno;
}

Result<UniqueFd> Self::socket(int domain, int type, int protocol) const {
    UniqueFd made(::socket(domain, type | SOCK_CLOEXEC, protocol));
    if (!made)
        return system_error(errno, "cannot make a socket to compare with");
    return made;
}

std::int64_t Self::clock(int id) const {
    return std::int64_t(clock_ns(id));
}

kinds::Limit Self::limit(unsigned resource) const {
    kinds::Limit limit{};
    arch::syscall(SYS_prlimit64, 0, resource, nullptr, &limit);
    return limit;
}

Result<void> Self::check_capturable() const {
    char byte = 0, copy;
    if (const long r = peek_own(reinterpret_cast<std::uint64_t>(&byte), &copy, 1); r != 1)
        return cannot_peek(r);
    if (facts_->kernel.refused.call)
        return refused_by_surroundings(facts_->kernel.refused);
    if (!facts_->posix_timers)
        return facts_->posix_timers.error();
    if (!facts_->knows_rseq)
        return cannot_carry("the calling thread has registered restartable sequences by itself "
                            "(rseq(2))",
                            "take them back before the call");
    if (std::atoi(field(status(), "NoNewPrivs").c_str())) {
        const Result<bool> confined = is_in_landlock_domain();
        if (!confined)
            return confined.error();
        if (*confined)
            return cannot_carry("the process is confined by Landlock",
                                "call rfork() before that, or start the program outside");
    }
    if (has_own_seccomp_filter(status()))
        return cannot_carry("the process has installed a seccomp filter",
                            "call rfork() before that");
    if (getuid() != geteuid() || getgid() != getegid())
        return cannot_carry("the process runs with other rights than its user's (set-user-ID)",
                            "give them up before the call");
    return {};
}

// What the parent is sent at the end: field 38 of proc(5)'s stat, of the process as a whole.
std::uint32_t Self::exit_signal() const {
    constexpr int first = 3, wanted = 38; // the first field behind the name
    std::string text;
    if (read_text(AT_FDCWD, (path() + "/stat").c_str(), text) != 0)
        return SIGCHLD;
    const std::string fields = fields_in_stat(text);
    std::size_t at = 0;
    for (int i = first; i < wanted && at != std::string::npos; ++i)
        at = fields.find(' ', fields.find_first_not_of(' ', at));
    return at == std::string::npos ? SIGCHLD : std::uint32_t(std::atoi(fields.c_str() + at));
}

Result<Identity> Self::identity() const {
    Identity identity;
    identity.pid = pid_;
    identity.parent = std::atoi(field(status(), "PPid").c_str());
    identity.process_group = getpgid(pid_);
    identity.session = getsid(pid_);
    identity.uid = getuid();
    identity.gid = getgid();
    identity.nice = getpriority(PRIO_PROCESS, unsigned(pid_));
    identity.exit_signal = exit_signal();
    char name[17] = {};
    prctl(PR_GET_NAME, name);
    identity.name = name;
    if (Result<std::string> arguments = read("cmdline")) {
        for (char& c : *arguments)
            if (c == '\0')
                c = ' ';
        while (!arguments->empty() && arguments->back() == ' ')
            arguments->pop_back();
        identity.arguments = std::move(*arguments);
    }
    return identity;
}

} // namespace rfork::capture
