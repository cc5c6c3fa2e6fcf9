/* How long the phases of this thread's last successful rfork() took. For rfork-bench; not part of
 * the public interface. */
#ifndef RFORK_API_TIMING_H
#define RFORK_API_TIMING_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rfork_phase_times {
    uint64_t fork_ns;         /* the clone of the caller */
    uint64_t stall_ns;        /* the caller's threads stood still, but for the calling one */
    uint64_t write_ns;        /* the copy wrote the image */
    uint64_t request_ns;      /* from the first datagram to the answer */
    uint64_t request_sent_ns; /* CLOCK_REALTIME when the first datagram left */
};

__attribute__((visibility("default"))) const struct rfork_phase_times* rfork_phase_times_last(void);

#ifdef __cplusplus
}
#endif

#endif
