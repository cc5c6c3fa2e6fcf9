#include "api/make_copy.h"

#include "api/blocked_signals.h"
#include "api/clock.h"
#include "api/copy.h"
#include "api/image_file.h"
#include "api/kept_frames.h"
#include "api/sections.h"
#include "capture/kept_from_forks.h"
#include "capture/program_vdso.h"
#include "capture/standstill.h"

#include <cerrno>
#include <csignal>
#include <memory>
#include <optional>
#include <sys/syscall.h>

namespace rfork::api {
namespace {

using capture::Range;

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

// Nothing, if a thread has called rfork_block() meanwhile.
Result<std::optional<Copied>> try_to_make_copy(const Session& session, const FreezeOrder& order,
                                               const SharedMailbox& mailbox, Memory memory,
                                               Halt& halt, const std::string& directory) {
    BlockedSignals blocked;
    const Result<std::size_t> threads = capture::count_threads(directory);
    if (!threads)
        return threads.error();
    if (Result<void> r = check_room(session, *threads); !r)
        return r.error();
    const bool others = *threads > 1;

    const std::uint64_t start = monotonic_ns();
    auto standstill = std::make_unique<capture::Standstill>(session.start() + session_stack_bottom,
                                                            capture::process_directory(directory),
                                                            no_standing_zones());
    if (others)
        if (Result<void> r = standstill->begin(); !r)
            return r.error();
    if (any_section_open())
        return std::optional<Copied>();
    release_kept_frames();
    capture::OwnFacts facts = capture::ask_own_facts(
        directory, {session.registers, session.xstate(), session.uses_xsave != 0, blocked.before(),
                    session.without_tsc != 0});
    if (Result<void> r = read_pending(*standstill, facts); !r)
        return r.error();
    capture::add_other_threads(std::move(standstill->threads), session.uses_xsave != 0, facts);
    capture::settle_timers(facts);

    std::uint64_t pages = 0;
    capture::KeptFromForks kept;
    if (memory == Memory::all) {
        if (Result<void> r = kept.give(directory); !r)
            return r.error();
    } else {
        const Result<std::uint64_t> mapped = capture::mapped_pages(directory);
        if (!mapped)
            return mapped.error();
        pages = *mapped;
    }
    const std::uint64_t before = monotonic_ns();
    const long copy = arch::syscall(SYS_clone, 0, 0, 0, 0, 0);
    kept.keep_again();
    if (copy == 0)
        live_as_copy({order, session, facts, mailbox, standstill->helper(), pages});
    if (copy < 0)
        return system_error(int(-copy), "cannot make a copy of the process",
                            copy == -EAGAIN ? "raise the limit on processes (ulimit -u)"
                                            : "free memory, or allow more of it to be promised");
    Copied copied{pid_t(copy), 0, monotonic_ns() - before};
    if (others || order.in_background) {
        mailbox->doorbell.wait(Bell::collected, copied.copy);
        const Result<void> r = order.ends ? standstill->hold() : standstill->end();
        if (!r) { // the copy may be torn
            arch::syscall(SYS_kill, copied.copy, SIGKILL);
            wait_for_copy(copied.copy);
            remove_temporary(order);
            return r.error();
        }
        copied.stall_ns = standstill->duration();
    } else {
        copied.stall_ns = monotonic_ns() - start;
    }
    if (order.ends)
        halt.begin(std::move(standstill), blocked, facts.kernel);
    return std::optional(copied);
}

} // namespace

Result<Copied> make_copy(const Session& session, const FreezeOrder& order,
                         const SharedMailbox& mailbox, Memory memory, Halt& halt) {
    Result<std::string> directory = capture::own_proc_directory();
    if (!directory)
        return directory.error();
    for (;;) {
        if (Result<void> r = wait_for_sections(order.patience_ms); !r)
            return r.error();
        Result<std::optional<Copied>> copied =
            try_to_make_copy(session, order, mailbox, memory, halt, *directory);
        if (!copied)
            return copied.error();
        if (*copied)
            return **copied;
    }
}

} // namespace rfork::api
