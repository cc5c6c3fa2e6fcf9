// The stub's last step on this architecture: become a frozen thread.
#pragma once

#include "arch/x86_64/signal_frame.h"
#include "kinds/thread/record.h"
#include "stub/stub.h"

namespace rfork::stub {

struct Frame {
    alignas(64) std::uint8_t xstate[arch::xstate_limit + 64];
    arch::SignalFrame signal;
};

void build_frame(const Stub&, const kinds::ThreadRecord&, Frame&);
void set_segment_bases(const Stub&, const kinds::ThreadRecord&);

// Leaves for the program; the frame is read by the kernel, and never used again.
extern "C" [[noreturn]] void stub_leave(arch::SignalFrame*);

} // namespace rfork::stub
