// One thread: its registers and what the kernel keeps for it. The XSAVE area follows the record, in
// the layout of the CPU that froze it.
#pragma once

#include "arch/arch.h"
#include "image/format.h"

namespace rfork::kinds {

struct ThreadRecord {
    image::RecordHeader header;
    std::int32_t tid; // as it was
    std::uint32_t altstack_flags;
    arch::Registers registers;
    std::uint64_t signal_mask;
    std::uint64_t altstack_sp;
    std::uint64_t altstack_size;
    std::uint64_t tid_address; // set_tid_address(2): libc keeps the tid there
    std::uint64_t robust_list;
    std::uint64_t robust_list_size;
    std::uint64_t rseq;
    std::uint32_t rseq_size;
    std::uint32_t rseq_signature;
    std::uint64_t xcr0;
    std::uint32_t xstate_size; // bytes that follow; a multiple of 8
    std::uint32_t pad;
    arch::XstateComponent layout[arch::xstate_components];

    const std::uint8_t* xstate() const { return reinterpret_cast<const std::uint8_t*>(this + 1); }
};
static_assert(sizeof(ThreadRecord) == 16 + 27 * 8 + 10 * 8 + 32 * 8);

} // namespace rfork::kinds
