// Other threads stand still (capture/standstill.h) while the calling one asks the kernel what it
// has to, and until the copy has read what they could change; but not while it writes.
//
// The copy is made by a raw clone(2): no atfork handlers, no locks of libc, and no SIGCHLD, so that
// neither the caller's handler nor its wait(-1) ever sees it. It has its own descriptor table: what
// the library opens and closes there cannot drop a file lock of the caller, and the caller's pipe
// ends and sockets are closed in it before the long work begins, so that no peer waits for the
// copy.
//
// What it has to say, it writes into a page shared with the caller.
#include "api/freeze.h"

#include "api/arena.h"
#include "api/clock.h"
#include "api/doorbell.h"
#include "api/inherited.h"
#include "api/kept_frames.h"
#include "api/last_error.h"
#include "api/memory_marks.h"
#include "api/sections.h"
#include "api/turn.h"
#include "base/unique_fd.h"
#include "capture/memory.h"
#include "capture/own_pages.h"
#include "capture/private_copy.h"
#include "capture/program_vdso.h"
#include "capture/provenance.h"
#include "capture/self.h"
#include "capture/standstill.h"
#include "image/writer.h"
#include "kinds/collectors.h"
#include "kinds/descriptors.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/rseq.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace rfork::api {
namespace {

using capture::Range;

struct Mailbox {
    Doorbell doorbell;
    bool done;
    std::int32_t error; // 0: the image is complete
    std::uint64_t bytes;
    remote::Key key;
    char sentence[1000];
};

class SharedMailbox {
  public:
    SharedMailbox()
        : mailbox_(mmap(nullptr, sizeof(Mailbox), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {}
    ~SharedMailbox() {
        if (*this)
            munmap(mailbox_, sizeof(Mailbox));
    }
    explicit operator bool() const { return mailbox_ != MAP_FAILED; }
    Mailbox* operator->() const { return static_cast<Mailbox*>(mailbox_); }
    Range range() const {
        const auto start = reinterpret_cast<std::uint64_t>(mailbox_);
        return {start, start + (sizeof(Mailbox) + image::page_size - 1) / image::page_size *
                                   image::page_size};
    }

  private:
    void* mailbox_;
};

// No handler of the program runs while this exists; what arrives waits.
class BlockedSignals {
  public:
    BlockedSignals() {
        const std::uint64_t all = ~std::uint64_t(0);
        arch::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before_, sizeof all);
    }
    ~BlockedSignals() {
        arch::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before_, nullptr, sizeof before_);
    }
    std::uint64_t before() const { return before_; }

