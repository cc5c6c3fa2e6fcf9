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
//
// The file
//
// It is written from front to back, so all that stands in front of the pages is known before the
// first of them is written: where each page goes, and how many there are. What is not known before,
// their hashes, comes behind them.
//
// Page data lie in address order, process by process, and then those of shared memory. A private
// file mapping lies there as a whole, so that the stub can map it; anonymous memory only in runs of
// pages that hold something. A few zero pages between two runs are cheaper stored than described.
#include "image/layout.h"

#include "format/kinds.h"
#include "image/front.h"

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

// So that the stub can map it from the image.
bool has_place_in_file(const Mapping& m) {
    return m.kind == MappingKind::file_content || m.kind == MappingKind::vdso;
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

// The memory of one process, or one object, on its way into the file.
struct Owned {
    SectionKind kind; // of the section of its extents
    std::uint32_t id;
    std::vector<Mapping> mappings; // with file offsets; of a process
    std::vector<Extent> extents;
};

class PageLayout {
  public:
    explicit PageLayout(std::vector<Stored>& stored) : stored_(stored) {}

    // Offsets count from the first page until the size of the metadata is known.
    Result<void> add(const capture::ProcessSnapshot& process, Owned& owned) {
        for (const Mapping& frozen : process.mappings) {
            Mapping m = frozen;
            if (m.kind == MappingKind::shared_memory) { // see add_shared()
                owned.mappings.push_back(m);
                continue;
            }
            std::vector<Range> pages;
            if (Result<void> r = process.pages->find_pages(m, pages); !r)
                return r;
            if (has_place_in_file(m))
                add_whole(*process.pages, m, pages, owned);
            else if (Result<void> r = add_runs(*process.pages, pages, 0, owned); !r)
                return r;
            owned.mappings.push_back(m);
        }
        return {};
    }
    // Each byte once, by whichever mapping shows it.
    Result<void> add_shared(const Snapshot& snapshot, Owned& owned) {
        std::uint64_t known = 0; // the object is, up to there
        for (const View& view : views_of(snapshot, owned.id)) {
            Mapping rest = view.mapping;
            const std::uint64_t end = rest.origin_offset + (rest.end - rest.start);
            if (end <= known)
                continue;
            if (rest.origin_offset < known) {
                rest.start += known - rest.origin_offset;
                rest.origin_offset = known;
            }
            known = end;
            std::vector<Range> pages;
            if (Result<void> r = view.pages->find_pages(rest, pages); !r)
                return r;
            if (Result<void> r =
                    add_runs(*view.pages, pages, rest.start - rest.origin_offset, owned);
                !r)
                return r;
        }
        return {};
    }
    std::uint64_t size() const { return at_; }

  private:
    struct View {
        Mapping mapping;
        capture::PageSource* pages;
    };
    static std::vector<View> views_of(const Snapshot& snapshot, std::uint32_t object) {
        std::vector<View> views;
        for (const capture::ProcessSnapshot& process : snapshot.processes)
            for (const Mapping& m : process.mappings)
                if (m.kind == MappingKind::shared_memory && m.object == object)
                    views.push_back({m, process.pages});
        std::sort(views.begin(), views.end(), [](const View& a, const View& b) {
            return a.mapping.origin_offset < b.mapping.origin_offset;
        });
        return views;
    }

    // What its file does not have has room, so that the mapping is as long as it was.
    void add_whole(capture::PageSource& source, Mapping& m, const std::vector<Range>& pages,
                   Owned& owned) {
        m.file_offset = at_;
        for (const Range& part : pages)
            add_extents(source, part, 0, m.file_offset + (part.start - m.start), owned);
        at_ += m.end - m.start;
    }
    // `base`: the address of what is 0 in the extents.
    Result<void> add_runs(capture::PageSource& source, const std::vector<Range>& pages,
                          std::uint64_t base, Owned& owned) {
        const Result<std::vector<Range>> runs = runs_of(source, pages);
        if (!runs)
            return runs.error();
        for (const Range& run : *runs) {
            add_extents(source, run, base, at_, owned);
            at_ += run.size();
        }
        return {};
    }
    void add_extents(capture::PageSource& source, Range run, std::uint64_t base,
                     std::uint64_t offset, Owned& owned) {
        for (std::uint64_t at = run.start; at < run.end; at += extent_limit) {
            const std::uint64_t size = std::min(extent_limit, run.end - at);
            const Extent extent{at - base, std::uint32_t(size / page_size), 0,
                                offset + (at - run.start)};
            owned.extents.push_back(extent);
            stored_.push_back({extent, &source, at});
        }
    }

    std::vector<Stored>& stored_;
    std::uint64_t at_ = 0;
};

// When it is known where the first page is.
void shift_pages(std::vector<Owned>& all, std::vector<Stored>& stored, std::uint64_t by) {
    for (Owned& owned : all) {
        for (Mapping& m : owned.mappings)
            if (has_place_in_file(m))
                m.file_offset += by;
        for (Extent& e : owned.extents)
            e.offset += by;
    }
    for (Stored& s : stored)
        s.extent.offset += by;
}

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

// Numbers that no process uses.
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

// All records of a process. Which registers are told about the window is the landing's calling
// convention.
std::vector<std::uint8_t> state_of(const capture::ProcessSnapshot& process, const Window& window) {
    capture::RecordList records = process.records;
    for (std::size_t i = 0; i < process.threads.size(); ++i) {
        const capture::Thread& thread = process.threads[i];
        kinds::ThreadRecord record = thread.record;
        record.departure = process.departure;
        if (i == 0 && process.unmaps_window) {
            record.registers.rdi = window.base;
            record.registers.rsi = window.frames - window.base;
            record.registers.rdx = window.frames == window.end ? 0 : window.frames;
            record.registers.rcx = window.end - window.frames;
        }
        records.add(Kind::thread, record, thread.xstate.data(), thread.xstate.size());
    }
    return records.bytes();
}

std::vector<Descriptor> table_of_descriptors(const capture::ProcessSnapshot& process) {
    std::vector<Descriptor> table = process.descriptors;
    std::sort(table.begin(), table.end(), [](const Descriptor& a, const Descriptor& b) {
        return a.object != b.object ? a.object < b.object : a.fd < b.fd;
    });
    return table;
}

std::vector<Process> table_of_processes(const Snapshot& snapshot) {
    std::vector<Process> table;
    for (const capture::ProcessSnapshot& process : snapshot.processes) {
        const capture::Identity& who = process.identity;
        table.push_back({std::uint32_t(table.size() + 1), who.pid, who.parent, who.process_group,
                         who.session, who.exit_signal});
    }
    return table;
}

// The metadata as they are put together: the header comes last, but its room and that of the table
// of sections come first, so the number of sections has to be known.
class Metadata {
  public:
    Metadata(std::uint64_t offset, std::size_t count)
        : offset_(offset), bytes_(sizeof(Header) + count * sizeof(Section)) {}

    template <class T>
    void add(SectionKind kind, std::uint32_t owner, const char* name,
             const std::vector<T>& entries) {
        Section s{kind, 1, owner, offset_ + bytes_.size(), entries.size() * sizeof(T), {}};
        std::memcpy(s.name, name, std::strlen(name));
        sections.push_back(s);
        const auto* first = reinterpret_cast<const std::uint8_t*>(entries.data());
        bytes_.insert(bytes_.end(), first, first + s.size);
        bytes_.resize((bytes_.size() + 7) / 8 * 8);
    }
    std::uint64_t size() const { return bytes_.size(); }
    std::vector<std::uint8_t> take() { return std::move(bytes_); }

    std::vector<Section> sections;

  private:
    std::uint64_t offset_;
    std::vector<std::uint8_t> bytes_;
};

std::size_t count_sections(const Snapshot& snapshot, const std::vector<Owned>& all) {
    constexpr std::size_t of_metadata = 3; // processes, objects, strings
    constexpr std::size_t others = 4;      // front, pages, hashes, closing record
    constexpr std::size_t in_each = 4;     // state, mappings, descriptors, core view
    return of_metadata + others + in_each * snapshot.processes.size() + all.size();
}

Metadata metadata_of(const Snapshot& snapshot, const std::vector<Owned>& all, const Window& window,
                     std::uint64_t offset) {
    Metadata metadata(offset, count_sections(snapshot, all));
    metadata.add(SectionKind::processes, 0, "processes", table_of_processes(snapshot));
    metadata.add(SectionKind::objects, 0, "objects", snapshot.objects.bytes());
    std::uint32_t id = 0;
    for (const capture::ProcessSnapshot& process : snapshot.processes)
        metadata.add(SectionKind::state, ++id, "state", state_of(process, window));
    for (const Owned& owned : all)
        if (owned.kind == SectionKind::extents)
            metadata.add(SectionKind::mappings, owned.id, "mappings", owned.mappings);
    for (const Owned& owned : all)
        metadata.add(owned.kind, owned.id,
                     owned.kind == SectionKind::extents ? "extents" : "shared memory",
                     owned.extents);
    id = 0;
    for (const capture::ProcessSnapshot& process : snapshot.processes)
        metadata.add(SectionKind::descriptors, ++id, "descriptors", table_of_descriptors(process));
    metadata.add(SectionKind::strings, 0, "strings", snapshot.strings.bytes());
    return metadata;
}

Section simple(SectionKind kind, const char* name, bool must_understand, std::uint64_t offset,
               std::uint64_t size) {
    Section s{kind, must_understand, 0, offset, size, {}};
    std::memcpy(s.name, name, std::strlen(name));
    return s;
}

// The stub's place in memory, when the size of what is mapped there is known.
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

Result<std::vector<Owned>> lay_out_pages(const Snapshot& snapshot, Layout& layout) {
    std::vector<Owned> all;
    PageLayout pages(layout.stored);
    for (const capture::ProcessSnapshot& process : snapshot.processes) {
        all.push_back({SectionKind::extents, std::uint32_t(all.size() + 1), {}, {}});
        if (Result<void> r = pages.add(process, all.back()); !r)
            return r.error();
    }
    for (const capture::SharedMemory& memory : snapshot.shared_memory) {
        all.push_back({SectionKind::shared_memory, memory.id, {}, {}});
        if (Result<void> r = pages.add_shared(snapshot, all.back()); !r)
            return r.error();
    }
    layout.pages_size = pages.size();
    return all;
}

void fill_header(const Snapshot& snapshot, Header& h) {
    std::memcpy(h.magic, magic, sizeof magic);
    h.version = format_version;
    h.header_size = sizeof h;
    h.machine = arch::elf_machine;
    h.page_size = page_size;
    h.flags = (snapshot.travels ? std::uint32_t(flag_travels) : 0u) |
              (snapshot.trusts_files ? std::uint32_t(flag_trusts_files) : 0u);
    h.id = snapshot.id;
    h.secret = snapshot.ticket.secret;
    h.created = snapshot.created;
    choose_private_descriptors(snapshot, h);
}

// One of each process, one behind the other; returns where the last ends.
std::uint64_t place_core_views(const Snapshot& snapshot, const std::vector<Owned>& all,
                               std::uint64_t offset, Layout& layout) {
    std::vector<SharedExtents> shared;
    for (const Owned& owned : all)
        if (owned.kind == SectionKind::shared_memory)
            shared.push_back({owned.id, owned.extents});
    auto owned = all.begin();
    for (const capture::ProcessSnapshot& process : snapshot.processes) {
        CoreView view = make_core_view({owned->mappings, owned->extents, shared}, process);
        Section s =
            simple(SectionKind::core_view, "core view", false, offset, core_view_size(view));
        s.owner = owned->id;
        layout.sections.push_back(s);
        layout.cores.push_back(std::move(view));
        offset = (offset + s.size + 7) / 8 * 8;
        ++owned;
    }
    return offset;
}

// Behind the metadata: core views, pages, hashes and the closing record.
void place_the_rest(const Snapshot& snapshot, std::vector<Owned>& all, Layout& layout) {
    Header& h = layout.header;
    layout.sections_offset =
        place_core_views(snapshot, all, page_up(h.metadata_offset + h.metadata_size), layout);
    const std::uint64_t pages_offset =
        page_up(layout.sections_offset + room_for_section_headers(layout.cores.size()));
    for (std::size_t i = 0; i < layout.cores.size(); ++i)
        place_core_view(layout.cores[i], layout.sections[i].offset, pages_offset);
    shift_pages(all, layout.stored, pages_offset);

    const std::uint64_t hashes_offset = pages_offset + layout.pages_size;
    const std::uint64_t hashes_size = layout.stored.size() * sizeof(std::uint64_t);
    h.file_size = hashes_offset + hashes_size + sizeof(Closing);
    layout.sections.push_back(
        simple(SectionKind::pages, "pages", true, pages_offset, layout.pages_size));
    layout.sections.push_back(
        simple(SectionKind::hashes, "hashes", true, hashes_offset, hashes_size));
    layout.sections.push_back(simple(SectionKind::closing, "closing record", true,
                                     hashes_offset + hashes_size, sizeof(Closing)));
}

} // namespace

