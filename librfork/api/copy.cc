// It is made by a raw clone(2): no atfork handlers, no locks of libc, and no SIGCHLD, so that
// neither the caller's handler nor its wait(-1) ever sees it. It has its own descriptor table: what
// the library opens and closes here cannot drop a file lock of the caller, and the caller's pipe
// ends and sockets are closed before the long work begins, so that no peer waits for the copy.
#include "api/copy.h"

#include "api/arena.h"
#include "api/background.h"
#include "api/call_lock.h"
#include "api/inherited.h"
#include "api/last_error.h"
#include "api/memory_marks.h"
#include "api/remote_fork.h"
#include "image/image_file.h"
#include "objects/collect_process.h"
#include "objects/descriptors.h"
#include "process/kept_from_forks.h"
#include "process/own_pages.h"
#include "process/private_copy.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <linux/close_range.h>
#include <linux/rseq.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace rfork::api {
namespace {

using capture::Range;

// The caller's descriptors have been recorded; the copy needs none of them. On NFS this is also
// when what the caller has written goes to the server: each close does it, of a duplicate too, and
// it has to be there before a copy opens the file elsewhere.
void close_all_but(std::vector<unsigned> kept) {
    std::sort(kept.begin(), kept.end());
    unsigned next = 0;
    for (const unsigned fd : kept) {
        if (fd > next)
            syscall(SYS_close_range, next, fd - 1, 0);
        next = fd + 1;
    }
    syscall(SYS_close_range, next, ~0u, 0);
}

void close_inherited(const capture::Self& self, const capture::Snapshot& snapshot) {
    std::vector<unsigned> kept{unsigned(self.directory())};
    for (const auto& file : snapshot.files)
        kept.push_back(unsigned(file->fd()));
    close_all_but(std::move(kept));
}

// While the program stands still. (To read the memory map takes time that grows with the
// memory, so it is done then only where it is needed.)
Result<void> map_shared_memory(const capture::Source& source, std::span<const Range> own,
                               capture::ProcessSnapshot& process) {
    const Result<bool> any = capture::has_shared_memory(own);
    if (!any)
        return any.error();
    if (!*any)
        return {};
    if (Result<void> r = kinds::collect_memory(source, own, process); !r)
        return r;
    return capture::make_private(process.mappings, read_only_memory(), excluded_memory());
}

// The program's own variables that are ours, as the program will find them.
void restore_program_state(const Session& session) {
    call_in_progress = false;
    CallLock::leave_to_landing();
    forget_failure();
    keep_phase_times({}); // of the call before
    forget_background();
    pthread_setcancelstate(session.cancel_state, nullptr);
    errno = int(session.caller_errno);
}

void say_whose(const FreezeOrder& order, capture::Snapshot& snapshot) {
    snapshot.id = order.id;
    snapshot.travels = order.travels;
    snapshot.trusts_files = order.trusts_files;
    snapshot.ticket = {order.directory, order.name, order.secret};
    snapshot.monitor = order.monitor;
    snapshot.ignored = order.ignored;
}

Result<std::uint64_t> freeze_here(const Handover& all) {
    const FreezeOrder& order = all.order;
    const Result<bool> lacks = capture::lacks_memory(all.pages);
    if (!lacks)
        return lacks.error();
    all.mailbox->lacks_memory = *lacks;
    if (*lacks)
        return 0;
    const Range own[] = {{all.session.start(), all.session.start() + all.session.size},
                         all.mailbox.range(),
                         background_range()};
    Result<capture::Self> self = capture::Self::open(all.facts);
    if (!self)
        return self.error();

    capture::Snapshot snapshot;
    say_whose(order, snapshot);
    snapshot.created = std::uint64_t(self->clock(CLOCK_REALTIME));
    capture::ProcessSnapshot& process = snapshot.processes.emplace_back(snapshot);
    process.unmaps_window = true; // rfork_landing does
    process.inherited = inherited_files();
    process.departure = reinterpret_cast<std::uint64_t>(&rfork_depart);
    const pid_t ours[] = {getpid(), all.helper, background_copy()};
    if (Result<void> r = kinds::collect_process(*self, {ours, order.leaves_children}, process); !r)
        return r.error();
    const bool goes_on_meanwhile = all.facts.threads.size() > 1 || all.order.in_background;
    if (goes_on_meanwhile || !excluded_memory().empty())
        if (Result<void> r = map_shared_memory(*self, own, process); !r)
            return r.error();
    all.mailbox->events.report(CopyEvent::collected);
    close_inherited(*self, snapshot);

    Result<UniqueFd> directory = open_directory(order);
    if (!directory)
        return directory.error();

    if (process.mappings.empty())
        if (Result<void> r = kinds::collect_memory(*self, own, process); !r)
            return r.error();
    kinds::add_shared_memory(snapshot);
    if (Result<void> r = clear_excluded_memory(process.mappings); !r)
        return r.error();
    Result<capture::OwnPages> pages = capture::OwnPages::open();
    if (!pages)
        return pages.error();
    process.pages = &*pages;

    restore_program_state(all.session);
    return write_file(order, snapshot, directory->get(), all.mailbox->progress);
}

// A copy inherits the caller's restartable sequences, and the kernel writes into their area in the
// program's memory at each move to another CPU. (It is left as that of a thread that has none,
// which it is until the stub has made it one again.)
void give_up_rseq(const kinds::ThreadRecord& caller) {
    if (caller.rseq)
        arch::syscall(SYS_rseq, caller.rseq, caller.rseq_size, RSEQ_FLAG_UNREGISTER,
                      caller.rseq_signature);
}

} // namespace

void live_as_copy(const Handover& all) {
    give_up_rseq(all.facts.threads.front().record);
    const SharedMailbox& mailbox = all.mailbox;
    mailbox->events.hold();
    if (!all.order.in_background)
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
    mailbox->events.report(CopyEvent::collected);
    mailbox->events.report(CopyEvent::done);
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

} // namespace rfork::api
