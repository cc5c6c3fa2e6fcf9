#include "traced/return_frame.h"

#include "arch/x86_64/thread_frame.h"
#include "arch/x86_64/tracee.h"

#include <cstring>

namespace rfork::capture {
namespace {

constexpr std::size_t rounded(std::size_t size) {
    return (size + 63) / 64 * 64;
}

std::size_t xstate_room(const Position& position) {
    return rounded(position.xstate.size() + sizeof arch::fp_xstate_magic2);
}

} // namespace

std::size_t ReturnFrame::size() const {
    return xstate_room(position_) + rounded(sizeof(arch::SignalFrame));
}

std::uint64_t ReturnFrame::build(std::uint64_t at, std::uint8_t* to) const {
    arch::Registers registers = position_.copy;
    if (arch::interruption(registers) != arch::Interrupted::no)
        arch::make_call_again(registers);
    const bool xsave = arch::has_xsave();
    const std::uint64_t xcr0 = arch::enabled_xstate(xsave);
    arch::XstateComponent layout[arch::xstate_components];
    arch::xstate_layout(xcr0, layout);
    // An alternate stack that the kernel does not take, so that the thread keeps its own.
    constexpr std::int32_t no_flags = 0x40;
    const arch::FrameContent content{
        registers, position_.xstate.data(), layout, {0, no_flags, 0, 0}, position_.mask};

    const std::size_t room = xstate_room(position_);
    std::vector<std::uint8_t> xstate(room + 64);
    auto* aligned = xstate.data() + (64 - reinterpret_cast<std::uintptr_t>(xstate.data()) % 64);
    arch::SignalFrame frame;
    if (arch::build_frame(content, xsave, xcr0, aligned, room, frame).error)
        return 0;
    frame.uc_mcontext.fpstate = at;
    std::memcpy(to, aligned, room);
    std::memcpy(to + room, &frame, sizeof frame);
    return at + room;
}

} // namespace rfork::capture
