// The vDSO and its data pages.
//
//   [vvar] [vvar_vclock] [vdso]        (6.13 and later; before, [vvar] [vdso])
//
// The kernel maps its own at every exec, wherever it likes; libc in the frozen memory has pointers
// into the old place. So ours are parked in the window while memory is rebuilt. The code finds its
// data relative to itself: each piece is moved on its own (mremap(2) refuses a range that spans two
// of them), and the distances between them stay. The data pages can never be carried, since the
// kernel writes them.
//
// The same kernel's vDSO (same build-id, pieces of the same sizes) then goes to where the frozen
// process had its own, and nothing is different. Another kernel's is other code at other addresses:
// it goes to a place where the program has nothing, and the old one, which comes from the image as
// any memory does, is made to jump there (redirect_vdso.cc).
#include "format/kinds.h"
#include "stub/stub.h"

#include "base/elf_object.h"
#include "format/records/address_space.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>

namespace rfork::stub {
namespace {

using image::Mapping;
using image::MappingKind;

bool is_kernel_mapping(const char* name) {
    return starts_with(name, "[vvar") || same(name, "[vdso]");
}

// One line of /proc/self/maps: "start-end perms offset dev inode   name".
void take_line(Stub& stub, const char* line) {
    Range range;
    if (!parse_unsigned(line, range.start, 16) || *line++ != '-' ||
        !parse_unsigned(line, range.end, 16))
        return;
    for (int field = 0; field < 4; ++field) {
        while (*line == ' ')
            ++line;
        while (*line && *line != ' ')
            ++line;
    }
    while (*line == ' ')
        ++line;
    if (!is_kernel_mapping(line))
        return;
    if (stub.kernel_mappings == kernel_mappings_limit)
        fail(stub, EOPNOTSUPP, "this kernel has more vDSO mappings than rfork knows how to move");
    stub.kernel[stub.kernel_mappings++].now = range;
    if (range.start == stub.vdso.start)
        stub.vdso.end = range.end;
}

const kinds::AddressSpaceRecord* frozen_address_space(const Stub& stub) {
    Records records(stub);
    while (const image::RecordHeader* record = records.next())
        if (record->kind == image::Kind::address_space)
            return &as<kinds::AddressSpaceRecord>(*record);
    return nullptr;
}

bool is_kernels(const Mapping& m) {
    return m.kind == MappingKind::vvar || m.kind == MappingKind::vdso;
}

const Mapping* vdso_of_program(const Stub& stub) {
    for (const Mapping& m : mappings_of(stub))
        if (m.kind == MappingKind::vdso)
            return &m;
    return nullptr;
}

// The build-id in the image is that of the vDSO which the auxiliary vector names. Should the
// program have another, moved there by itself, it is taken for another kernel's.
bool same_build_id(const Stub& stub, const Mapping& program) {
    const kinds::AddressSpaceRecord* frozen = frozen_address_space(stub);
    const image::BuildId here =
        image::ElfObject(reinterpret_cast<const void*>(stub.vdso.start), stub.vdso.size())
            .build_id();
    if (!frozen || frozen->vdso != program.start || here.size == 0 ||
        here.size != frozen->vdso_build_id_size)
        return false;
    for (unsigned i = 0; i < here.size; ++i)
        if (here.bytes[i] != frozen->vdso_build_id[i])
            return false;
    return true;
}

bool same_pieces(const Stub& stub) {
    unsigned next = 0;
    std::uint64_t first = 0;
    for (const Mapping& old : mappings_of(stub)) {
        if (!is_kernels(old))
            continue;
        if (next == 0)
            first = old.start;
        if (next == stub.kernel_mappings || stub.kernel[next].now.size() != old.end - old.start ||
            stub.kernel[next].now.start - stub.kernel[0].now.start != old.start - first)
            return false;
        ++next;
    }
    return next == stub.kernel_mappings;
}

// Whether the program's vDSO is another one than this kernel's.
bool is_foreign(const Stub& stub) {
    const Mapping* program = vdso_of_program(stub);
    return program && (!same_build_id(stub, *program) || !same_pieces(stub));
}

// The kernel's mappings with their distances, the first of them at `place`.
void move_to(Stub& stub, std::uint64_t place) {
    const std::uint64_t first = stub.kernel[0].now.start, vdso = stub.vdso.start;
    for (unsigned i = 0; i < stub.kernel_mappings; ++i) {
        const KernelMapping& m = stub.kernel[i];
        const std::uint64_t to = place + (m.now.start - first);
        const long r = arch::syscall(__NR_mremap, m.parked.start, m.parked.size(), m.parked.size(),
                                     MREMAP_MAYMOVE | MREMAP_FIXED, to);
        if (r < 0)
            fail(stub, int(-r), "cannot move this kernel's vDSO into place");
        if (m.now.start == vdso)
            stub.vdso = {to, to + m.now.size()};
    }
}

// The place for `size` bytes that is nearest to `wanted` and has a page free on either side. A
// stack keeps the room it may grow into.
std::uint64_t find_place(const Stub& stub, std::uint64_t size, std::uint64_t wanted) {
    constexpr std::uint64_t lowest = 1 << 20, page = image::page_size, stack_room = 1 << 30;
    std::uint64_t best = 0, best_distance = ~std::uint64_t(0), gap_start = lowest;
    auto consider = [&](std::uint64_t end, std::uint64_t room_above) {
        if (end < gap_start || end - gap_start < size + 2 * page + room_above)
            return;
        const std::uint64_t first = gap_start + page, last = end - room_above - page - size;
        const std::uint64_t place = wanted < first ? first : wanted > last ? last : wanted;
        const std::uint64_t distance = place < wanted ? wanted - place : place - wanted;
        if (distance < best_distance) {
            best = place;
            best_distance = distance;
        }
    };
    bool past_window = false;
    const image::Window& window = stub.header->window;
    auto pass = [&](std::uint64_t start, std::uint64_t end, std::uint64_t room_above) {
        consider(start, room_above);
        if (end > gap_start)
            gap_start = end;
    };
    for (const Mapping& m : mappings_of(stub)) {
        if (!past_window && m.start >= window.end) {
            pass(window.base, window.end, 0);
            past_window = true;
        }
        pass(m.start, m.end, m.flags & image::mapping_growsdown ? stack_room : 0);
    }
    if (!past_window)
        pass(window.base, window.end, 0);
    consider(arch::address_space_end, 0);
    if (!best)
        fail(stub, ENOMEM,
             "the program leaves no room in its address space for this kernel's vDSO");
    return best;
}

} // namespace

void find_kernel_mappings(Stub& stub) {
    stub.stage = Stage::vdso;
    const long fd = arch::syscall(__NR_open, "/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        fail(stub, int(-fd), "cannot read /proc/self/maps: mount /proc where images are started");
    char line[512];
    unsigned used = 0;
    bool too_long = false;
    char buffer[4096];
    long got;
    while ((got = arch::syscall(__NR_read, fd, buffer, sizeof buffer)) > 0) {
        for (long i = 0; i < got; ++i) {
            if (buffer[i] == '\n') {
                line[used] = '\0';
                if (!too_long)
                    take_line(stub, line);
                used = 0;
                too_long = false;
            } else if (used + 1 < sizeof line) {
                line[used++] = buffer[i];
            } else {
                too_long = true; // a long path: not the kernel's
            }
        }
    }
    arch::syscall(__NR_close, fd);
    if (got < 0)
        fail(stub, int(-got), "cannot read /proc/self/maps");
    stub.redirects_vdso = is_foreign(stub);
    for (const image::Process& process : processes_of(stub)) {
        stub.process = &process;
        if (is_foreign(stub) != stub.redirects_vdso)
            fail(stub, EOPNOTSUPP,
                 "the processes of the image have vDSOs of different kernels, which its stub "
                 "cannot bring back");
    }
    stub.process = processes_of(stub).data();
}

void park_kernel_mappings(Stub& stub) {
    const image::Window& window = stub.header->window;
    std::uint64_t place = window.scratch;
    for (unsigned i = 0; i < stub.kernel_mappings; ++i) {
        KernelMapping& m = stub.kernel[i];
        if (m.now.size() > supervision_page_place(stub) - place)
            fail(stub, EOPNOTSUPP, "this kernel's vDSO is larger than rfork knows how to move");
        const long r = arch::syscall(__NR_mremap, m.now.start, m.now.size(), m.now.size(),
                                     MREMAP_MAYMOVE | MREMAP_FIXED, place);
        if (r < 0)
            fail(stub, int(-r), "cannot move this kernel's vDSO out of the way");
        m.parked = {place, place + m.now.size()};
        place += m.now.size();
    }
}

// A program without a vDSO has no use for one: it stays in the window, and goes with it.
void place_kernel_mappings(Stub& stub) {
    stub.stage = Stage::vdso;
    const Mapping* program = vdso_of_program(stub);
    if (!program)
        return;
    if (!stub.redirects_vdso) {
        for (const Mapping& m : mappings_of(stub))
            if (is_kernels(m))
                return move_to(stub, m.start);
    }
    if (stub.kernel_mappings) {
        const KernelMapping& last = stub.kernel[stub.kernel_mappings - 1];
        move_to(stub, find_place(stub, last.now.end - stub.kernel[0].now.start, program->end));
    }
    redirect_vdso(stub, *program);
}

} // namespace rfork::stub
