// The stub's last step on this architecture: become a frozen thread.
#pragma once

#include "arch/x86_64/signal_frame.h"
#include "kinds/thread/record.h"
#include "stub/stub.h"

#include <linux/sched.h>

namespace rfork::stub {

struct Frame {
    alignas(64) std::uint8_t xstate[arch::xstate_limit + 64];
    arch::SignalFrame signal;
};

// `xstate` is aligned to 64 bytes.
void build_frame(const Stub&, const kinds::ThreadRecord&, std::uint8_t* xstate,
                 std::uint64_t xstate_room, arch::SignalFrame&);
void set_segment_bases(const Stub&, const kinds::ThreadRecord&);

// Leaves for the program; the frame is read by the kernel, and never used again.
extern "C" [[noreturn]] void stub_leave(arch::SignalFrame*);
// The same by way of the program's departure code.
extern "C" [[noreturn]] void stub_depart(std::uint64_t departure, arch::SignalFrame*,
                                         std::uint32_t* counter);

// clone3(2); the new thread begins with stub_thread().
extern "C" long stub_clone(const clone_args*, std::size_t size, Stub*, const kinds::ThreadRecord*,
                           unsigned index);
extern "C" [[noreturn, gnu::visibility("hidden"), gnu::used]] void
stub_thread(Stub&, const kinds::ThreadRecord&, unsigned index);

} // namespace rfork::stub