  private:
    std::uint64_t before_ = 0;
};

Result<UniqueFd> open_directory(const FreezeOrder& order) {
    const std::string what = order.travels ? "the spool directory '" : "the directory '";
    UniqueFd fd(open(order.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd)
        return system_error(errno, "cannot open " + what + order.directory + "'",
                            order.travels ? "RFORK_SPOOL must be a directory that all hosts share"
                                          : "choose one that exists and that you may read");
    struct statvfs fs;
    if (order.travels && fstatvfs(fd.get(), &fs) == 0 && (fs.f_flag & ST_NOEXEC))
        return Error{EACCES, what + order.directory +
                                 "' is on a file system mounted noexec, and "
                                 "images are executables: mount it with exec"};
    return fd;
}

Result<UniqueFd> create_image(int directory, const FreezeOrder& order) {
    UniqueFd fd(openat(directory, order.temporary.c_str(),
                       O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0700));
    if (!fd)
        return system_error(errno, "cannot create an image in '" + order.directory + "'",
                            errno == EROFS    ? "the directory must be writable"
                            : errno == EACCES ? "you must be allowed to write there"
                                              : "see that the file system is in order");
    if (fchmod(fd.get(), 0700) != 0) // whatever the umask is
        return system_error(errno, "cannot set the mode of the image");
    return fd;
}

// What an image cannot carry (ENOTSUP) is told when all of it has been found.
Result<void> go_on(capture::Snapshot& snapshot, Result<void> r) {
    if (r || r.error().code != ENOTSUP)
        return r;
    snapshot.obstacles.add(r.error().sentence);
    return {};
}

Result<void> collect(const capture::Self& self, capture::Snapshot& snapshot) {
    if (Result<void> r = go_on(snapshot, self.check_capturable()); !r)
        return r;
    Result<capture::Identity> identity = self.identity();
    if (!identity)
        return identity.error();
    snapshot.identity = std::move(*identity);
    if (Result<void> r = kinds::sort_descriptors(self, snapshot); !r)
        return r;
    for (kinds::Collector collector : kinds::collectors)
        if (Result<void> r = go_on(snapshot, collector(self, snapshot)); !r)
            return r;
    if (snapshot.obstacles.any())
        return snapshot.obstacles.error();
    return {};
}

// The caller's descriptors have been recorded; the copy needs none of them. On NFS this is also
// when what the caller has written goes to the server: each close does it, of a duplicate too, and
// it has to be there before a copy opens the file elsewhere.
void close_all_but(int keep) {
    if (keep > 0)
        syscall(SYS_close_range, 0, keep - 1, 0);
    syscall(SYS_close_range, keep + 1, ~0u, 0);
}

Result<void> map_memory(std::span<const Range> own, capture::Snapshot& snapshot) {
    UniqueFd smaps(open("/proc/self/smaps", O_RDONLY | O_CLOEXEC));
    if (!smaps)
        return system_error(errno, "cannot read /proc/self/smaps", "mount /proc");
    auto entries = capture::read_memory_map(smaps.get());
    if (!entries)
        return entries.error();
    const auto provenance = capture::Provenance::of_executable();
    for (capture::MemoryMapEntry& entry : *entries)
        provenance.restore(entry);
    if (Result<void> r = capture::classify_memory(*entries, own, snapshot); !r)
        return r;
    return kinds::add_mapped_files(snapshot);
}

// While the other threads stand still. (To read the memory map takes time that grows with the
// memory, so it is done then only where it is needed.)
Result<void> map_shared_memory(std::span<const Range> own, capture::Snapshot& snapshot) {
    const Result<bool> any = capture::has_shared_anonymous_memory(own);
    if (!any)
        return any.error();
    if (!*any)
        return {};
    if (Result<void> r = map_memory(own, snapshot); !r)
        return r;
    return capture::make_private(snapshot.mappings, read_only_memory(), excluded_memory());
}

Error in_directory(const FreezeOrder& order, const Error& error) {
    std::string sentence = "in '" + order.directory + "': " + error.sentence;
    if (error.code == ENOSPC || error.code == EDQUOT)
        sentence += ": make room there";
    return {error.code, sentence};
}

Result<std::uint64_t> write_file(const FreezeOrder& order, const capture::Snapshot& snapshot,
                                 int directory) {
    Result<UniqueFd> file = create_image(directory, order);
    if (!file)
        return file.error();
    const Result<image::Written> written = image::write_image(snapshot, file->get());
    if (!written)
        return in_directory(order, written.error());
    // Close-to-open: another NFS client sees all of it once this close has returned.
    if (close(file->release()) != 0)
        return in_directory(order, system_error(errno, "cannot write the image"));
    if (renameat(directory, order.temporary.c_str(), directory, order.name.c_str()) != 0)
        return system_error(errno, "cannot give the image its name '" + order.name + "'");
    return written->bytes;
}

// The program's own variables that are ours, as the program will find them.
void restore_program_state(const Session& session) {
    call_in_progress = false;
    Turn::leave_to_landing();
    forget_failure();
    pthread_setcancelstate(session.cancel_state, nullptr);
    errno = int(session.caller_errno);
}

struct Handover { // what the caller hands over to its copy
    const FreezeOrder& order;
    const Session& session;
    const capture::OwnFacts& facts;
    const SharedMailbox& mailbox;
};

// The whole life of the copy.
Result<std::uint64_t> freeze_here(const Handover& all) {
    const FreezeOrder& order = all.order;
    const Range own[] = {{all.session.start(), all.session.start() + all.session.size},
                         all.mailbox.range()};
    Result<capture::Self> self = capture::Self::open(all.facts);
    if (!self)
        return self.error();

    capture::Snapshot snapshot;
    snapshot.id = order.id;
    snapshot.travels = order.travels;
    snapshot.ticket = {order.directory, order.name};
    snapshot.created = realtime_ns();
    snapshot.monitor = order.monitor;
    snapshot.unmaps_window = true; // rfork_landing does
    snapshot.ignored = order.ignored;
    snapshot.inherited = inherited_files();
    snapshot.departure = reinterpret_cast<std::uint64_t>(&rfork_depart);
    if (Result<void> r = collect(*self, snapshot); !r)
        return r.error();
    if (all.facts.threads.size() > 1 || !excluded_memory().empty())
        if (Result<void> r = map_shared_memory(own, snapshot); !r)
            return r.error();
    all.mailbox->doorbell.ring(Bell::collected);
    close_all_but(self->directory());

    if (!order.key_file.empty()) {
        const Result<remote::Key> read = remote::read_key(order.key_file);
        if (!read)
            return read.error();
        all.mailbox->key = *read;
    }
    Result<UniqueFd> directory = open_directory(order);
    if (!directory)
        return directory.error();

    if (snapshot.mappings.empty())
        if (Result<void> r = map_memory(own, snapshot); !r)
            return r.error();
    if (Result<void> r = clear_excluded_memory(snapshot.mappings); !r)
        return r.error();
    UniqueFd pagemap(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    if (!pagemap)
        return system_error(errno, "cannot read /proc/self/pagemap");
    capture::OwnPages pages(std::move(pagemap));
    snapshot.pages = &pages;

    restore_program_state(all.session);
    Result<std::uint64_t> bytes = write_file(order, snapshot, directory->get());
    if (!bytes)
        unlinkat(directory->get(), order.temporary.c_str(), 0);
    return bytes;
}

// A copy inherits the caller's restartable sequences, and the kernel writes into their area in the
// program's memory at each move to another CPU. (It is left as that of a thread that has none,
// which it is until the stub has made it one again.)
void give_up_rseq(const kinds::ThreadRecord& caller) {
    if (caller.rseq)
        arch::syscall(SYS_rseq, caller.rseq, caller.rseq_size, RSEQ_FLAG_UNREGISTER,
                      caller.rseq_signature);
}

[[noreturn]] void live_as_copy(const Handover& all) {
    give_up_rseq(all.facts.threads.front().record);
    const SharedMailbox& mailbox = all.mailbox;
    mailbox->doorbell.hold();
    prctl(PR_SET_PDEATHSIG, SIGKILL); // without the caller nobody wants the image
    const Result<std::uint64_t> bytes = freeze_here(all);
    if (bytes) {
        mailbox->bytes = *bytes;
    } else {
        mailbox->error = bytes.error().code ? bytes.error().code : EIO;
        const std::size_t size =
            bytes.error().sentence.copy(mailbox->sentence, sizeof mailbox->sentence - 1);
        mailbox->sentence[size] = '\0';
    }
    mailbox->done = true;
    mailbox->doorbell.ring(Bell::collected);
    mailbox->doorbell.ring(Bell::done);
    _exit(0);
}

// The copy's clone had no exit signal, so only __WALL finds it.
int wait_for_copy(pid_t copy) {
    int status = 0;
    while (waitpid(copy, &status, __WALL) < 0 && errno == EINTR) {
    }
    return status;
}

Error copy_died(int status, const FreezeOrder& order) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == exit_out_of_memory)
        return {ENOMEM, "not enough working memory to describe the process in an image: raise the "
                        "limit on virtual memory (ulimit -v)"};
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS)
        return {EIO,
                "a file that the process has mapped became shorter while the image was written "
                "into '" +
                    order.directory + "', or memory is broken: try again"};
    const std::string how = WIFSIGNALED(status)
                                ? "was killed by signal " + std::to_string(WTERMSIG(status))
                                : "ended without a word";
    return {EIO, "the copy that was writing the image into '" + order.directory + "' " + how +
                     (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL
                          ? ": is there enough memory for one?"
                          : ": this is a bug in rfork, please report it")};
}

