// What stays in a copy of several threads when it has begun to run.
//
// The thread that called unmaps the stub (entry.S). But the others enter the program by
// rt_sigreturn(2), which reads a frame, and nobody is told when it has done so. Their frames stay
// mapped, some 3 KiB a thread, until the next call, which sees where every thread is.
#pragma once

#include <cstdint>

namespace rfork::api {

struct KeptFrames {
    std::uint64_t start = 0;
    std::uint64_t size = 0;
};

extern "C" {
extern KeptFrames rfork_kept_frames; // written by rfork_landing
}

// Every other thread must be seen to be outside of rfork_depart.
void release_kept_frames();

} // namespace rfork::api
