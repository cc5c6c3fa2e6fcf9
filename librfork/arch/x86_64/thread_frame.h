// From a thread as it was frozen to the frame that rt_sigreturn(2) wants, on the CPU that is here.
#pragma once

#include "arch/x86_64/signal_frame.h"

namespace rfork::arch {

// The state of a frozen thread that goes into a frame. The XSAVE area is in the layout of the CPU
// that froze it.
struct FrameContent {
    const Registers& registers;
    const std::uint8_t* xstate;
    const XstateComponent (&layout)[xstate_components];
    AlternateStack altstack;
    std::uint64_t signal_mask;
};

struct ThreadFrame {
    alignas(64) std::uint8_t xstate[xstate_limit + 64];
    SignalFrame signal;
};

// Why a thread cannot go on here: an errno, or 0, and a sentence.
struct FrameError {
    int error = 0;
    const char* why = nullptr;
};

// `room` bytes at `xstate`, which is aligned to 64, for the state of components of `xcr0`; without
// XSAVE (`xsave`) a plain FXSAVE area.
FrameError build_frame(const FrameContent&, bool xsave, std::uint64_t xcr0, std::uint8_t* xstate,
                       std::uint64_t room, SignalFrame&);

// The segment bases, which are not in a frame; what arch_prctl(2) answers.
long set_segment_bases(const Registers&);

} // namespace rfork::arch