// After a copy that died without cleaning up.
void remove_temporary(const FreezeOrder& order) {
    unlink((order.directory + "/" + order.temporary).c_str());
}

} // namespace

namespace {

// Where no thread may be frozen: in the vDSO, which is another one in another place, and on its way
// out of an earlier resume, whose last memory is given back now.
std::vector<capture::NoStandingZone> no_standing_zones() {
    std::vector<capture::NoStandingZone> zones;
    zones.push_back({reinterpret_cast<std::uint64_t>(&rfork_depart),
                     reinterpret_cast<std::uint64_t>(&rfork_depart_end), false});
    for (const Range& code : capture::vdso_code())
        zones.push_back({code.start, code.end, true});
    return zones;
}

// From when until all threads may go on.
struct Copied {
    pid_t copy = 0;
    std::uint64_t stall_ns = 0;
    std::uint64_t fork_ns = 0;
};

// The calling thread's own pending signals, too, only another process can read.
Result<void> read_pending(capture::Standstill& standstill, capture::OwnFacts& facts) {
    if (!standstill && !facts.pending_set)
        return {};
    if (!standstill)
        if (Result<void> r = standstill.begin(); !r)
            return r;
    Result<void> r = standstill.read_pending(facts.pending_set, facts.pending);
    facts.pending_read = monotonic_ns();
    return r;
}

// In a copy, working memory that runs out is an error like others. Here it would be the end of the
// program, so it is looked after before anything begins.
Result<void> check_room(const Session& session, std::size_t threads) {
    constexpr std::uint64_t for_each = 3 * arch::xstate_limit / 2, for_all = 256 * 1024;
    if (session.size - session.arena_used > threads * for_each + for_all)
        return {};
    return Error{ENOMEM, "not enough working memory to look at " + std::to_string(threads) +
                             " threads: raise the limit on virtual memory (ulimit -v)"};
}

// Nothing, if a thread has called rfork_block() meanwhile.
Result<std::optional<Copied>> try_to_make_copy(const Session& session, const FreezeOrder& order,
                                               const SharedMailbox& mailbox,
                                               const std::string& directory) {
    const BlockedSignals blocked;
    const Result<std::size_t> threads = capture::count_threads(directory);
    if (!threads)
        return threads.error();
    if (Result<void> r = check_room(session, *threads); !r)
        return r.error();
    const bool others = *threads > 1;

    const std::uint64_t start = monotonic_ns();
    capture::Standstill standstill(session.start() + session_stack_bottom,
                                   capture::process_directory(directory), no_standing_zones());
    if (others)
        if (Result<void> r = standstill.begin(); !r)
            return r.error();
    if (any_section_open())
        return std::optional<Copied>();
    release_kept_frames();
    capture::OwnFacts facts =
        capture::ask_own_facts(directory, {session.registers, session.xstate(),
                                           session.uses_xsave != 0, blocked.before()});
    if (Result<void> r = read_pending(standstill, facts); !r)
        return r.error();
    capture::add_other_threads(std::move(standstill.threads), session.uses_xsave != 0, facts);
    capture::settle_timers(facts);

    const std::uint64_t before = monotonic_ns();
    const long copy = arch::syscall(SYS_clone, 0, 0, 0, 0, 0);
    if (copy == 0)
        live_as_copy({order, session, facts, mailbox});
    if (copy < 0)
        return system_error(int(-copy), "cannot make a copy of the process",
                            copy == -EAGAIN ? "raise the limit on processes (ulimit -u)"
                                            : "free memory, or allow more of it to be promised");
    Copied copied{pid_t(copy), 0, monotonic_ns() - before};
    if (others) {
        mailbox->doorbell.wait(Bell::collected, copied.copy);
        if (Result<void> r = standstill.end(); !r) { // the copy may be torn
            arch::syscall(SYS_kill, copied.copy, SIGKILL);
            wait_for_copy(copied.copy);
            remove_temporary(order);
            return r.error();
        }
        copied.stall_ns = standstill.duration();
    } else {
        copied.stall_ns = monotonic_ns() - start;
    }
    return std::optional(copied);
}

Result<Copied> make_copy(const Session& session, const FreezeOrder& order,
                         const SharedMailbox& mailbox) {
    Result<std::string> directory = capture::own_proc_directory();
    if (!directory)
        return directory.error();
    for (;;) {
        if (Result<void> r = wait_for_sections(order.patience_ms); !r)
            return r.error();
        Result<std::optional<Copied>> copied =
            try_to_make_copy(session, order, mailbox, *directory);
        if (!copied)
            return copied.error();
        if (*copied)
            return **copied;
    }
}
} // namespace

Result<Frozen> freeze(const Session& session, const FreezeOrder& order) {
    const pid_t caller = getpid();
    SharedMailbox mailbox;
    if (!mailbox)
        return system_error(errno, "cannot map a page to talk to the copy");
    const Result<Copied> copied = make_copy(session, order, mailbox);
    if (!copied)
        return copied.error();
    const pid_t copy = copied->copy;

    const std::uint64_t forked = monotonic_ns();
    mailbox->doorbell.wait(Bell::done, copy);
    if (getpid() != caller)
        return forked_meanwhile();
    const std::uint64_t written = monotonic_ns();
    if (!mailbox->done) {
        const int status = wait_for_copy(copy);
        remove_temporary(order);
        return copy_died(status, order);
    }
    if (mailbox->error) {
        reap_copy(copy);
        return Error{mailbox->error, mailbox->sentence};
    }
    return Frozen{
        copy, mailbox->bytes, mailbox->key, copied->fork_ns, copied->stall_ns, written - forked};
}

Error forked_meanwhile() {
    return {ECANCELED, "a signal handler has forked this process while rfork() ran in its parent, "
                       "where the call goes on"};
}

void reap_copy(pid_t copy) {
    wait_for_copy(copy);
}

} // namespace rfork::api
