// Which mappings an image carries, and how:
//
//   private, no file, [heap], [stack], [anon:...]    anonymous
//   private, of a file                                its content, pages as they are in memory
//   shared, "/dev/zero (deleted)", "/memfd:..."       an object, which its mappings refer to
//   shared, of a named regular file                   the file by path; a mapping that can never be
//                                                     written is carried like a private one, so
//                                                     that the image needs no file of the other
//                                                     host
//   [vdso], [vvar...]                                 the target kernel's own; in a program that
//   was
//                                                     started under another kernel, as they were
//                                                     there
//
// Everything else is refused by name. A mapping librfork made for its own work is left out; the
// kernel may have merged it with a neighbour, so ranges are subtracted, not looked up.
#include "process/memory.h"

#include "process/program_vdso.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string_view>
#include <sys/mman.h>
#include <sys/stat.h>
#include <utility>

namespace rfork::capture {
namespace {

using image::Mapping;
using image::MappingKind;

bool ends_with(std::string_view text, std::string_view end) {
    return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

bool begins_with(std::string_view text, std::string_view begin) {
    return text.substr(0, begin.size()) == begin;
}

bool is_kernels(const MemoryMapEntry& e) {
    return begins_with(e.name, "[vvar") || e.name == "[vdso]";
}

bool is_shared_anonymous(const MemoryMapEntry& e) {
    return e.shared && (e.name == "/dev/zero (deleted)" || begins_with(e.name, "[anon_shmem:"));
}

bool is_memfd(const MemoryMapEntry& e) {
    return e.shared && begins_with(e.name, "/memfd:");
}

Result<MappingKind> classify_shared(const MemoryMapEntry& e) {
    if (is_shared_anonymous(e))
        return MappingKind::shared_memory;
    if (begins_with(e.name, "/SYSV"))
        return cannot_carry(e, "a System V shared memory segment", "detach it first (shmdt)");
    if (is_memfd(e) && !(e.flags & vm_maywrite))
        return cannot_carry(e, "memory of a memfd that was mapped for reading only",
                            "unmap it first");
    if (is_memfd(e))
        return MappingKind::shared_memory;
    if (begins_with(e.name, "/[aio]"))
        return cannot_carry(e, "a ring of asynchronous I/O (io_setup(2))",
                            "give it back first (io_destroy)");
    if (ends_with(e.name, " (deleted)"))
        return cannot_carry(e, "a shared mapping of a deleted file", "unmap it first");
    if (e.name.empty() || e.name[0] != '/')
        return cannot_carry(e, "a shared mapping of a kind unknown to rfork", "unmap it first");
    if (!(e.flags & vm_maywrite))
        return MappingKind::file_content;
    return MappingKind::file_shared;
}

Result<void> check_mapped_file(const Source& source, const MemoryMapEntry& e) {
    struct stat st;
    if (source.examine(e.name, st) != 0 || st.st_ino != e.inode)
        return cannot_carry(e, "a shared mapping of a file that is no longer at that path",
                            "unmap it first");
    if (!S_ISREG(st.st_mode))
        return cannot_carry(e, "a shared mapping of a device", "unmap it first");
    return {};
}

Result<MappingKind> classify(const MemoryMapEntry& e) {
    if (is_kernels(e))
        return e.name == "[vdso]" ? MappingKind::vdso : MappingKind::vvar;
    if (e.flags & vm_hugetlb)
        return cannot_carry(e, "memory of hugetlbfs", "unmap it first");
    if (e.flags & vm_device)
        return cannot_carry(e, "memory of a device", "close the device and unmap it first");
    if (e.flags & vm_userfault)
        return cannot_carry(e, "registered with a userfaultfd", "unregister it first");
    if (e.flags & vm_shadow_stack)
        return cannot_carry(e, "a shadow stack", "start the program without shadow stacks");
    if (e.flags & vm_protection_key)
        return cannot_carry(e, "protected by a protection key", "give it the default key first");
    if (e.end > arch::address_space_end)
        return cannot_carry(e, "beyond 47 bits of address", "unmap it first");
    if (e.shared)
        return classify_shared(e);
    if (e.name.empty() || e.name == "[heap]" || e.name == "[stack]" ||
        begins_with(e.name, "[anon:") || begins_with(e.name, "[stack:") || e.name == "/dev/zero")
        return MappingKind::anonymous;
    if (e.name[0] == '/')
        return MappingKind::file_content;
    return cannot_carry(e, "of a kind unknown to rfork", "unmap it first");
}

std::uint32_t mapping_flags(const MemoryMapEntry& e, MappingKind kind) {
    static constexpr struct {
        std::uint32_t vm, flag;
    } table[] = {
        {vm_growsdown, image::mapping_growsdown},   {vm_hugepage, image::mapping_hugepage},
        {vm_nohugepage, image::mapping_nohugepage}, {vm_wipeonfork, image::mapping_wipeonfork},
        {vm_dontdump, image::mapping_dontdump},     {vm_noreserve, image::mapping_noreserve},
        {vm_mergeable, image::mapping_mergeable},   {vm_accounted, image::mapping_accounted},
        {vm_dontfork, image::mapping_dontfork},     {vm_sequential, image::mapping_sequential},
        {vm_random, image::mapping_random},         {vm_droppable, image::mapping_droppable},
        {vm_sealed, image::mapping_sealed}};
    std::uint32_t flags = 0;
    for (const auto& entry : table)
        if (e.flags & entry.vm)
            flags |= entry.flag;
    if (kind == MappingKind::file_shared && (e.flags & vm_maywrite))
        flags |= image::mapping_writable_file;
    return flags;
}

// The objects that mappings of shared memory are of; known already, if another one is of it too.
class SharedObjects {
  public:
    SharedObjects(const std::vector<MemoryMapEntry>& entries, Snapshot& snapshot)
        : snapshot_(snapshot) {
        for (const SharedMemory& memory : snapshot.shared_memory)
            objects_.push_back({memory.device, memory.inode, memory.id});
        for (const MemoryMapEntry& e : entries)
            if (e.shared)
                objects_.push_back({e.device, e.inode, 0});
        std::sort(objects_.begin(), objects_.end(), [](const Object& a, const Object& b) {
            return a.which() != b.which() ? a.which() < b.which() : a.id > b.id;
        });
    }

    std::uint32_t of(const MemoryMapEntry& e) {
        const std::pair wanted(e.device, e.inode);
        Object& first =
            *std::partition_point(objects_.begin(), objects_.end(),
                                  [&](const Object& other) { return other.which() < wanted; });
        if (first.id == 0) {
            first.id = snapshot_.new_object();
            snapshot_.shared_memory.push_back({first.id, e.device, e.inode, e.name});
        }
        return first.id;
    }

  private:
    struct Object {
        std::uint64_t device, inode;
        std::uint32_t id; // 0: none yet; of those that are the same the first tells
        std::pair<std::uint64_t, std::uint64_t> which() const { return {device, inode}; }
    };
    Snapshot& snapshot_;
    std::vector<Object> objects_;
};

// The vDSO that the program has pointers into, as it lay under the kernel it comes from.
void add_redirected(const image::Redirection& redirection, ProcessSnapshot& process) {
    for (std::uint64_t i = 0; i < redirection.pieces; ++i) {
        const image::DataPiece& piece = redirection.piece[i];
        Mapping m{};
        m.start = piece.start;
        m.end = piece.end;
        m.prot = PROT_READ;
        m.kind = MappingKind::vvar;
        m.name = process.all.strings.add(piece.name);
        process.mappings.push_back(m);
    }
    Mapping m{};
    m.start = redirection.vdso;
    m.end = redirection.vdso_end;
    m.prot = PROT_READ | PROT_EXEC;
    m.kind = MappingKind::vdso;
    m.name = process.all.strings.add("[vdso]");
    process.mappings.push_back(m);
    std::sort(process.mappings.begin(), process.mappings.end(),
              [](const Mapping& a, const Mapping& b) { return a.start < b.start; });
}

// Of an object, or, if that is 0, of the address space.
struct Part {
    std::uint32_t object;
    std::uint64_t start, end;
};

// Ascending, and without overlaps.
std::vector<Part> unite(std::vector<Part> parts) {
    std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) {
        return a.object != b.object ? a.object < b.object : a.start < b.start;
    });
    std::vector<Part> united;
    for (const Part& part : parts) {
        if (part.start >= part.end)
            continue;
        if (!united.empty() && united.back().object == part.object &&
            part.start <= united.back().end)
            united.back().end = std::max(united.back().end, part.end);
        else
            united.push_back(part);
    }
    return united;
}

// What of shared memory lies in the ranges.
std::vector<Part> shared_parts(const std::vector<Mapping>& mappings,
                               std::span<const Range> ranges) {
    std::vector<Part> parts;
    for (const Range& range : ranges) {
        auto m = std::partition_point(mappings.begin(), mappings.end(), [&](const Mapping& other) {
            return other.end <= range.start;
        });
        for (; m != mappings.end() && m->start < range.end; ++m)
            if (m->kind == MappingKind::shared_memory)
                parts.push_back({m->object,
                                 std::max(range.start, m->start) - m->start + m->origin_offset,
                                 std::min(range.end, m->end) - m->start + m->origin_offset});
    }
    return unite(std::move(parts));
}

} // namespace

