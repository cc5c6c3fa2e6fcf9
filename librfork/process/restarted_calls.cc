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

// The nearest "mov $number, %eax" in front of the instruction, which is at the end of `code`.
bool find_in_code(pid_t tid, std::uint64_t instruction, std::uint64_t& number) {
    constexpr std::size_t reach = 48;
    constexpr std::uint8_t move_to_eax = 0xb8;
    std::uint8_t code[reach];
    if (peek_bytes(tid, instruction - reach, code, reach) != long(reach))
        return false;
    for (std::size_t at = reach - 5 + 1; at-- > 0;) {
        std::uint32_t value;
        std::memcpy(&value, code + at + 1, sizeof value);
        if (code[at] == move_to_eax && uses_restart(value)) {
            number = value;
            return true;
        }
    }
    return false;
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
    return find_in_code(tid, registers.rip - 2, registers.orig_rax);
}

} // namespace rfork::capture
