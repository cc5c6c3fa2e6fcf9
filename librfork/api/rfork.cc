// rfork(), rfork_checkpoint(), their kin and rfork_report(), told as lists of steps.
#include "api/public.h"

#include "api/arena.h"
#include "api/background.h"
#include "api/call_lock.h"
#include "api/freeze.h"
#include "api/last_error.h"
#include "api/options.h"
#include "api/readable_clock.h"
#include "api/remote_fork.h"
#include "api/sections.h"
#include "api/timing.h"
#include "base/clock.h"
#include "image/image_file.h"
#include "journey/settings.h"
#include "remote/address.h"
#include "remote/report.h"
#include "remote/spool.h"

#include <cerrno>
#include <cstring>
#include <pthread.h>
#include <unistd.h>

namespace rfork::api {
namespace {

// Much of what libc does on the way is a cancellation point (pthreads(7)), which this call is not.
class CallInProgress {
  public:
    explicit CallInProgress(Session& session) : session_(session) {
        call_in_progress = true;
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &session.cancel_state);
    }
    ~CallInProgress() {
        pthread_setcancelstate(session_.cancel_state, nullptr);
        call_in_progress = false;
    }

  private:
    Session& session_;
};

Result<int> checkpoint(const Session& session, const char* path, const Options& options) {
    if (!path || !*path)
        return Error{EINVAL, "the path of the checkpoint is empty: pass a file name"};
    FreezeOrder order;
    order.id = remote::new_id();
    Result<image::Place> place = image::place_at(path, order.id);
    if (!place)
        return place.error();
    static_cast<image::Place&>(order) = std::move(*place);
    const Result<int> patience = journey::read_timeout();
    if (!patience)
        return patience.error();
    order.patience_ms = *patience;
    const Result<capture::Ignored> ignored = journey::read_ignored(options.ignored);
    if (!ignored)
        return ignored.error();
    order.ignored = *ignored;
    order.ends = options.ends;
    order.leaves_children = options.leaves_children || ignored->has(capture::Sort::children);
    order.in_background = options.in_background;
    if (options.in_background)
        if (Result<void> r = check_no_background(); !r)
            return r.error();
    Halt halt;
    const Result<Frozen> frozen = freeze(session, order, halt);
    if (!frozen)
        return frozen.error();
    if (options.in_background)
        return RFORK_PARENT;
    reap_copy(frozen->copy);
    if (options.ends)
        end_original();
    keep_phase_times({frozen->fork_ns, frozen->stall_ns, frozen->write_ns, 0, 0});
    return RFORK_PARENT;
}

Result<void> report_line(const char* monitor, const char* message) {
    if (!monitor || !message)
        return Error{EINVAL, "the monitor or the message is a null pointer"};
    if (std::strlen(message) > remote::max_report)
        return Error{EMSGSIZE, "the message is longer than the 1024 bytes of one report"};
    const Result<remote::Address> parsed = remote::parse_address(monitor, remote::monitor_port);
    if (!parsed)
        return parsed.error();
    const Result<sockaddr_in> address = remote::resolve(*parsed);
    if (!address)
        return address.error();
    // Its socket lives for a moment only, and is nothing that an image could carry.
    rfork_block();
    Result<void> sent = remote::send_report(*address, message);
    rfork_unblock();
    return sent;
}

} // namespace

// On the session's stack; entry.S returns what this returns.
extern "C" int rfork_session_run(Session* session, const char* argument, const rfork_options* given,
                                 Operation operation) {
    const ReadableClock clock;
    session->caller_errno = errno;
    session->without_tsc = clock.opened();
    if (call_in_progress)
        return fail({EBUSY, "a call of this thread is still under way: either a signal handler has "
                            "called rfork() while it was running (leave that to the program's main "
                            "flow), or one has left it by siglongjmp() or the like (a handler must "
                            "return)"});
    ActiveSession active(session);
    if (Result<void> r = check_own_sections(); !r)
        return fail(r.error());
    CallInProgress in_progress(*session);
    CallLockHeld lock;
    const Result<Options> options = read_options(given, operation);
    if (!options)
        return fail(options.error());
    const Result<int> outcome = operation == Operation::checkpoint
                                    ? checkpoint(*session, argument, *options)
                                    : remote_fork(*session, argument, *options);
    if (!outcome)
        return fail(outcome.error());
    errno = session->caller_errno;
    return *outcome;
}

extern "C" RFORK_API int rfork_report(const char* monitor, const char* message) {
    const int before = errno;
    if (Result<void> r = report_line(monitor, message); !r)
        return fail(r.error());
    errno = before;
    return 0;
}

} // namespace rfork::api
