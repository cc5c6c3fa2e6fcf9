#include "image/core_view.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <sys/mman.h>
#include <sys/procfs.h>

namespace rfork::image {
namespace {

using capture::ProcessSnapshot;

constexpr std::uint64_t segment_number_limit = PN_XNUM;
constexpr std::uint64_t x87_and_sse = 3;

class Notes {
  public:
    void add(const char* owner, std::uint32_t type, const void* content, std::size_t size) {
        const Elf64_Nhdr header{std::uint32_t(std::strlen(owner) + 1), std::uint32_t(size), type};
        append(&header, sizeof header);
        append(owner, header.n_namesz);
        append(content, size);
    }
    std::vector<std::uint8_t> take() { return std::move(bytes_); }

  private:
    void append(const void* data, std::size_t size) {
        const auto* first = static_cast<const std::uint8_t*>(data);
        bytes_.insert(bytes_.end(), first, first + size);
        bytes_.resize((bytes_.size() + 3) / 4 * 4);
    }
    std::vector<std::uint8_t> bytes_;
};

elf_prpsinfo process_note(const ProcessSnapshot& process) {
    const capture::Identity& who = process.identity;
    elf_prpsinfo info{};
    info.pr_sname = 'R';
    info.pr_nice = char(who.nice);
    info.pr_uid = who.uid;
    info.pr_gid = who.gid;
    info.pr_pid = who.pid;
    info.pr_ppid = who.parent;
    info.pr_pgrp = who.process_group;
    info.pr_sid = who.session;
    who.name.copy(info.pr_fname, sizeof info.pr_fname - 1);
    who.arguments.copy(info.pr_psargs, sizeof info.pr_psargs - 1);
    return info;
}

elf_prstatus thread_note(const ProcessSnapshot& process, const kinds::ThreadRecord& thread) {
    elf_prstatus status{};
    status.pr_pid = thread.tid;
    status.pr_ppid = process.identity.parent;
    status.pr_pgrp = process.identity.process_group;
    status.pr_sid = process.identity.session;
    status.pr_sighold = thread.signal_mask;
    status.pr_fpvalid = 1;
    static_assert(sizeof status.pr_reg == sizeof thread.registers);
    std::memcpy(&status.pr_reg, &thread.registers, sizeof status.pr_reg);
    return status;
}

void add_thread_notes(Notes& notes, const ProcessSnapshot& process, const capture::Thread& thread,
                      bool first) {
    const elf_prstatus status = thread_note(process, thread.record);
    notes.add("CORE", NT_PRSTATUS, &status, sizeof status);
    if (first) {
        const elf_prpsinfo info = process_note(process);
        notes.add("CORE", NT_PRPSINFO, &info, sizeof info);
        const siginfo_t nothing{}; // no signal ended this process
        notes.add("CORE", NT_SIGINFO, &nothing, sizeof nothing);
        notes.add("CORE", NT_AUXV, process.auxv.data(),
                  process.auxv.size() * sizeof process.auxv[0]);
    }
    notes.add("CORE", NT_FPREGSET, thread.xstate.data(), sizeof(elf_fpregset_t));
    if (thread.record.xcr0 <= x87_and_sse) // frozen on a CPU without XSAVE
        return;
    // Debuggers learn the layout from XCR0, which the kernel puts into the software-reserved bytes.
    std::vector<std::uint8_t> xstate = thread.xstate;
    std::memcpy(xstate.data() + arch::xstate_xcr0_offset, &thread.record.xcr0,
                sizeof thread.record.xcr0);
    notes.add("LINUX", NT_X86_XSTATE, xstate.data(), xstate.size());
}

// Where the CPU puts the components of the XSAVE area, which no debugger can know of an AMD CPU
// from XCR0 and the size alone: struct x86_xfeat_component of Linux 6.12, as the kernel's cores
// have it.
void add_xsave_layout_note(Notes& notes, const kinds::ThreadRecord& thread) {
    struct Component {
        std::uint32_t type, size, offset, flags;
    };
    constexpr std::uint32_t xsave_layout = 0x205; // NT_X86_XSAVE_LAYOUT
    std::vector<Component> components;
    for (std::uint32_t i = 0; i < arch::xstate_components; ++i)
        if (thread.layout[i].size)
            components.push_back({i, thread.layout[i].size, thread.layout[i].offset, 0});
    if (!components.empty())
        notes.add("LINUX", xsave_layout, components.data(),
                  components.size() * sizeof components[0]);
}

// NT_FILE: count, page size, {start, end, offset in pages} each, names.
void add_file_note(Notes& notes, std::span<const Mapping> mappings,
                   const ProcessSnapshot& process) {
    std::vector<std::uint64_t> table{0, page_size};
    std::vector<char> names;
    for (const Mapping& m : mappings) {
        const std::string_view name = process.all.strings.at(m.name);
        if (name.empty() || name[0] != '/')
            continue;
        ++table[0];
        table.insert(table.end(), {m.start, m.end, m.origin_offset / page_size});
        names.insert(names.end(), name.begin(), name.end());
        names.push_back('\0');
    }
    const auto* first = reinterpret_cast<const std::uint8_t*>(table.data());
    std::vector<std::uint8_t> content(first, first + table.size() * sizeof table[0]);
    content.insert(content.end(), names.begin(), names.end());
    notes.add("CORE", NT_FILE, content.data(), content.size());
}

std::vector<std::uint8_t> make_notes(std::span<const Mapping> mappings,
                                     const ProcessSnapshot& process) {
    Notes notes;
    for (std::size_t i = 0; i < process.threads.size(); ++i)
        add_thread_notes(notes, process, process.threads[i], i == 0);
    add_file_note(notes, mappings, process);
    if (!process.threads.empty())
        add_xsave_layout_note(notes, process.threads[0].record);
    return notes.take();
}

Elf64_Phdr segment(const Mapping& m, std::uint64_t start, std::uint64_t end,
                   std::uint64_t file_offset, std::uint64_t file_size) {
    Elf64_Phdr p{};
    p.p_type = PT_LOAD;
    p.p_flags = (m.prot & PROT_READ ? PF_R : 0u) | (m.prot & PROT_WRITE ? PF_W : 0u) |
                (m.prot & PROT_EXEC ? PF_X : 0u);
    p.p_offset = file_offset;
    p.p_vaddr = start;
    p.p_filesz = file_size;
    p.p_memsz = end - start;
    p.p_align = page_size;
    return p;
}

// A part of a mapping of which the file has the bytes.
struct Piece {
    std::uint64_t address, size, offset;
};

void add_shared_pieces(const CoreMemory& memory, const Mapping& m, std::vector<Piece>& pieces) {
    const auto shared =
        std::partition_point(memory.shared.begin(), memory.shared.end(),
                             [&](const SharedExtents& other) { return other.object < m.object; });
    if (shared == memory.shared.end() || shared->object != m.object)
        return;
    const std::uint64_t behind = m.origin_offset + (m.end - m.start);
    auto e =
        std::partition_point(shared->extents.begin(), shared->extents.end(),
                             [&](const Extent& other) { return other.end() <= m.origin_offset; });
    for (; e != shared->extents.end() && e->at < behind; ++e) {
        const std::uint64_t from = std::max(e->at, m.origin_offset);
        const std::uint64_t to = std::min(e->end(), behind);
        pieces.push_back(
            {m.start + (from - m.origin_offset), to - from, e->offset + (from - e->at)});
    }
}

// A segment for each run of bytes that the file has, and for each gap that it has not.
void add_segments(std::vector<Elf64_Phdr>& segments, const Mapping& m,
                  const std::vector<Piece>& pieces) {
    std::uint64_t at = m.start;
    for (const Piece& piece : pieces) {
        Elf64_Phdr& last = segments.back();
        const bool continues =
            piece.address == at && at != m.start && last.p_offset + last.p_filesz == piece.offset;
        if (piece.address > at)
            segments.push_back(segment(m, at, piece.address, piece.offset, 0));
        at = piece.address + piece.size;
        if (continues) {
            last.p_filesz += piece.size;
            last.p_memsz += piece.size;
        } else {
            segments.push_back(segment(m, piece.address, at, piece.offset, piece.size));
        }
    }
    if (at < m.end)
        segments.push_back(segment(m, at, m.end, 0, 0));
}

void add_segments(std::vector<Elf64_Phdr>& segments, const CoreMemory& memory) {
    std::vector<Piece> pieces;
    std::size_t next = 0;
    for (const Mapping& m : memory.mappings) {
        pieces.clear();
        for (; next < memory.extents.size() && memory.extents[next].at < m.end; ++next) {
            const Extent& e = memory.extents[next];
            pieces.push_back({e.at, e.size(), e.offset});
        }
        if (m.kind == MappingKind::shared_memory)
            add_shared_pieces(memory, m, pieces);
        add_segments(segments, m, pieces);
    }
}

Elf64_Ehdr core_header(const CoreView& view) {
    const std::size_t segments = view.segments.size();
    Elf64_Ehdr h{};
    identify(h, ET_CORE);
    h.e_phoff = view.offset.segments;
    h.e_ehsize = sizeof h;
    h.e_phentsize = sizeof(Elf64_Phdr);
    h.e_phnum = std::uint16_t(segments);
    if (segments >=
        segment_number_limit) { // then the number is in section header 0: elf(5), PN_XNUM
        h.e_phnum = PN_XNUM;
        h.e_shoff = view.offset.count;
        h.e_shentsize = sizeof(Elf64_Shdr);
        h.e_shnum = 1;
    }
    return h;
}

} // namespace

void identify(Elf64_Ehdr& h, std::uint16_t type) {
    constexpr char ident[EI_NIDENT] = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT};
    std::memcpy(h.e_ident, ident, sizeof ident);
    h.e_type = type;
    h.e_machine = std::uint16_t(arch::elf_machine);
    h.e_version = EV_CURRENT;
}

