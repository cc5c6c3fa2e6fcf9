// All memory that librfork allocates.
//
// Inside rfork() it comes from the session and is given back with it; outside, from libc. The
// build binds operator new and delete of this library, and malloc and its kin as libelf and
// libsodium call them, to the functions here (librfork/CMakeLists.txt); nobody else's are touched.
#include "api/arena.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <sys/syscall.h>
#include <unistd.h>

namespace rfork::api {

thread_local bool call_in_progress = false;

namespace {

thread_local Session* current = nullptr;

// A copy that wakes up elsewhere still has the pointer, but not the session: C++ runs on the
// session's own stack or the session is not there.
Session* session_here() {
    const auto here = reinterpret_cast<std::uint64_t>(__builtin_frame_address(0));
    const auto start = reinterpret_cast<std::uint64_t>(current);
    return current && here > start && here < start + session_arena_start ? current : nullptr;
}

constexpr std::size_t header = 16; // the size, and keeps alignment

void* take(Session* session, std::size_t size) {
    if (size > session->size)
        return nullptr;
    const std::uint64_t need = (size + header + 15) / 16 * 16;
    if (need > session->size - session->arena_used)
        return nullptr;
    auto* block = reinterpret_cast<std::uint8_t*>(session) + session->arena_used;
    session->arena_used += need;
    std::memcpy(block, &size, sizeof size);
    return block + header;
}

// Outside of a call, where malloc has nothing left: a failure must be told of, and that needs a
// little. When all of it has been given back, it is whole again.
struct Reserve {
    alignas(16) std::uint8_t bytes[32 * 1024];
    std::size_t used = 0, blocks = 0;
    std::uint32_t taken = 0;

    void enter() {
        while (__atomic_exchange_n(&taken, 1u, __ATOMIC_ACQUIRE))
            arch::syscall(SYS_sched_yield);
    }
    void leave() { __atomic_store_n(&taken, 0u, __ATOMIC_RELEASE); }

    void* take(std::size_t size) {
        enter();
        void* block = nullptr;
        const std::size_t need = (size + 15) / 16 * 16;
        if (size <= sizeof bytes && need <= sizeof bytes - used) {
            block = bytes + used;
            used += need;
            ++blocks;
        }
        leave();
        return block;
    }
    bool give_back(const void* pointer) {
        const auto* at = static_cast<const std::uint8_t*>(pointer);
        if (at < bytes || at >= bytes + sizeof bytes)
            return false;
        enter();
        if (--blocks == 0)
            used = 0;
        leave();
        return true;
    }
} reserve;

bool from(const Session* session, const void* pointer) {
    const auto at = reinterpret_cast<std::uint64_t>(pointer);
    return session && at >= session->start() && at < session->start() + session->size;
}

} // namespace

ActiveSession::ActiveSession(Session* session) {
    session->outer = current;
    current = session;
}

ActiveSession::~ActiveSession() {
    current = current->outer;
}

extern "C" {

void* rfork_malloc(std::size_t size) {
    Session* session = session_here();
    return session ? take(session, size) : std::malloc(size);
}

void rfork_free(void* pointer) {
    if (!from(session_here(), pointer) && !reserve.give_back(pointer))
        std::free(pointer);
}

void* rfork_calloc(std::size_t count, std::size_t size) {
    std::size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return nullptr;
    Session* session = session_here();
    return session ? take(session, total) : std::calloc(1, total); // fresh pages are zero
}

void* rfork_realloc(void* old, std::size_t size) {
    Session* session = session_here();
    if (!session)
        return std::realloc(old, size);
    void* block = take(session, size);
    if (block && old) {
        std::size_t had;
        std::memcpy(&had, static_cast<std::uint8_t*>(old) - header, sizeof had);
        std::memcpy(block, old, had < size ? had : size);
    }
    return block;
}

int rfork_posix_memalign(void** block, std::size_t alignment, std::size_t size) {
    Session* session = session_here();
    if (!session)
        return ::posix_memalign(block, alignment, size);
    auto* raw = static_cast<std::uint8_t*>(take(session, size + alignment));
    if (!raw)
        return 12; // ENOMEM
    const auto at = (reinterpret_cast<std::uint64_t>(raw) + alignment - 1) / alignment * alignment;
    *block = reinterpret_cast<void*>(at);
    return 0;
}

void* take_of_reserve(std::size_t size) {
    return session_here() ? nullptr : reserve.take(size);
}

// Reached only when the arena is used up, which only the copy's tables of an enormous process can
// do: the copy ends, and the caller says so.
[[noreturn]] void rfork_out_of_memory() {
    _exit(exit_out_of_memory);
}
}

} // namespace rfork::api

void* operator new(std::size_t size) {
    if (void* block = rfork::api::rfork_malloc(size))
        return block;
    if (void* block = rfork::api::take_of_reserve(size))
        return block;
    rfork::api::rfork_out_of_memory();
}
void operator delete(void* pointer) noexcept {
    rfork::api::rfork_free(pointer);
}
void operator delete(void* pointer, std::size_t) noexcept {
    rfork::api::rfork_free(pointer);
}

// What the templates of the standard library call on broken promises; libstdc++ itself is not
// linked. None of these can happen in code that checks sizes, which ours does.
namespace std {
[[noreturn]] void __throw_length_error(const char*) {
    rfork::api::rfork_out_of_memory();
}
[[noreturn]] void __throw_logic_error(const char*) {
    rfork::api::rfork_out_of_memory();
}
[[noreturn]] void __throw_out_of_range_fmt(const char*, ...) {
    rfork::api::rfork_out_of_memory();
}
[[noreturn]] void __throw_bad_alloc() {
    rfork::api::rfork_out_of_memory();
}
[[noreturn]] void __throw_bad_array_new_length() {
    rfork::api::rfork_out_of_memory();
}
} // namespace std
