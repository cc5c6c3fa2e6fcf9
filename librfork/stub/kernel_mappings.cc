// The vDSO and its data pages.
//
//   [vvar] [vvar_vclock] [vdso]        (6.13 and later; before, [vvar] [vdso])
//
// The kernel maps its own at every exec, wherever it likes; libc in the frozen memory has pointers
// into the old place. So ours are parked in the window while memory is rebuilt, and then moved to
// where the frozen process had its own. The code finds its data relative to itself: each piece is
// moved on its own (mremap(2) refuses a range that spans two of them), and the distances between
// them stay. The data pages can never be carried, since the kernel writes them.
//
// Another kernel's vDSO is other code at other addresses: a different build-id is refused.
#include "stub/stub.h"

#include <linux/errno.h>

#include "image/build_id.h"
#include "kinds/address_space/record.h"

#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/mman.h>

namespace rfork::stub {
namespace {

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
}

const kinds::AddressSpaceRecord* frozen_address_space(const Stub& stub) {
    Records records(stub);
    while (const image::RecordHeader* record = records.next())
        if (record->kind == image::Kind::address_space)
            return &as<kinds::AddressSpaceRecord>(*record);
    return nullptr;
}

void check_same_vdso(Stub& stub) {
    const kinds::AddressSpaceRecord* frozen = frozen_address_space(stub);
    if (!frozen || !frozen->vdso)
        return;
    if (!stub.vdso)
        fail(stub, EOPNOTSUPP,
             "this kernel gives programs no vDSO, and the frozen one uses its own");
    const image::BuildId here = image::build_id_of(reinterpret_cast<const void*>(stub.vdso));
    bool equal = here.size == frozen->vdso_build_id_size && here.size > 0;
    for (unsigned i = 0; equal && i < here.size; ++i)
        equal = here.bytes[i] == frozen->vdso_build_id[i];
    if (!equal)
        fail(stub, EOPNOTSUPP,
             "this host runs another kernel than the one the image was frozen under (their vDSOs "
             "have different build-ids), and programs cannot yet move between kernels: use hosts "
             "with the same kernel");
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
    check_same_vdso(stub);
}

void park_kernel_mappings(Stub& stub) {
    std::uint64_t place = stub.header->window.scratch;
    for (unsigned i = 0; i < stub.kernel_mappings; ++i) {
        KernelMapping& m = stub.kernel[i];
        const long r = arch::syscall(__NR_mremap, m.now.start, m.now.size(), m.now.size(),
                                     MREMAP_MAYMOVE | MREMAP_FIXED, place);
        if (r < 0)
            fail(stub, int(-r), "cannot move this kernel's vDSO out of the way");
        m.parked = {place, place + m.now.size()};
        place += m.now.size();
    }
}

void place_kernel_mappings(Stub& stub) {
    stub.stage = Stage::vdso;
    const auto* mappings = reinterpret_cast<const image::Mapping*>(
        reinterpret_cast<const std::uint8_t*>(stub.header) + stub.header->mappings.offset);
    const std::uint64_t count = stub.header->mappings.size / sizeof(image::Mapping);
    unsigned next = 0;
    std::uint64_t first = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
        const image::Mapping& old = mappings[i];
        if (old.kind != image::MappingKind::vvar && old.kind != image::MappingKind::vdso)
            continue;
        if (next == 0)
            first = old.start;
        if (next == stub.kernel_mappings ||
            stub.kernel[next].parked.size() != old.end - old.start ||
            stub.kernel[next].now.start - stub.kernel[0].now.start != old.start - first)
            fail(stub, EOPNOTSUPP, "this kernel lays out its vDSO and data pages in another way");
        const KernelMapping& m = stub.kernel[next++];
        const long r = arch::syscall(__NR_mremap, m.parked.start, m.parked.size(), m.parked.size(),
                                     MREMAP_MAYMOVE | MREMAP_FIXED, old.start);
        if (r < 0)
            fail(stub, int(-r), "cannot move this kernel's vDSO into place");
    }
}

} // namespace rfork::stub
