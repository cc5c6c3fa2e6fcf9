#include "api/kept_frames.h"

#include "arch/arch.h"

#include <sys/syscall.h>

namespace rfork::api {

KeptFrames rfork_kept_frames;

void release_kept_frames() {
    if (rfork_kept_frames.size)
        arch::syscall(SYS_munmap, rfork_kept_frames.start, rfork_kept_frames.size);
    rfork_kept_frames = {};
}

} // namespace rfork::api
