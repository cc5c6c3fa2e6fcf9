#include "api/freeze.h"

#include "api/copy.h"
#include "api/freeze_stages.h"

#include <cerrno>
#include <optional>

namespace rfork::api {
namespace {

// Nothing, if the copy lacks memory.
Result<std::optional<Frozen>> freeze_with(Memory memory, const Session& session,
                                          const FreezeOrder& order, Halt& halt) {
    Freeze freeze(session, order, memory, halt);
    Result<void> r = freeze.stop();
    if (r)
        r = freeze.read();
    if (r)
        r = freeze.copy();
    if (r)
        r = freeze.release();
    if (!r)
        return r.error();
    return freeze.write();
}

} // namespace

Result<Frozen> freeze(const Session& session, const FreezeOrder& order, Halt& halt) {
    // In the background there is no second try.
    const Memory first = order.in_background ? Memory::all : Memory::as_a_child;
    Result<std::optional<Frozen>> frozen = freeze_with(first, session, order, halt);
    if (frozen && !*frozen) {
        halt.end();
        frozen = freeze_with(Memory::all, session, order, halt);
    }
    if (!frozen)
        return frozen.error();
    return **frozen;
}

void reap_copy(pid_t copy) {
    wait_for_copy(copy);
}

} // namespace rfork::api
