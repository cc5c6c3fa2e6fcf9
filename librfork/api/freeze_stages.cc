#include "api/freeze_stages.h"

#include "api/background.h"
#include "api/copy.h"
#include "api/kept_frames.h"
#include "api/progress.h"
#include "api/sections.h"
#include "base/clock.h"
#include "image/image_file.h"
#include "journey/plan.h"
#include "process/kept_from_forks.h"
#include "process/own_vdso.h"
#include "process/timers_and_signals.h"

#include <cerrno>
#include <csignal>
#include <sys/syscall.h>

namespace rfork::api {
namespace {

using capture::Range;

// Where no thread may be frozen: in the vDSO, which is another one in another place, and on its way
// out of an earlier resume, whose last memory is given back now.
std::vector<capture::UnsafeCode> unsafe_code() {
    std::vector<capture::UnsafeCode> all;
    all.push_back({reinterpret_cast<std::uint64_t>(&rfork_depart),
                   reinterpret_cast<std::uint64_t>(&rfork_depart_end), false});
    for (const Range& code : capture::vdso_code())
        all.push_back({code.start, code.end, true});
    return all;
}

// The calling thread's own pending signals, too, only another process can read; and restartable
// sequences of its own.
Result<void> read_pending(capture::Standstill& standstill, capture::OwnFacts& facts) {
    if (!standstill && !facts.pending_set && facts.knows_rseq)
        return {};
    if (!standstill)
        if (Result<void> r = standstill.begin(); !r)
            return r;
    Result<void> r = standstill.read_pending(facts.pending_set, facts.pending);
    facts.pending_read = monotonic_ns();
    capture::take_rseq(standstill.callers_rseq(), facts);
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

void wait_for_image(const SharedMailbox& mailbox, pid_t copy) {
    ProgressLine line;
    while (!mailbox->events.wait(CopyEvent::done, copy, line.pause()))
        line.show(mailbox->progress);
}

} // namespace

Result<void> Freeze::stop() {
    if (!mailbox_)
        return system_error(errno, "cannot map a page to talk to the copy");
    Result<std::string> directory = capture::own_proc_directory();
    if (!directory)
        return directory.error();
    directory_ = std::move(*directory);
    for (;;) {
        if (Result<void> r = wait_for_sections(order_.patience_ms); !r)
            return r;
        const Result<bool> stopped = try_to_stop();
        if (!stopped)
            return stopped.error();
        if (*stopped)
            return {};
        standstill_.reset();
        blocked_.reset();
    }
}

// Not, if a thread has called rfork_block() meanwhile.
Result<bool> Freeze::try_to_stop() {
    blocked_.emplace();
    const Result<std::size_t> threads = capture::count_threads(directory_);
    if (!threads)
        return threads.error();
    if (Result<void> r = check_room(session_, *threads); !r)
        return r.error();
    stops_others_ = *threads > 1;
    stopped_ = monotonic_ns();
    standstill_ = std::make_unique<capture::Standstill>(session_.start() + session_stack_bottom,
                                                        capture::process_directory(directory_),
                                                        unsafe_code());
    if (stops_others_)
        if (Result<void> r = standstill_->begin(); !r)
            return r.error();
    return !any_section_open();
}

Result<void> Freeze::read() {
    release_kept_frames();
    facts_ = capture::ask_own_facts(directory_, {session_.registers, session_.xstate(),
                                                 session_.uses_xsave != 0, blocked_->before(),
                                                 session_.without_tsc != 0});
    if (Result<void> r = read_pending(*standstill_, facts_); !r)
        return r;
    capture::add_other_threads(std::move(standstill_->threads), session_.uses_xsave != 0, facts_);
    if (facts_.posix_timers)
        capture::advance_timers(facts_.pending_read, facts_.pending, facts_.kernel,
                                *facts_.posix_timers);
    return {};
}

Result<void> Freeze::give_memory(capture::KeptFromForks& kept) {
    if (memory_ == Memory::all)
        return kept.give(directory_);
    const Result<std::uint64_t> mapped = capture::mapped_pages(directory_);
    if (!mapped)
        return mapped.error();
    pages_ = *mapped;
    return {};
}

Result<void> Freeze::copy() {
    capture::KeptFromForks kept;
    if (Result<void> r = give_memory(kept); !r)
        return r;
    const std::uint64_t before = monotonic_ns();
    const long copy = arch::syscall(SYS_clone, 0, 0, 0, 0, 0);
    kept.keep_again();
    if (copy == 0)
        live_as_copy({order_, session_, facts_, mailbox_, standstill_->helper(), pages_});
    if (copy < 0)
        return system_error(int(-copy), "cannot make a copy of the process",
                            copy == -EAGAIN ? "raise the limit on processes (ulimit -u)"
                                            : "free memory, or allow more of it to be promised");
    copy_ = pid_t(copy);
    fork_ns_ = monotonic_ns() - before;
    return {};
}

Result<void> Freeze::release() {
    if (stops_others_ || order_.in_background) {
        if (Result<void> r = wait_until_collected(); !r)
            return r;
    } else {
        stall_ns_ = monotonic_ns() - stopped_;
    }
    if (order_.ends)
        halt_.begin(std::move(standstill_), *blocked_, facts_.kernel);
    standstill_.reset();
    blocked_.reset();
    return {};
}

Result<void> Freeze::wait_until_collected() {
    mailbox_->events.wait(CopyEvent::collected, copy_);
    Result<void> r = order_.ends ? standstill_->hold() : standstill_->end();
    if (!r) { // the copy may be torn
        arch::syscall(SYS_kill, copy_, SIGKILL);
        wait_for_copy(copy_);
        remove_temporary(order_);
    }
    stall_ns_ = standstill_->duration();
    return r;
}

Result<std::optional<Frozen>> Freeze::write() {
    if (order_.in_background) {
        keep_background(mailbox_, order_, copy_);
        return std::optional(Frozen{copy_, 0, fork_ns_, stall_ns_, 0});
    }
    const std::uint64_t released = monotonic_ns();
    wait_for_image(mailbox_, copy_);
    if (getpid() != caller_)
        return journey::forked_meanwhile();
    return outcome(released);
}

Result<std::optional<Frozen>> Freeze::outcome(std::uint64_t released) {
    const std::uint64_t written = monotonic_ns();
    if (!mailbox_->done) {
        const int status = wait_for_copy(copy_);
        remove_temporary(order_);
        if (order_
                .travels) // it may have got that name already, and nobody has been asked to run it
            unlink((order_.directory + "/" + order_.name).c_str());
        return copy_died(status, order_);
    }
    if (mailbox_->error || mailbox_->lacks_memory)
        reap_copy(copy_);
    if (mailbox_->error)
        return Error{mailbox_->error, mailbox_->sentence};
    if (mailbox_->lacks_memory)
        return std::optional<Frozen>();
    return std::optional(Frozen{copy_, mailbox_->bytes, fork_ns_, stall_ns_, written - released});
}

} // namespace rfork::api
