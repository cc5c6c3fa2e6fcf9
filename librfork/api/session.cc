// Compiled with -mgeneral-regs-only: entry.S calls in while vector registers are the caller's.
#include "api/session.h"

#include "arch/x86_64/offsets.h"

#include <asm/unistd.h>
#include <linux/mman.h>

namespace rfork::api {

static_assert(offsetof(Session, registers) == SESSION_REGISTERS);
static_assert(offsetof(Session, stack_top) == SESSION_STACK_TOP);
static_assert(offsetof(Session, uses_xsave) == SESSION_USES_XSAVE);
static_assert(offsetof(arch::Registers, rip) == REG_RIP &&
              offsetof(arch::Registers, rsp) == REG_RSP &&
              offsetof(arch::Registers, eflags) == REG_EFLAGS);
static_assert(SESSION_XSTATE + arch::xstate_limit <= session_helper_stack_bottom);

namespace {

constexpr std::uint64_t page = 4096;
constexpr int prot_rw = PROT_READ | PROT_WRITE;

// Address space, not memory: pages come as they are touched. A huge process needs long tables; a
// process under a tight RLIMIT_AS gets what there is.
constexpr std::uint64_t sizes[] = {1ull << 30, 1ull << 28, 1ull << 26, 1ull << 24, 1ull << 22};

// In a program that has locked all its future memory (mlockall(2)), a writable mapping would be
// filled with pages at once; so it is unlocked before it becomes writable.
long map(std::uint64_t size) {
    const long address = arch::syscall(__NR_mmap, 0, size, PROT_NONE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address < 0)
        return address;
    arch::syscall(__NR_munlock, address, size);
    const std::uint64_t parts[] = {0, session_helper_stack_bottom, session_stack_bottom, size};
    long result = 0;
    for (unsigned i = 0; i < 3 && result == 0; ++i) {
        const std::uint64_t start = parts[i] + (i ? page : 0); // behind a guard page
        result = arch::syscall(__NR_mprotect, address + start, parts[i + 1] - start, prot_rw);
    }
    if (result == 0)
        return address;
    arch::syscall(__NR_munmap, address, size);
    return result;
}

} // namespace

extern "C" Session* rfork_session_create() {
    for (std::uint64_t size : sizes) {
        const long address = map(size);
        if (address < 0)
            continue;
        auto* session = reinterpret_cast<Session*>(address);
        session->stack_top = session->start() + session_arena_start;
        session->uses_xsave = arch::has_xsave();
        session->size = size;
        session->arena_used = session_arena_start;
        return session;
    }
    return nullptr;
}

extern "C" void rfork_session_destroy(Session* session) {
    arch::syscall(__NR_munmap, session, session->size);
}

} // namespace rfork::api
