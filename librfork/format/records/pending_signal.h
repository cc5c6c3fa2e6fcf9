// A signal that waits, blocked, in the queue of the process or of one of its threads. The records
// of a queue are in its order.
#pragma once

#include "format/record.h"

namespace rfork::kinds {

struct PendingSignalRecord {
    image::RecordHeader header;
    std::int32_t tid; // 0: for the process; else for the thread that had this tid
    std::uint32_t pad;
    std::uint8_t info[128]; // siginfo_t
};
static_assert(sizeof(PendingSignalRecord) == 144);

// What of a siginfo_t is the same for all kinds of signal, and what a POSIX timer's has.
struct SignalInfo {
    std::int32_t number;
    std::int32_t error;
    std::int32_t code;
    std::int32_t pad;
    std::int32_t timer; // the kernel's number for it
    std::int32_t overrun;
    std::uint64_t value;
};

inline constexpr std::int32_t code_user = 0, code_timer = -2; // SI_USER, SI_TIMER
inline constexpr std::int32_t first_realtime = 32;

} // namespace rfork::kinds
