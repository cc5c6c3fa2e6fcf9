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
#include <iterator>
#include <sys/mman.h>

namespace rfork::image {
namespace {

using capture::Range;
using capture::Snapshot;

constexpr std::uint64_t stack_size = 128 * 1024;
constexpr std::uint64_t guard = 1024 * 1024; // between the window and anything else

void sort_by_address(std::vector<Range>& ranges) {
    std::sort(ranges.begin(), ranges.end(),
              [](const Range& a, const Range& b) { return a.start < b.start; });
}

// What any of the processes has, by address.
std::vector<Range> taken_by(const Snapshot& snapshot) {
    std::vector<Range> taken;
    for (const capture::ProcessSnapshot& process : snapshot.processes)
        for (const Mapping& m : process.mappings)
            taken.push_back({m.start, m.end});
    sort_by_address(taken);
    return taken;
}

// Places between what is taken, one behind the other.
class Gaps {
  public:
    Gaps(const std::vector<Range>& taken, Range zone)
        : next_(taken.begin()), last_(taken.end()), at_(zone.start), end_(zone.end) {}
    // 0 if there is none.
    std::uint64_t find(std::uint64_t size) {
        for (; next_ != last_ && at_ < end_ && size < end_ - at_; ++next_) {
            if (next_->end + guard <= at_)
                continue;
            if (next_->start >= at_ + size + guard)
                break;
            at_ = page_up(next_->end + guard);
        }
        if (at_ >= end_ || size > end_ - at_)
            return 0;
        at_ += size;
        return at_ - size;
    }

  private:
    std::vector<Range>::const_iterator next_, last_;
    std::uint64_t at_, end_;
};

// First a part of the address space where a fresh exec has nothing, else anywhere between what the
// processes have, but not at the ends: one place for all of them.
constexpr Range zones[] = {{arch::window_search_start, arch::window_search_end},
                           {0x10000000, 0x2a0000000000}};

Result<std::uint64_t> find_window(const std::vector<Range>& taken, std::uint64_t size) {
    for (const Range& zone : zones)
        if (const std::uint64_t at = Gaps(taken, zone).find(size))
            return at;
    return Error{ENOMEM, "the process leaves no room in its address space for the resume code"};
}

bool place_in(Range zone, const std::vector<Range>& taken, std::vector<Mapping>& common) {
    Gaps gaps(taken, zone);
    for (Mapping& m : common) {
        const std::uint64_t size = m.end - m.start;
        m.start = gaps.find(size);
        m.end = m.start + size;
        if (m.start == 0)
            return false;
    }
    return true;
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
    if (process.threads.size() == 1 && led && process.unmaps_window)
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

// Numbers that no process uses, in ascending order.
class FreeNumbers {
  public:
    explicit FreeNumbers(const Snapshot& snapshot) {
        for (const capture::ProcessSnapshot& process : snapshot.processes) {
            used_.insert(used_.end(), process.numbers.begin(), process.numbers.end());
            for (const Descriptor& d : process.descriptors)
                used_.push_back(d.fd);
        }
        std::sort(used_.begin(), used_.end());
    }
    int next() {
        while (std::binary_search(used_.begin(), used_.end(), next_))
            ++next_;
        return next_++;
    }

  private:
    std::vector<int> used_;
    int next_ = 3;
};

std::vector<std::uint32_t> objects_with_descriptors(const Snapshot& snapshot) {
    std::vector<std::uint32_t> objects;
    for (const capture::ProcessSnapshot& process : snapshot.processes)
        for (const Descriptor& d : process.descriptors)
            objects.push_back(d.object);
    std::sort(objects.begin(), objects.end());
    objects.erase(std::unique(objects.begin(), objects.end()), objects.end());
    return objects;
}

// By object.
std::vector<Mapping> mappings_of_shared_memory(const Snapshot& snapshot) {
    std::vector<Mapping> all;
    for (const capture::ProcessSnapshot& process : snapshot.processes)
        std::copy_if(process.mappings.begin(), process.mappings.end(), std::back_inserter(all),
                     [](const Mapping& m) { return m.kind == MappingKind::shared_memory; });
    std::sort(all.begin(), all.end(),
              [](const Mapping& a, const Mapping& b) { return a.object < b.object; });
    return all;
}

bool is_memfd(const Snapshot& snapshot, std::uint32_t object) {
    const capture::SharedMemory* memory = snapshot.find_shared_memory(object);
    return memory && memory->is_memfd();
}

// The part of an object that is mapped by any of them.
Mapping part_of(std::span<const Mapping> mappings) {
    auto end_of = [](const Mapping& m) { return m.origin_offset + (m.end - m.start); };
    Mapping part = mappings.front();
    std::uint64_t end = 0;
    for (const Mapping& m : mappings) {
        part.origin_offset = std::min(part.origin_offset, m.origin_offset);
        end = std::max(end, end_of(m));
    }
    part.end = part.start + (end - part.origin_offset);
    part.prot = PROT_READ | PROT_WRITE;
    part.flags &= mapping_noreserve;
    return part;
}

} // namespace

std::vector<Descriptor> choose_descriptors(const Snapshot& snapshot, Header& header) {
    const bool several = snapshot.processes.size() > 1;
    FreeNumbers free(snapshot);
    for (unsigned i = 0; i < private_descriptors; ++i)
        header.descriptors[i] = several || i < fd_built_in ? free.next() : -1;
    std::vector<Descriptor> common;
    if (several)
        for (std::uint32_t object : objects_with_descriptors(snapshot))
            common.push_back({free.next(), descriptor_close_on_exec, object, 0});
    return common;
}

std::vector<Mapping> common_mappings(const Snapshot& snapshot) {
    const std::vector<Mapping> all = mappings_of_shared_memory(snapshot);
    std::vector<Mapping> common;
    for (auto first = all.begin(); first != all.end();) {
        const auto last = std::find_if(first, all.end(),
                                       [&](const Mapping& m) { return m.object != first->object; });
        if (last - first > 1 || is_memfd(snapshot, first->object))
            common.push_back(part_of({first, last}));
        first = last;
    }
    return common;
}

Result<void> place_common_mappings(const Snapshot& snapshot, const Window& window,
                                   std::vector<Mapping>& common) {
    std::vector<Range> taken = taken_by(snapshot);
    taken.push_back({window.base, window.end});
    sort_by_address(taken);
    for (const Range& zone : zones)
        if (place_in(zone, taken, common))
            return {};
    return Error{ENOMEM, "the process leaves no room in its address space in which its shared "
                         "memory could be made again: map less of it"};
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