const Section& section(const Layout& layout, SectionKind kind) {
    return *std::find_if(layout.sections.begin(), layout.sections.end(),
                         [kind](const Section& s) { return s.kind == kind; });
}

Result<Layout> lay_out(const Snapshot& snapshot, std::uint64_t stub_size) {
    Layout layout;
    Header& h = layout.header;
    Result<std::vector<Owned>> all = lay_out_pages(snapshot, layout);
    if (!all)
        return all.error();
    fill_header(snapshot, h);
    h.metadata_offset = stub_offset + stub_size;
    // Its size does not depend on what is in it, so the window can be planned first.
    h.metadata_size = metadata_of(snapshot, *all, {}, h.metadata_offset).size();
    const Result<Window> window =
        plan_window(snapshot, stub_size, h.metadata_size,
                    layout.stored.size() * sizeof(std::uint64_t) + sizeof(Closing));
    if (!window)
        return window.error();
    h.window = *window;
    place_the_rest(snapshot, *all, layout);

    Metadata metadata = metadata_of(snapshot, *all, h.window, h.metadata_offset);
    metadata.sections.insert(metadata.sections.begin(),
                             simple(SectionKind::front, "front", true, 0, h.metadata_offset));
    layout.sections.insert(layout.sections.begin(), metadata.sections.begin(),
                           metadata.sections.end());
    h.sections = std::uint32_t(layout.sections.size());
    layout.metadata = metadata.take();
    std::memcpy(layout.metadata.data(), &h, sizeof h);
    std::memcpy(layout.metadata.data() + sizeof h, layout.sections.data(),
                layout.sections.size() * sizeof(Section));
    return layout;
}

} // namespace rfork::image
