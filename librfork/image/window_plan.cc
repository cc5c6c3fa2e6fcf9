// The address plan
//
// While the stub works it needs a place where neither the frozen process nor a fresh exec has
// anything. It is chosen here, once, and is the address the executable is linked for:
//
//   0 ........ program ..... window ................ heap, libraries, [stack] of either
//                            |
//                     stub | metadata | parked vDSO | hashes | stacks, one a thread | frames
//                     base   metadata   scratch       hashes   stacks           frames     end
//
// Behind the last step the program's own memory is mapped around the window; whoever resumes at the
// frozen rip unmaps it (arch/x86_64/entry.S), so that nothing of ours remains.
#include "image/window_plan.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace rfork::image {
namespace {

using capture::Range;
using capture::Snapshot;

constexpr std::uint64_t stack_size = 128 * 1024;
constexpr std::uint64_t guard = 1024 * 1024; // between the window and anything else

// What any of the processes has, by address.
std::vector<Range> taken_by(const Snapshot& snapshot) {
    std::vector<Range> taken;
    for (const capture::ProcessSnapshot& process : snapshot.processes)
        for (const Mapping& m : process.mappings)
            taken.push_back({m.start, m.end});
    std::sort(taken.begin(), taken.end(),
              [](const Range& a, const Range& b) { return a.start < b.start; });
    return taken;
}

// First fit in a part of the address space where a fresh exec has nothing, else anywhere between
// what the processes have, but not at the ends: one place for all of them.
Result<std::uint64_t> find_window(const std::vector<Range>& taken, std::uint64_t size) {
    struct {
        std::uint64_t start, end;
    } const zones[] = {{arch::window_search_start, arch::window_search_end},
                       {0x10000000, 0x2a0000000000}};
    for (const auto& zone : zones) {
        std::uint64_t at = zone.start;
        for (const Range& range : taken) {
            if (range.end + guard <= at)
                continue;
            if (range.start >= at + size + guard)
                break;
            at = page_up(range.end + guard);
        }
        if (at + size <= zone.end)
            return at;
    }
    return Error{ENOMEM, "the process leaves no room in its address space for the resume code"};
}
// What the threads but the first need of the window, in the process that needs most.
struct Rooms {
    std::uint64_t stacks = 0;
    std::uint64_t frames = 0;
};

Rooms rooms_for_threads(const capture::ProcessSnapshot& process) {
    Rooms rooms;
    const bool led =
        std::any_of(process.threads.begin(), process.threads.end(),
                    [](const capture::Thread& t) { return t.record.flags & kinds::thread_leads; });
    if (process.threads.size() == 1 && led)
        return rooms;
    rooms.frames = frames_header_size;
    for (const capture::Thread& thread : process.threads) {
        std::uint64_t in_use = 0;
        std::memcpy(&in_use, thread.xstate.data() + arch::xstate_bv_offset, sizeof in_use);
        rooms.stacks += thread_stack_size;
        rooms.frames += in_use & arch::xstate_amx ? large_frame_size : frame_size;
    }
    rooms.frames = page_up(rooms.frames);
    return rooms;
}

Rooms rooms_for_threads(const Snapshot& snapshot) {
    Rooms most;
    for (const capture::ProcessSnapshot& process : snapshot.processes) {
        const Rooms rooms = rooms_for_threads(process);
        most = {std::max(most.stacks, rooms.stacks), std::max(most.frames, rooms.frames)};
    }
    return most;
}
} // namespace

void choose_private_descriptors(const Snapshot& snapshot, Header& header) {
    auto is_used = [&](int number) {
        return std::any_of(
            snapshot.processes.begin(), snapshot.processes.end(),
            [number](const capture::ProcessSnapshot& process) {
                return std::binary_search(process.numbers.begin(), process.numbers.end(), number) ||
                       std::any_of(process.descriptors.begin(), process.descriptors.end(),
                                   [number](const Descriptor& d) { return d.fd == number; });
            });
    };
    int next = 3;
    for (std::int32_t& number : header.descriptors) {
        while (is_used(next))
            ++next;
        number = next++;
    }
}
Result<Window> plan_window(const Snapshot& snapshot, std::uint64_t stub_size,
                           std::uint64_t metadata_size, std::uint64_t behind_pages) {
    const std::uint64_t scratch = stub_size + page_up(metadata_size);
    const std::uint64_t hashes = scratch + parking_size;
    const std::uint64_t stacks = hashes + page_up(behind_pages);
    const Rooms rooms = rooms_for_threads(snapshot);
    const std::uint64_t frames = stacks + rooms.stacks + stack_size;
    const std::uint64_t size = frames + rooms.frames;
    const Result<std::uint64_t> base = find_window(taken_by(snapshot), size);
    if (!base)
        return base.error();
    return Window{*base,          *base + stub_size, *base + scratch, *base + hashes,
                  *base + stacks, *base + frames,    *base + size};
}
} // namespace rfork::image
