// Restartable sequences (rseq(2)): what a tracer learns of them, and what they mean for a copy.
//
// A thread that is interrupted within a sequence must go on at the sequence's abort handler. The
// kernel sees to that on its way back to user space; but a copy never was in the kernel, and its
// own registration begins anew.
#pragma once

#include "process/peek.h"

#include <cstdint>

namespace rfork::capture {

struct RseqConfiguration { // struct ptrace_rseq_configuration, Linux 5.13
    std::uint64_t address;
    std::uint32_t size;
    std::uint32_t signature;
    std::uint32_t flags;
    std::uint32_t pad;
};

struct RseqSection { // struct rseq_cs
    std::uint32_t version, flags;
    std::uint64_t start, length, abort;
};

// Where the thread `tid` goes on that was interrupted at `rip`; `area` is its struct rseq, or 0.
inline std::uint64_t after_abort(pid_t tid, std::uint64_t area, std::uint64_t rip) {
    constexpr std::uint64_t pointer_offset = 8; // struct rseq, rseq_cs
    std::uint64_t pointer = 0;
    RseqSection section;
    if (!area || !peek(tid, area + pointer_offset, pointer) || !pointer ||
        !peek(tid, pointer, section) || rip - section.start >= section.length)
        return rip;
    return section.abort;
}

} // namespace rfork::capture
