// The file is written from front to back, so all that stands in front of the pages is known before
// the first of them is written: where each page goes (page_layout.cc), and how many there are. What
// is not known before, their hashes, comes behind them.
#include "image/layout.h"

#include "format/kinds.h"
#include "image/front.h"
#include "image/window_plan.h"

#include <algorithm>
#include <cstring>

namespace rfork::image {
namespace {

using capture::Snapshot;

constexpr std::uint64_t stub_offset = page_size; // behind the ELF header

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

// What is made before the processes are: tables of nobody, and left out if they are empty.
struct CommonTables {
    std::vector<Descriptor> descriptors;
    std::vector<Mapping> mappings;
};

std::size_t count_sections(const Snapshot& snapshot, const std::vector<Owned>& all,
                           const CommonTables& common) {
    constexpr std::size_t of_metadata = 3; // processes, objects, strings
    constexpr std::size_t others = 4;      // front, pages, hashes, closing record
    constexpr std::size_t in_each = 4;     // state, mappings, descriptors, core view
    return of_metadata + others + in_each * snapshot.processes.size() + all.size() +
           !common.descriptors.empty() + !common.mappings.empty();
}

Metadata metadata_of(const Snapshot& snapshot, const std::vector<Owned>& all,
                     const CommonTables& common, const Window& window, std::uint64_t offset) {
    Metadata metadata(offset, count_sections(snapshot, all, common));
    metadata.add(SectionKind::processes, 0, "processes", table_of_processes(snapshot));
    metadata.add(SectionKind::objects, 0, "objects", snapshot.objects.bytes());
    std::uint32_t id = 0;
    for (const capture::ProcessSnapshot& process : snapshot.processes)
        metadata.add(SectionKind::state, ++id, "state", state_of(process, window));
    if (!common.descriptors.empty())
        metadata.add(SectionKind::descriptors, 0, "common files", common.descriptors);
    id = 0;
    for (const capture::ProcessSnapshot& process : snapshot.processes)
        metadata.add(SectionKind::descriptors, ++id, "descriptors", table_of_descriptors(process));
    metadata.add(SectionKind::strings, 0, "strings", snapshot.strings.bytes());
    if (!common.mappings.empty())
        metadata.add(SectionKind::mappings, 0, "common memory", common.mappings);
    for (const Owned& owned : all)
        if (owned.kind == SectionKind::extents)
            metadata.add(SectionKind::mappings, owned.id, "mappings", owned.mappings);
    for (const Owned& owned : all)
        metadata.add(owned.kind, owned.id,
                     owned.kind == SectionKind::extents ? "extents" : "shared memory",
                     owned.extents);
    return metadata;
}

Section simple(SectionKind kind, const char* name, bool must_understand, std::uint64_t offset,
               std::uint64_t size) {
    Section s{kind, must_understand, 0, offset, size, {}};
    std::memcpy(s.name, name, std::strlen(name));
    return s;
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
void place_the_rest(const Snapshot& snapshot, PageData& data, Layout& layout) {
    Header& h = layout.header;
    layout.sections_offset = place_core_views(snapshot, data.owned,
                                              page_up(h.metadata_offset + h.metadata_size), layout);
    const std::uint64_t pages_offset =
        page_up(layout.sections_offset + room_for_section_headers(layout.cores.size()));
    for (std::size_t i = 0; i < layout.cores.size(); ++i)
        place_core_view(layout.cores[i], layout.sections[i].offset, pages_offset);
    shift_pages(data, pages_offset);

    const std::uint64_t hashes_offset = pages_offset + data.size;
    const std::uint64_t hashes_size = data.stored.size() * sizeof(std::uint64_t);
    h.file_size = hashes_offset + hashes_size + sizeof(Closing);
    layout.sections.push_back(simple(SectionKind::pages, "pages", true, pages_offset, data.size));
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
    Result<PageData> data = lay_out_pages(snapshot);
    if (!data)
        return data.error();
    fill_header(snapshot, h);
    CommonTables common{choose_descriptors(snapshot, h), common_mappings(snapshot)};
    h.metadata_offset = stub_offset + stub_size;
    // Its size does not depend on what is in it, so the window can be planned first.
    h.metadata_size = metadata_of(snapshot, data->owned, common, {}, h.metadata_offset).size();
    const Result<Window> window =
        plan_window(snapshot, stub_size, h.metadata_size,
                    data->stored.size() * sizeof(std::uint64_t) + sizeof(Closing));
    if (!window)
        return window.error();
    h.window = *window;
    if (Result<void> r = place_common_mappings(snapshot, h.window, common.mappings); !r)
        return r.error();
    place_the_rest(snapshot, *data, layout);

    Metadata metadata = metadata_of(snapshot, data->owned, common, h.window, h.metadata_offset);
    metadata.sections.insert(metadata.sections.begin(),
                             simple(SectionKind::front, "front", true, 0, h.metadata_offset));
    layout.sections.insert(layout.sections.begin(), metadata.sections.begin(),
                           metadata.sections.end());
    h.sections = std::uint32_t(layout.sections.size());
    layout.metadata = metadata.take();
    std::memcpy(layout.metadata.data(), &h, sizeof h);
    std::memcpy(layout.metadata.data() + sizeof h, layout.sections.data(),
                layout.sections.size() * sizeof(Section));
    layout.stored = std::move(data->stored);
    layout.pages_size = data->size;
    return layout;
}

} // namespace rfork::image
