// The working memory of one rfork(): a stack, the caller's registers, and an arena.
//
// The caller's own memory must be as if nothing had happened, and the image must not contain what
// librfork needed to write it. So the assembly entry (arch/x86_64/entry.S) maps a session before it
// does anything else, saves the registers there, and runs all C++ on the session's stack; whatever
// is allocated on the way comes from its arena, never from malloc, whose locks another thread may
// hold in a copy made by raw clone. One munmap gives everything back.
//
//   0        4096             64 KiB                 512 KiB                 1 MiB        size
//   | Session | XSAVE area ... | (guard) helper's stack <-| (guard) stack <-   | arena ->   |
#pragma once

#include "arch/arch.h"

#include <cstddef>
#include <cstdint>

struct rfork_options;

namespace rfork::api {

struct Session {
    arch::Registers registers; // at the entry, filled in by entry.S
    std::uint64_t stack_top;   // for entry.S
    std::uint64_t uses_xsave;  // for entry.S: XSAVE, or FXSAVE
    std::uint64_t size;        // of the whole mapping
    std::uint64_t arena_used;  // offset of the first free byte
    std::int64_t caller_errno; // as it was at the entry
    std::int32_t cancel_state; // likewise: pthread_setcancelstate(3)
    std::int32_t without_tsc;  // before the call; readable_clock.h
    Session* outer;            // the session that was active before, for a call from a handler

    std::uint64_t start() const { return reinterpret_cast<std::uint64_t>(this); }
    const std::uint8_t* xstate() const {
        return reinterpret_cast<const std::uint8_t*>(this) + 4096;
    }
};

inline constexpr std::uint64_t session_helper_stack_bottom = 64 * 1024;
inline constexpr std::uint64_t session_stack_bottom = 512 * 1024; // and the helper's top
inline constexpr std::uint64_t session_arena_start = 1024 * 1024;

// Of this thread; false again in a copy.
extern thread_local bool call_in_progress;

// What the session is for; entry.S passes it through.
enum class Operation : int { fork = 0, checkpoint = 1, move = 2 };

extern "C" {
// Called by entry.S with the caller's vector registers still live, so compiled without any.
// nullptr when there is not even the address space for it.
Session* rfork_session_create();
void rfork_session_destroy(Session*);

// The C++ side of rfork(), rfork_checkpoint() and their kin; result and errno are the caller's.
int rfork_session_run(Session*, const char* argument, const rfork_options*, Operation);
int rfork_session_failed();

// Where a copy comes to life: entry.S. Unmaps the stub, rdi..rdi+rsi, and returns CHILD from the
// call that froze it. If there are other threads, waits first until they have left the stub: rdx
// and rcx then say where their frames are and how long, and the first word there counts those that
// have not.
void rfork_landing();

// Through which its other threads leave the stub: lowers the counter that rfork_landing waits for,
// and returns to the frame. A thread without a frame had ended, and does it again.
void rfork_depart();
extern const char rfork_depart_end[];
}

} // namespace rfork::api
