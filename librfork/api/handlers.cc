// Registrations are never taken back, so that the list can be walked while it grows: a thread that
// registers meanwhile adds at its end, which the walk may or may not reach.
#include "api/handlers.h"

#include "api/public.h"
#include "api/sections.h"

#include <cerrno>
#include <cstdlib>

namespace rfork::api {

std::uint32_t rfork_handler_count = 0;

namespace {

using Handler = void (*)();

struct Registration {
    Handler prepare, parent, child;
    Registration* earlier;
    Registration* later;
};

Registration* first = nullptr;
Registration* last = nullptr;

void call(Handler handler) {
    if (handler)
        handler();
}

// As with fork(2): before, the latest first; afterwards in the order of registration. What is
// registered by the handlers themselves has its first turn at the next call.
struct Registered {
    Registration* from = __atomic_load_n(&first, __ATOMIC_ACQUIRE);
    Registration* to = __atomic_load_n(&last, __ATOMIC_ACQUIRE);

    void prepare() const {
        for (Registration* r = to; r; r = r->earlier)
            call(r->prepare);
    }
    void finish(int outcome) const {
        for (Registration* r = from; r; r = r == to ? nullptr : r->later)
            call(outcome == RFORK_CHILD ? r->child : r->parent);
    }
};

} // namespace

extern "C" int rfork_call_with_handlers(const char* argument, const rfork_options* options,
                                        Operation operation) {
    const Registered registered;
    const int before = errno;
    registered.prepare();
    errno = before;
    const int outcome = rfork_enter(argument, options, operation);
    const int error = errno;
    registered.finish(outcome);
    errno = error;
    return outcome;
}

extern "C" RFORK_API int rfork_atfork(void (*prepare)(), void (*parent)(), void (*child)()) {
    auto* added = static_cast<Registration*>(std::malloc(sizeof(Registration)));
    if (!added)
        return ENOMEM;
    const UnfrozenList list;
    *added = {prepare, parent, child, last, nullptr};
    if (last)
        __atomic_store_n(&last->later, added, __ATOMIC_RELEASE);
    else
        __atomic_store_n(&first, added, __ATOMIC_RELEASE);
    __atomic_store_n(&last, added, __ATOMIC_RELEASE);
    __atomic_add_fetch(&rfork_handler_count, 1, __ATOMIC_RELEASE);
    return 0;
}

} // namespace rfork::api
