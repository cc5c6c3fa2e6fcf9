#include "process/restarted_calls.h"

#include "process/peek.h"

#include <cstring>
#include <sys/syscall.h>

namespace rfork::capture {
namespace {

struct Call {
    pid_t tid;
    std::uint32_t number;
    std::uint64_t rip, rsp, rdi, rsi, rdx; // libc's syscall(3) makes all calls at one place
};

bool is_same(const Call& call, pid_t tid, const arch::Registers& r) {
    return call.tid == tid && call.rip == r.rip && call.rsp == r.rsp && call.rdi == r.rdi &&
           call.rsi == r.rsi && call.rdx == r.rdx;
}

// One place for all threads whose ids are equal in the last bits: one of them may be forgotten.
constexpr unsigned places = 1024;
Call calls[places];

Call& place_of(pid_t tid) {
    return calls[unsigned(tid) % places];
}

bool uses_restart(std::uint32_t number) {
    return number == SYS_poll || number == SYS_nanosleep || number == SYS_clock_nanosleep ||
           number == SYS_futex;
}

// The nearest "mov $number, %<register>" in front of an address, of `opcode`.
bool find_in_code(pid_t tid, std::uint64_t behind, std::uint8_t opcode, std::uint64_t& number) {
    constexpr std::size_t reach = 48;
    std::uint8_t code[reach];
    if (peek_bytes(tid, behind - reach, code, reach) != long(reach))
        return false;
    for (std::size_t at = reach - 5 + 1; at-- > 0;) {
        std::uint32_t value;
        std::memcpy(&value, code + at + 1, sizeof value);
        if (code[at] == opcode && uses_restart(value)) {
            number = value;
            return true;
        }
    }
    return false;
}

// libc's syscall(3), which moves all arguments by one register: what it was called with is loaded in
// front of the call that it returns to.
bool find_in_caller(pid_t tid, const arch::Registers& registers, std::uint64_t& number) {
    constexpr std::uint8_t move_to_edi = 0xbf;
    constexpr std::uint8_t moves[] = {0x48, 0x89, 0xf8,             // mov %rdi, %rax
                                      0x48, 0x89, 0xf7,             // mov %rsi, %rdi
                                      0x48, 0x89, 0xd6,             // mov %rdx, %rsi
                                      0x48, 0x89, 0xca,             // mov %rcx, %rdx
                                      0x4d, 0x89, 0xc2,             // mov %r8, %r10
                                      0x4d, 0x89, 0xc8,             // mov %r9, %r8
                                      0x4c, 0x8b, 0x4c, 0x24, 0x08, // mov 8(%rsp), %r9
                                      0x0f, 0x05};                  // syscall
    std::uint8_t code[sizeof moves];
    std::uint64_t return_address = 0;
    return peek_bytes(tid, registers.rip - sizeof code, code, sizeof code) == long(sizeof code) &&
           std::memcmp(code, moves, sizeof code) == 0 && peek(tid, registers.rsp, return_address) &&
           find_in_code(tid, return_address, move_to_edi, number);
}

} // namespace

void remember_call(pid_t tid, const arch::Registers& registers) {
    if (registers.orig_rax != SYS_restart_syscall)
        place_of(tid) = {tid,           std::uint32_t(registers.orig_rax),
                         registers.rip, registers.rsp,
                         registers.rdi, registers.rsi,
                         registers.rdx};
}

bool recall_call(pid_t tid, arch::Registers& registers) {
    if (registers.orig_rax != SYS_restart_syscall)
        return true;
    const Call& call = place_of(tid);
    if (is_same(call, tid, registers)) {
        registers.orig_rax = call.number;
        return true;
    }
    constexpr std::uint8_t move_to_eax = 0xb8;
    return find_in_code(tid, registers.rip - 2, move_to_eax, registers.orig_rax) ||
           find_in_caller(tid, registers, registers.orig_rax);
}

} // namespace rfork::capture
