// System calls in the name of a stopped process, with nothing of ours in it yet.
//
// The instructions for one (arch/x86_64/foothold.S) are put where there is room for them and nobody
// looks: in the zeroes behind the end of the vDSO, or of the program's or a library's code in its
// last page. The way back (return_frame.h) is written below the thread's stack, where nothing is in
// use; or, if it is not clear that it runs on one, into a part of the main thread's stack that has
// never been touched. Both are as they were when this is left.
//
// The tracer stops the thread by PTRACE_INTERRUPT alone. At the stops by which ptrace(2) shows
// system calls or single steps, the death of the tracer would be the thread's by SIGTRAP.
#pragma once

#include "base/result.h"
#include "process/memory_map.h"
#include "snapshot/snapshot.h"
#include "traced/return_frame.h"

#include <cstdint>
#include <vector>

namespace rfork::capture {

class Foothold {
  public:
    explicit Foothold(pid_t pid) : pid_(pid) {}
    ~Foothold() { leave(); }
    Foothold(const Foothold&) = delete;
    Foothold& operator=(const Foothold&) = delete;

    // `map`: of the process, as it stands. Fails with EAGAIN if there is no place that is safe
    // with this thread.
    Result<void> enter(const Position& thread, const std::vector<MemoryMapEntry>& map);
    // What the call answered. It must not be one that waits.
    Result<long> call(long number, std::uint64_t a = 0, std::uint64_t b = 0, std::uint64_t c = 0,
                      std::uint64_t d = 0, std::uint64_t e = 0, std::uint64_t f = 0);
    // The thread is where it was, and so is all memory. Nothing if it was not entered.
    void leave();

    // The code of a freezer that was killed, if it is at the end of `e`; otherwise nothing.
    static Range left_in(pid_t pid, const MemoryMapEntry& e);

    // In a copy of the process, which has all this, too.
    void erase_in(pid_t copy) const;

  private:
    struct Patch {
        std::uint64_t address = 0;
        std::vector<std::uint8_t> before;
    };
    bool find_code(const std::vector<MemoryMapEntry>& map);
    std::uint64_t find_scratch(std::size_t size, const std::vector<MemoryMapEntry>& map) const;
    bool is_untouched(std::uint64_t start, std::uint64_t end) const;
    Result<void> write(Patch& patch, const void* bytes, std::size_t size);
    void wait_until_asleep() const;
    Result<bool> run_for_a_moment();
    bool stop_again();

    pid_t pid_;
    Position thread_;
    bool entered_ = false;
    Patch code_, scratch_;
    std::uint64_t frame_ = 0, patience_ = 0; // addresses
};

// Writes into another process, as its tracer; also where it may not write itself.
bool poke_bytes(pid_t pid, std::uint64_t address, const void* from, std::size_t size);

} // namespace rfork::capture
