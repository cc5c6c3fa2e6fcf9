// The address plan
//
// While the stub works it needs a place where neither the frozen process nor a fresh exec has
// anything. It is chosen here, once, and is the address the executable is linked for:
//
//   0 ........ program ..... window ................ heap, libraries, [stack] of either
//                            |
//                            stub | metadata | parked vDSO | stacks, one a thread | frames
//                            base   metadata   scratch       stacks           frames     end
//
// Behind the last step the program's own memory is mapped around the window; whoever resumes at the
// frozen rip unmaps it (arch/x86_64/entry.S), so that nothing of ours remains.
//
// The file
//
// Page data come last, in address order. A private file mapping lies there as a whole, so that the
// stub can map it; anonymous memory only in runs of pages that hold something. A few zero pages
// between two runs are cheaper stored than described.
#include "image/layout.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace rfork::image {
namespace {

using capture::Range;
using capture::Snapshot;

constexpr std::uint64_t stub_offset = page_size; // behind the ELF header
constexpr std::uint64_t stack_size = 128 * 1024;
constexpr std::uint64_t guard = 1024 * 1024; // between the window and anything else
constexpr std::uint64_t longest_zero_gap = 3 * page_size;

std::uint64_t page_up(std::uint64_t value) {
    return (value + page_size - 1) / page_size * page_size;
}

// By words, not by memcmp(3): the program's memory is none of the business of a wrapper around libc
// that the program may bring along (AddressSanitizer stops at what it has poisoned).
bool is_zero(const std::uint8_t* page) {
    const auto* words = reinterpret_cast<const std::uint64_t*>(page);
    constexpr std::uint64_t count = page_size / sizeof *words, at_once = 8;
    for (std::uint64_t i = 0; i < count; i += at_once) {
        std::uint64_t any = 0;
        for (std::uint64_t j = 0; j < at_once; ++j)
            any |= words[i + j];
        if (any)
            return false;
    }
    return true;
}

// The parts of `pages` that are not zero, with short gaps closed.
Result<std::vector<Range>> runs_of(capture::PageSource& source, const std::vector<Range>& pages) {
    std::vector<Range> runs;
    for (const Range& range : pages) {
        for (std::uint64_t at = range.start; at < range.end; at += extent_limit) {
            const Range piece{at, std::min(at + extent_limit, range.end)};
            const Result<std::span<const std::uint8_t>> bytes = source.bytes(piece);
            if (!bytes)
                return bytes.error();
            for (std::uint64_t page = piece.start; page < piece.end; page += page_size) {
                if (is_zero(bytes->data() + (page - piece.start)))
                    continue;
                if (!runs.empty() && page - runs.back().end <= longest_zero_gap)
                    runs.back().end = page + page_size;
                else
                    runs.push_back({page, page + page_size});
            }
        }
    }
    return runs;
}

void add_extents(std::vector<Extent>& extents, Range run, std::uint64_t file_offset) {
    for (std::uint64_t at = run.start; at < run.end; at += extent_limit) {
        const std::uint64_t size = std::min(extent_limit, run.end - at);
        extents.push_back({at, size, file_offset + (at - run.start), 0});
    }
}

// File offsets are relative to the first page until the size of the metadata is known.
Result<void> lay_out_pages(const Snapshot& snapshot, Layout& layout) {
    std::uint64_t offset = 0;
    for (const Mapping& frozen : snapshot.processes.front().mappings) {
        Mapping m = frozen;
        std::vector<Range> pages;
        if (Result<void> r = snapshot.processes.front().pages->find_pages(m, pages); !r)
            return r;
        const bool whole = m.kind == MappingKind::file_content || m.kind == MappingKind::vdso;
        if (!whole) {
            Result<std::vector<Range>> runs = runs_of(*snapshot.processes.front().pages, pages);
            if (!runs)
                return runs.error();
            pages = std::move(*runs);
        }
        if (whole)
            m.file_offset = offset;
        for (const Range& run : pages) {
            add_extents(layout.extents, run, offset);
            offset += run.size();
        }
        layout.mappings.push_back(m);
    }
    layout.pages_size = offset;
    return {};
}

void shift_pages(Layout& layout, std::uint64_t by) {
    for (Mapping& m : layout.mappings)
        if (m.kind == MappingKind::file_content || m.kind == MappingKind::vdso)
            m.file_offset += by;
    for (Extent& e : layout.extents)
        e.file_offset += by;
}

// First fit in a part of the address space where a fresh exec has nothing, else anywhere between
// mappings but not at the ends.
Result<std::uint64_t> find_window(const std::vector<Mapping>& mappings, std::uint64_t size) {
    struct {
        std::uint64_t start, end;
    } const zones[] = {{arch::window_search_start, arch::window_search_end},
                       {0x10000000, 0x2a0000000000}};
    for (const auto& zone : zones) {
        std::uint64_t at = zone.start;
        for (const Mapping& m : mappings) {
            if (m.end + guard <= at)
                continue;
            if (m.start >= at + size + guard)
                break;
            at = page_up(m.end + guard);
        }
        if (at + size <= zone.end)
            return at;
    }
    return Error{ENOMEM, "the process leaves no room in its address space for the resume code"};
}

void choose_private_descriptors(const std::vector<int>& used, Header& header) {
    int next = 3;
    for (std::int32_t& number : header.descriptors) {
        while (std::binary_search(used.begin(), used.end(), next))
            ++next;
        number = next++;
    }
}

// What the threads but the first need of the window.
struct Rooms {
    std::uint64_t stacks = 0;
    std::uint64_t frames = 0;
};

Rooms rooms_for_threads(const Snapshot& snapshot) {
    Rooms rooms;
    const bool led = std::any_of(
        snapshot.processes.front().threads.begin(), snapshot.processes.front().threads.end(),
        [](const capture::Thread& t) { return t.record.flags & kinds::thread_leads; });
    if (snapshot.processes.front().threads.size() == 1 && led)
        return rooms;
    rooms.frames = frames_header_size;
    for (const capture::Thread& thread : snapshot.processes.front().threads) {
        std::uint64_t in_use = 0;
        std::memcpy(&in_use, thread.xstate.data() + arch::xstate_bv_offset, sizeof in_use);
        rooms.stacks += thread_stack_size;
        rooms.frames += in_use & arch::xstate_amx ? large_frame_size : frame_size;
    }
    rooms.frames = page_up(rooms.frames);
    return rooms;
}

// Which registers are told about the window is the landing's calling convention.
void encode_threads(const Snapshot& snapshot, const Window& window, capture::RecordList& records) {
    for (std::size_t i = 0; i < snapshot.processes.front().threads.size(); ++i) {
        const capture::Thread& thread = snapshot.processes.front().threads[i];
        kinds::ThreadRecord record = thread.record;
        record.departure = snapshot.processes.front().departure;
        if (i == 0 && snapshot.processes.front().unmaps_window) {
            record.registers.rdi = window.base;
            record.registers.rsi = window.frames - window.base;
            record.registers.rdx = window.frames == window.end ? 0 : window.frames;
            record.registers.rcx = window.end - window.frames;
        }
        records.add(Kind::thread, record, thread.xstate.data(), thread.xstate.size());
    }
}

template <class T>
Table place(std::uint64_t& at, const std::vector<T>& entries) {
    const Table table{at, entries.size() * sizeof(T)};
    at = (at + table.size + 7) / 8 * 8;
    return table;
}

} // namespace

