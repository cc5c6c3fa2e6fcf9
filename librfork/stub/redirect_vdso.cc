// The program's vDSO is another kernel's.
//
// libc looked its functions up when the program started, and keeps their addresses; so code has to
// be there for as long as the program lives. The old code itself cannot work: it reads the data
// pages of the kernel it came from, in that kernel's format. It is mapped as ordinary memory, and
// the first bytes of each function are overwritten:
//
//             the program's, at the old addresses               this kernel's, somewhere else
//
//   | data pages: nobody's, | slots | old vDSO              |   | [vvar] ... | [vdso]         |
//   |       no access       | page  | headers .. f: jmp ... |   |            |   .. f: ...    |
//                            ^                       |                              ^
//                            +-----------------------+  <- 5 bytes                  |
//                            +--- jmp *(%rip), 14 bytes, any distance --------------+
//
// A function of which this kernel's vDSO has none becomes a system call
// (arch/x86_64/vdso_code.h). Headers, symbols and build-id stay, so the memory tells at the next
// freeze whose vDSO it is; what lay in front of it is written into the page with the slots
// (format/redirection.h). An image therefore describes the program's vDSO as it was where the
// program started, however many kernels lie between: on a third kernel the same first bytes are
// overwritten again, and on the first one its own vDSO comes back and nothing of ours is left.
#include "stub/stub.h"

#include "arch/x86_64/vdso_code.h"
#include "base/elf_object.h"
#include "format/redirection.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/mman.h>

namespace rfork::stub {
namespace {

using image::ElfObject;
using image::Mapping;
using image::MappingKind;
using image::Redirection;

constexpr std::uint64_t page = image::page_size;
constexpr std::uint64_t first_slot = (sizeof(Redirection) + 63) / 64 * 64;

void protect(const Stub& stub, std::uint64_t start, std::uint64_t end, std::uint32_t prot) {
    if (const long r = arch::syscall(__NR_mprotect, start, end - start, prot); r < 0)
        fail(stub, int(-r), "cannot make the program's vDSO call this kernel's");
}

// The old data pages' place stays the program's vDSO's, since they may come back: nothing that the
// program maps may get between. Returns the last page of them, which can be written for now.
std::uint8_t* reserve_data_pages(const Stub& stub, const Mapping& program) {
    const std::uint64_t slots = program.start - page;
    bool in_front = false;
    for (const Mapping& m : mappings_of(stub)) {
        if (m.kind != MappingKind::vvar)
            continue;
        const long r =
            arch::syscall(__NR_mmap, m.start, m.end - m.start, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
        if (r != long(m.start))
            fail(stub, r < 0 ? int(-r) : EEXIST,
                 "cannot reserve the place of the program's vDSO data");
        in_front = in_front || m.end == program.start;
    }
    if (!in_front)
        fail(stub, EOPNOTSUPP,
             "the program's vDSO is that of another kernel and has no data pages in front of it, "
             "which rfork does not know how to redirect: resume on a host with the same kernel");
    protect(stub, slots, program.start, PROT_READ | PROT_WRITE);
    return reinterpret_cast<std::uint8_t*>(slots);
}

void copy_name(char (&to)[32], const char* from) {
    unsigned i = 0;
    for (; from[i] && i + 1 < sizeof to; ++i)
        to[i] = from[i];
    to[i] = '\0';
}

void leave_word(const Stub& stub, const Mapping& program, Redirection& redirection) {
    for (unsigned i = 0; i < sizeof redirection.magic; ++i)
        redirection.magic[i] = image::redirection_magic[i];
    redirection.vdso = program.start;
    redirection.vdso_end = program.end;
    for (const Mapping& m : mappings_of(stub)) {
        if (m.kind != MappingKind::vvar)
            continue;
        if (redirection.pieces == image::data_piece_limit)
            fail(stub, EOPNOTSUPP,
                 "the program's vDSO has more data mappings than rfork knows how to redirect");
        image::DataPiece& piece = redirection.piece[redirection.pieces++];
        piece.start = m.start;
        piece.end = m.end;
        copy_name(piece.name, string_at(stub, m.name));
    }
}

// The address of the function in this kernel's vDSO, by either of its names; 0 if it has none.
std::uint64_t function_here(const Stub& stub, const ElfObject& here, const char* name) {
    ElfObject::Function function;
    for (std::uint32_t i = 0; i < here.symbols(); ++i)
        if (here.function(i, function) &&
            arch::same_vdso_name(arch::plain_vdso_name(function.name), arch::plain_vdso_name(name)))
            return stub.vdso.start + function.offset;
    return 0;
}

void redirect_all(const Stub& stub, const Mapping& program, std::uint8_t* slots) {
    const ElfObject old(reinterpret_cast<const void*>(program.start), program.end - program.start);
    const ElfObject here(reinterpret_cast<const void*>(stub.vdso.start), stub.vdso.size());
    if (old.symbols() == 0)
        fail(stub, EBADMSG, "the program's vDSO, another kernel's, has no readable symbol table");
    std::uint8_t* slot = slots + first_slot;
    ElfObject::Function function;
    for (std::uint32_t i = 0; i < old.symbols(); ++i) {
        if (!old.function(i, function))
            continue;
        if (function.size < arch::vdso_entry_size || slot + arch::vdso_slot_size > slots + page)
            fail(stub, EOPNOTSUPP,
                 "the program's vDSO is another kernel's, and has a function that rfork does not "
                 "know how to redirect:",
                 function.name);
        if (const std::uint64_t target = function_here(stub, here, function.name))
            arch::write_jump(slot, target);
        else
            arch::write_without_vdso(slot, function.name);
        arch::write_vdso_entry(reinterpret_cast<std::uint8_t*>(program.start + function.offset),
                               slot);
        slot += arch::vdso_slot_size;
    }
}

} // namespace

void redirect_vdso(const Stub& stub, const Mapping& program) {
    std::uint8_t* slots = reserve_data_pages(stub, program);
    leave_word(stub, program, *reinterpret_cast<Redirection*>(slots));
    protect(stub, program.start, program.end, PROT_READ | PROT_WRITE);
    redirect_all(stub, program, slots);
    protect(stub, program.start - page, program.end, program.prot);
}

} // namespace rfork::stub