CoreView make_core_view(const CoreMemory& memory, const ProcessSnapshot& process) {
    CoreView view;
    view.notes = make_notes(memory.mappings, process);
    Elf64_Phdr notes{};
    notes.p_type = PT_NOTE;
    notes.p_filesz = view.notes.size();
    notes.p_align = 4;
    view.segments.reserve(1 + 2 * memory.mappings.size() + memory.extents.size());
    view.segments.push_back(notes);
    add_segments(view.segments, memory);
    view.count.sh_info = std::uint32_t(view.segments.size());
    return view;
}

std::uint64_t core_view_size(const CoreView& view) {
    return sizeof view.header + (view.notes.size() + 7) / 8 * 8 +
           view.segments.size() * sizeof(Elf64_Phdr) + sizeof view.count;
}

void place_core_view(CoreView& view, std::uint64_t core_offset, std::uint64_t pages_offset) {
    view.offset.header = core_offset;
    view.offset.notes = core_offset + sizeof view.header;
    view.offset.segments = (view.offset.notes + view.notes.size() + 7) / 8 * 8;
    view.offset.count = view.offset.segments + view.segments.size() * sizeof(Elf64_Phdr);
    view.offset.end = view.offset.count + sizeof(Elf64_Shdr);
    view.segments[0].p_offset = view.offset.notes;
    for (std::size_t i = 1; i < view.segments.size(); ++i)
        view.segments[i].p_offset += pages_offset;
    view.header = core_header(view);
}

} // namespace rfork::image