Result<Layout> lay_out(const Snapshot& snapshot, std::uint64_t stub_size) {
    Layout layout;
    if (Result<void> r = lay_out_pages(snapshot, layout); !r)
        return r.error();

    Header& h = layout.header;
    std::memcpy(h.magic, magic, sizeof magic);
    h.version = format_version;
    h.header_size = sizeof h;
    h.machine = arch::elf_machine;
    h.flags = (snapshot.travels ? std::uint32_t(flag_travels) : 0u) |
              (snapshot.trusts_files ? std::uint32_t(flag_trusts_files) : 0u);
    h.id = snapshot.id;
    h.secret = snapshot.ticket.secret;
    h.created = snapshot.created;
    choose_private_descriptors(snapshot.processes.front().descriptors, h);

    // The records' size does not depend on what is in them, so the window can be planned first.
    auto tables = [&](const Window& window) {
        capture::RecordList records = snapshot.processes.front().records;
        encode_threads(snapshot, window, records);
        layout.records = records.bytes();
        std::uint64_t at = sizeof h;
        h.records = place(at, layout.records);
        h.mappings = place(at, layout.mappings);
        h.extents = place(at, layout.extents);
        h.strings = place(at, snapshot.strings.bytes());
        return at;
    };
    h.metadata_offset = stub_offset + stub_size;
    h.metadata_size = tables({});
    const std::uint64_t in_memory = stub_size + page_up(h.metadata_size);
    const Rooms rooms = rooms_for_threads(snapshot);
    const std::uint64_t stacks = in_memory + parking_size;
    const std::uint64_t frames = stacks + rooms.stacks + stack_size;
    const std::uint64_t window_size = frames + rooms.frames;
    const Result<std::uint64_t> base = find_window(layout.mappings, window_size);
    if (!base)
        return base.error();
    h.window = {*base,          *base + stub_size, *base + in_memory,
                *base + stacks, *base + frames,    *base + window_size};
    tables(h.window);

    h.core_offset = page_up(h.metadata_offset + h.metadata_size);
    layout.core = make_core_view(layout.mappings, layout.extents, snapshot);
    h.core_size = core_view_size(layout.core);
    h.pages_offset = page_up(h.core_offset + h.core_size);
    place_core_view(layout.core, h.core_offset, h.pages_offset);
    h.core_header_offset = layout.core.offset.header;
    h.file_size = h.pages_offset + layout.pages_size;
    shift_pages(layout, h.pages_offset);
    return layout;
}

} // namespace rfork::image
