// rfork_checkpoint_wait() looks again and again, and does not sleep in the page: a thread that
// slept there would, in a copy that another thread makes, wake up where no page is. While it looks,
// the process cannot be frozen.
#include "api/background.h"

#include "api/copy.h"
#include "api/last_error.h"
#include "api/public.h"
#include "api/sections.h"
#include "base/clock.h"
#include "image/image_file.h"

#include <cerrno>
#include <cstdlib>
#include <sys/syscall.h>
#include <unistd.h>

namespace rfork::api {
namespace {

struct Background {
    pid_t owner = 0; // a child of fork(2) has the variable, too, but not the copy
    pid_t copy = 0;
    Mailbox* mailbox = nullptr;
} background;

bool is_ours() {
    return background.mailbox && background.owner == getpid();
}

void unmap() {
    if (background.mailbox)
        munmap(background.mailbox, sizeof(Mailbox));
    background.mailbox = nullptr;
}

// What has become of it; the end of it, unless it goes on.
enum class State { none, goes_on, done };

Result<State> look() {
    const UnfrozenList nobody_else;
    if (!is_ours())
        return State::none;
    Mailbox* mailbox = background.mailbox;
    if (!mailbox->events.wait(CopyEvent::done, background.copy, 1))
        return State::goes_on;
    const int status = wait_for_copy(background.copy);
    Result<State> outcome = State::done;
    if (!mailbox->done) {
        FreezeOrder order;
        order.directory = mailbox->directory;
        order.temporary = mailbox->temporary;
        remove_temporary(order);
        outcome = copy_died(status, order);
    } else if (mailbox->error) {
        outcome = Error{mailbox->error, mailbox->sentence};
    }
    unmap();
    return outcome;
}

} // namespace

Result<void> check_no_background() {
    const UnfrozenList nobody_else;
    if (is_ours())
        return Error{EBUSY,
                     "another checkpoint is being written in the background, or has been and "
                     "nobody has asked how it ended: call rfork_checkpoint_wait() first"};
    unmap(); // a parent's
    return {};
}

void keep_background(SharedMailbox& mailbox, const FreezeOrder& order, pid_t copy) {
    const UnfrozenList nobody_else;
    order.directory.copy(mailbox->directory, sizeof mailbox->directory - 1);
    order.temporary.copy(mailbox->temporary, sizeof mailbox->temporary - 1);
    background.owner = getpid();
    background.copy = copy;
    background.mailbox = mailbox.release();
}

pid_t background_copy() {
    return background.mailbox ? background.copy : 0;
}

capture::Range background_range() {
    return background.mailbox ? range_of(background.mailbox) : capture::Range{};
}

void forget_background() {
    background.mailbox = nullptr;
}

extern "C" RFORK_API int rfork_checkpoint_wait(int milliseconds) {
    constexpr timespec a_moment{0, 5'000'000};
    const int before = errno;
    const std::uint64_t began = monotonic_ns();
    for (;;) {
        const Result<State> state = look();
        if (!state)
            return fail(state.error());
        if (*state == State::none)
            return fail({ECHILD, "no checkpoint is being written in the background: begin one with "
                                 "RFORK_BACKGROUND (rfork_options(3))"});
        errno = before;
        if (*state == State::done)
            return 1;
        if (milliseconds >= 0 && monotonic_ns() - began >= std::uint64_t(milliseconds) * 1'000'000)
            return 0;
        arch::syscall(SYS_nanosleep, &a_moment, nullptr);
    }
}

} // namespace rfork::api
