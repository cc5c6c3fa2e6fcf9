// One thread: its registers and what the kernel keeps for it. The XSAVE area follows the record, in
// the layout of the CPU that froze it.
#pragma once

#include "arch/arch.h"
#include "format/record.h"

namespace rfork::kinds {

// What sched_getattr(2) tells (SCHED_ATTR_SIZE_VER0).
struct Scheduling {
    std::uint32_t size, policy;
    std::uint64_t flags;
    std::int32_t nice;
    std::uint32_t priority;
    std::uint64_t runtime, deadline, period;
};
static_assert(sizeof(Scheduling) == 48);

enum ThreadFlags : std::uint32_t {
    thread_leads = 1,       // its tid is the pid
    thread_without_tsc = 2, // reading the time-stamp counter is SIGSEGV (PR_SET_TSC)
};

struct ThreadRecord {
    image::RecordHeader header;
    std::int32_t tid; // as it was
    std::uint32_t altstack_flags;
    std::uint32_t flags;          // ThreadFlags
    std::uint32_t machine_checks; // what happens on memory failures: PR_MCE_KILL
    char name[16];                // PR_SET_NAME
    std::uint64_t timer_slack;
    Scheduling scheduling;
    // The instructions in the program that every thread but the first leaves the stub through,
    // given its signal frame and the counter it has to lower; see docs/architecture.md. 0: the
    // program has none, and all leave through what the stub leaves behind.
    std::uint64_t departure;
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
    std::uint32_t pad2;
    arch::XstateComponent layout[arch::xstate_components];

    const std::uint8_t* xstate() const { return reinterpret_cast<const std::uint8_t*>(this + 1); }
};
static_assert(sizeof(ThreadRecord) == 24 + 16 + 8 + 48 + 8 + 27 * 8 + 10 * 8 + 32 * 8);

} // namespace rfork::kinds
