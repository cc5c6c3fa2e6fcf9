// What only a thread itself can ask the kernel.
//
// A tracer makes each stopped thread call rfork_ask_thread() on a stack of its own; the thread
// writes the answers down, rings, and waits for its registers. The code uses general registers
// only, so the thread's vector state is never touched.
#pragma once

#include "ask/refused.h"
#include "format/records/thread.h"

#include <cstddef>
#include <cstdint>

namespace rfork::ask {

// What libc keeps equal in all threads, but each of them has for itself.
struct Rights {
    std::uint32_t user[3], group[3]; // real, effective, saved
    std::uint32_t capabilities[6];
    std::uint64_t no_new_privileges;
    std::uint64_t keep_capabilities;
    friend bool operator==(const Rights&, const Rights&) = default;
};

struct ThreadQuery {
    std::uint32_t answered; // a futex
    std::uint32_t never;    // one that nobody rings
    std::uint64_t tid_address;
    std::uint64_t timer_slack;
    std::uint64_t pending;        // for the thread or the process
    std::uint32_t machine_checks; // PR_MCE_KILL_GET
    std::uint32_t tsc;            // PR_GET_TSC
    Rights rights;
    kinds::Scheduling scheduling;
    struct {
        std::uint64_t sp;
        std::int32_t flags;
        std::uint32_t pad;
        std::uint64_t size;
    } altstack;
    char name[16];
    Refused refused;
};

inline constexpr std::size_t query_stack_size = 1024;

void take_answers(const ThreadQuery& query, kinds::ThreadRecord& record);

void ask_rights(Rights& rights);

// The questions themselves, for a thread that asks them for its own.
void ask_kernel_of_thread(ThreadQuery&);

extern "C" [[noreturn]] void rfork_ask_thread(ThreadQuery*);

} // namespace rfork::ask