Error cannot_carry(const MemoryMapEntry& e, std::string_view what, std::string_view remedy) {
    char range[48];
    std::snprintf(range, sizeof range, "%lx-%lx", static_cast<unsigned long>(e.start),
                  static_cast<unsigned long>(e.end));
    std::string sentence = "the memory at " + std::string(range);
    if (!e.name.empty())
        sentence += " (" + e.name + ")";
    sentence +=
        " is " + std::string(what) + ", which an image cannot carry yet: " + std::string(remedy);
    return {ENOTSUP, sentence};
}

Result<void> check_can_carry(const MemoryMapEntry& entry) {
    const Result<MappingKind> kind = classify(entry);
    if (!kind)
        return kind.error();
    return {};
}

std::vector<Range> without(Range whole, std::span<const Range> holes) {
    std::vector<Range> rest{whole};
    for (const Range& hole : holes) {
        std::vector<Range> next;
        for (const Range& r : rest) {
            if (hole.end <= r.start || hole.start >= r.end) {
                next.push_back(r);
                continue;
            }
            if (hole.start > r.start)
                next.push_back({r.start, hole.start});
            if (hole.end < r.end)
                next.push_back({hole.end, r.end});
        }
        rest = std::move(next);
    }
    return rest;
}

std::vector<Range> with_aliases(const std::vector<Mapping>& mappings,
                                std::span<const Range> ranges) {
    std::vector<Part> all;
    for (const Range& range : ranges)
        all.push_back({0, range.start, range.end});
    const std::vector<Part> shared = shared_parts(mappings, ranges);
    for (const Mapping& m : mappings) {
        if (m.kind != MappingKind::shared_memory)
            continue;
        const std::uint64_t behind = m.origin_offset + (m.end - m.start);
        auto part = std::partition_point(shared.begin(), shared.end(), [&](const Part& other) {
            return other.object < m.object ||
                   (other.object == m.object && other.end <= m.origin_offset);
        });
        for (; part != shared.end() && part->object == m.object && part->start < behind; ++part)
            all.push_back({0, m.start + (std::max(part->start, m.origin_offset) - m.origin_offset),
                           m.start + (std::min(part->end, behind) - m.origin_offset)});
    }
    std::vector<Range> united;
    for (const Part& part : unite(std::move(all)))
        united.push_back({part.start, part.end});
    return united;
}

