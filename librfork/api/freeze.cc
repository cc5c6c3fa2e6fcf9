#include "api/freeze.h"

#include "api/background.h"
#include "api/clock.h"
#include "api/copy.h"
#include "api/image_file.h"
#include "api/mailbox.h"
#include "api/make_copy.h"
#include "api/progress.h"

#include <cerrno>
#include <optional>
#include <unistd.h>

namespace rfork::api {
namespace {

void wait_for_image(const SharedMailbox& mailbox, pid_t copy) {
    ProgressLine line;
    while (!mailbox->doorbell.wait(Bell::done, copy, line.pause()))
        line.show(mailbox->progress);
}

// Nothing, if the copy lacks memory.
Result<std::optional<Frozen>> try_to_freeze(const Session& session, const FreezeOrder& order,
                                            Memory memory, Halt& halt) {
    const pid_t caller = getpid();
    SharedMailbox mailbox;
    if (!mailbox)
        return system_error(errno, "cannot map a page to talk to the copy");
    const Result<Copied> copied = make_copy(session, order, mailbox, memory, halt);
    if (!copied)
        return copied.error();
    const pid_t copy = copied->copy;
    if (order.in_background) {
        keep_background(mailbox, order, copy);
        return std::optional(Frozen{copy, 0, copied->fork_ns, copied->stall_ns, 0});
    }

    const std::uint64_t forked = monotonic_ns();
    wait_for_image(mailbox, copy);
    if (getpid() != caller)
        return forked_meanwhile();
    const std::uint64_t written = monotonic_ns();
    if (!mailbox->done) {
        const int status = wait_for_copy(copy);
        remove_temporary(order);
        if (order.travels) // it may have got that name already, and nobody has been asked to run it
            unlink((order.directory + "/" + order.name).c_str());
        return copy_died(status, order);
    }
    if (mailbox->error || mailbox->lacks_memory)
        reap_copy(copy);
    if (mailbox->error)
        return Error{mailbox->error, mailbox->sentence};
    if (mailbox->lacks_memory)
        return std::optional<Frozen>();
    return std::optional(
        Frozen{copy, mailbox->bytes, copied->fork_ns, copied->stall_ns, written - forked});
}

} // namespace

Result<Frozen> freeze(const Session& session, const FreezeOrder& order, Halt& halt) {
    // In the background there is no second try.
    const Memory memory = order.in_background ? Memory::all : Memory::as_a_child;
    Result<std::optional<Frozen>> frozen = try_to_freeze(session, order, memory, halt);
    if (frozen && !*frozen) {
        halt.end();
        frozen = try_to_freeze(session, order, Memory::all, halt);
    }
    if (!frozen)
        return frozen.error();
    return **frozen;
}

Error forked_meanwhile() {
    return {ECANCELED, "a signal handler has forked this process while rfork() ran in its parent, "
                       "where the call goes on"};
}

void reap_copy(pid_t copy) {
    wait_for_copy(copy);
}

} // namespace rfork::api