Result<void> classify_memory(const Source& source, const std::vector<MemoryMapEntry>& entries,
                             std::span<const Range> own, ProcessSnapshot& process) {
    const std::optional<image::Redirection> redirection =
        find_redirection(source, entries, process.auxv);
    std::vector<Range> left_out(own.begin(), own.end());
    if (redirection) {
        for (std::uint64_t i = 0; i < redirection->pieces; ++i)
            left_out.push_back({redirection->piece[i].start, redirection->piece[i].end});
        left_out.push_back({redirection->vdso, redirection->vdso_end});
    }
    SharedObjects objects(entries, process.all);
    for (const MemoryMapEntry& e : entries) {
        if (e.name == "[vsyscall]")
            continue; // every kernel has its own, at the same place
        if (redirection && is_kernels(e))
            continue; // the running kernel's, to which only the redirection leads
        const std::vector<Range> parts = without({e.start, e.end}, left_out);
        if (parts.empty())
            continue;
        const Result<MappingKind> kind = classify(e);
        if (!kind)
            return kind.error();
        if (*kind == MappingKind::file_shared)
            if (Result<void> r = check_mapped_file(source, e); !r)
                return r;
        for (const Range& part : parts) {
            Mapping m{};
            m.start = part.start;
            m.end = part.end;
            m.prot = e.prot;
            m.kind = *kind;
            m.flags = mapping_flags(e, *kind);
            m.name = process.all.strings.add(e.name);
            m.origin_offset = e.offset + (part.start - e.start);
            if (m.kind == MappingKind::shared_memory)
                m.object = objects.of(e);
            process.mappings.push_back(m);
        }
    }
    if (redirection)
        add_redirected(*redirection, process);
    return {};
}

} // namespace rfork::capture
