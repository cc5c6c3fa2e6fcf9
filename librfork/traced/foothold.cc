#include "traced/foothold.h"

#include "agent/agent.h"
#include "arch/x86_64/signal_frame.h"
#include "base/clock.h"
#include "base/proc.h"
#include "base/unique_fd.h"
#include "process/peek.h"
#include "process/ptrace.h"
#include "process/stops.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {
extern const std::uint8_t rfork_foothold[] __attribute__((visibility("hidden")));
extern const std::uint8_t rfork_foothold_done[] __attribute__((visibility("hidden")));
extern const std::uint8_t rfork_foothold_end[] __attribute__((visibility("hidden")));
}

namespace rfork::capture {
namespace {

constexpr std::uint64_t page = 4096, red_zone = 128;
constexpr std::uint64_t for_handlers = 8 * page; // which may run below the way back

std::size_t code_size() {
    return std::size_t(rfork_foothold_end - rfork_foothold);
}

const MemoryMapEntry* entry_at(const std::vector<MemoryMapEntry>& map, std::uint64_t address) {
    for (const MemoryMapEntry& e : map)
        if (address >= e.start && address < e.end)
            return &e;
    return nullptr;
}

bool is_own_memory(const MemoryMapEntry& e) {
    return !e.shared && (e.prot & (PROT_READ | PROT_WRITE)) == (PROT_READ | PROT_WRITE);
}

bool may_hold_code(const MemoryMapEntry& e) {
    return !e.shared &&
           (e.prot & (PROT_READ | PROT_EXEC | PROT_WRITE)) == (PROT_READ | PROT_EXEC) &&
           (e.name == "[vdso]" || e.name.starts_with('/'));
}

std::size_t code_room() {
    return (code_size() + 15) / 16 * 16;
}

// None if they cannot be read.
std::vector<std::uint8_t> bytes_at(pid_t pid, std::uint64_t address, std::size_t size) {
    std::vector<std::uint8_t> bytes(size);
    if (peek_bytes(pid, address, bytes.data(), size) != long(size))
        bytes.clear();
    return bytes;
}

bool holds_zeroes(pid_t pid, std::uint64_t address) {
    const std::vector<std::uint8_t> bytes = bytes_at(pid, address, code_room());
    return !bytes.empty() &&
           std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

std::string process_file(pid_t pid, const char* name) {
    return "/proc/" + std::to_string(pid) + "/" + name;
}

} // namespace

bool poke_bytes(pid_t pid, std::uint64_t address, const void* from, std::size_t size) {
    const UniqueFd memory(open(process_file(pid, "mem").c_str(), O_RDWR | O_CLOEXEC));
    return memory && pwrite(memory.get(), from, size, off_t(address)) == ssize_t(size);
}

// The last bytes of a page of code: zeroes, or what a freezer that was killed has put there.
bool Foothold::find_code(const std::vector<MemoryMapEntry>& map) {
    std::vector<const MemoryMapEntry*> candidates;
    for (const MemoryMapEntry& e : map)
        if (may_hold_code(e))
            e.name == "[vdso]" ? void(candidates.insert(candidates.begin(), &e))
                               : candidates.push_back(&e);
    for (const MemoryMapEntry* e : candidates) {
        code_.address = e->end - code_room();
        if (holds_zeroes(pid_, code_.address) || left_in(pid_, *e).end)
            return true;
    }
    return false;
}

Range Foothold::left_in(pid_t pid, const MemoryMapEntry& e) {
    if (!may_hold_code(e))
        return {};
    const std::uint64_t at = e.end - code_room();
    const std::vector<std::uint8_t> tail = bytes_at(pid, at, code_size());
    if (tail.empty() || std::memcmp(tail.data(), rfork_foothold, tail.size()) != 0)
        return {};
    return {at, at + code_size()};
}

// Memory that no program has written to or read: there is no page.
bool Foothold::is_untouched(std::uint64_t start, std::uint64_t end) const {
    const UniqueFd pagemap(open(process_file(pid_, "pagemap").c_str(), O_RDONLY | O_CLOEXEC));
    for (std::uint64_t at = start; at < end; at += page) {
        constexpr std::uint64_t present = std::uint64_t(1) << 63, swapped = std::uint64_t(1) << 62;
        std::uint64_t entry = 0;
        if (pread(pagemap.get(), &entry, sizeof entry, off_t(at / page * sizeof entry)) !=
                sizeof entry ||
            entry & (present | swapped))
            return false;
    }
    return true;
}

// Below the thread's stack, if that is the main thread's, or one that libc has made, where the
// thread pointer is in the same memory. Stacks of coroutines and of goroutines are small, and what
// lies below them may be anything.
std::uint64_t Foothold::find_scratch(std::size_t size,
                                     const std::vector<MemoryMapEntry>& map) const {
    const std::uint64_t top = (thread_.here.rsp - red_zone) / 64 * 64;
    const MemoryMapEntry* stack = entry_at(map, top);
    if (stack && is_own_memory(*stack) && top - stack->start >= size + for_handlers &&
        (stack->name == "[stack]" ||
         (thread_.here.fs_base > thread_.here.rsp && thread_.here.fs_base < stack->end)))
        return top - size;
    for (const MemoryMapEntry& e : map)
        if (e.name == "[stack]" && is_own_memory(e) &&
            e.end - e.start > 2 * (size + for_handlers) &&
            is_untouched(e.start, e.start + for_handlers + (size + page - 1) / page * page))
            return e.start + for_handlers;
    return 0;
}

Result<void> Foothold::write(Patch& patch, const void* bytes, std::size_t size) {
    std::vector<std::uint8_t> before(size);
    if (peek_bytes(pid_, patch.address, before.data(), size) != long(size) ||
        !poke_bytes(pid_, patch.address, bytes, size))
        return Error{EAGAIN, "cannot write into the memory of process " + std::to_string(pid_) +
                                 " (/proc/PID/mem): try again, and see that this kernel lets "
                                 "tracers write there (proc_mem.force_override)"};
    patch.before = std::move(before);
    return {};
}

Result<void> Foothold::enter(const Position& thread, const std::vector<MemoryMapEntry>& map) {
    thread_ = thread;
    const ReturnFrame frame(thread_);
    const std::size_t size = frame.size() + 64; // and the time it waits
    if (!find_code(map) || !(scratch_.address = find_scratch(size, map)))
        return Error{EAGAIN, "process " + std::to_string(pid_) +
                                 " leaves no place for code that would ask the kernel in its name: "
                                 "try again"};
    std::vector<std::uint8_t> bytes(size);
    const agent::Timespec patience{2, 0};
    std::memcpy(bytes.data() + frame.size(), &patience, sizeof patience);
    patience_ = scratch_.address + frame.size();
    frame_ = frame.build(scratch_.address, bytes.data());
    if (!frame_)
        return Error{ENOTSUP, "process " + std::to_string(pid_) +
                                  " holds values in vector registers that rfork does not know"};
    if (Result<void> r = write(scratch_, bytes.data(), size); !r)
        return r;
    entered_ = true;
    const Result<void> written = write(code_, rfork_foothold, code_size());
    std::fill(code_.before.begin(), code_.before.end(), std::uint8_t(0)); // a killed one's, too
    return written;
}

bool Foothold::stop_again() {
    const std::uint64_t deadline = monotonic_ns() + patience_ns;
    interrupt(thread_.tid);
    for (;;) {
        const Change change = look(thread_.tid);
        if (change != Change::nothing)
            return change == Change::stopped;
        if (!wait_for_change(deadline))
            return false;
    }
}

// As it is behind the call, and may be in it. Stopped before it has come to run, on a host with much
// to do, it would never get on.
void Foothold::wait_until_asleep() const {
    const std::string stat = process_file(pid_, "task/") + std::to_string(thread_.tid) + "/stat";
    const std::uint64_t deadline = monotonic_ns() + patience_ns / 10;
    for (long pause = 10'000; monotonic_ns() < deadline; pause = std::min(2 * pause, 5'000'000L)) {
        const std::string fields = fields_in_stat(text_of(stat));
        if (fields.empty() || fields[0] != 'R')
            return;
        const timespec a_moment{0, pause};
        arch::syscall(SYS_nanosleep, &a_moment, nullptr);
    }
}

// Whether it has got beyond the call.
Result<bool> Foothold::run_for_a_moment() {
    if (trace(PTRACE_CONT, thread_.tid, 0, 0) < 0)
        return died(thread_.tid);
    wait_until_asleep();
    arch::Registers now;
    if (!stop_again() || get_registers(thread_.tid, now) < 0)
        return died(thread_.tid);
    const auto done = std::uint64_t(rfork_foothold_done - rfork_foothold);
    const std::uint64_t at = now.rip - code_.address;
    if (at > code_size())
        return Error{EAGAIN, "this host has too much to do to freeze process " +
                                 std::to_string(pid_) + " now: try again later"};
    return at >= done;
}

Result<long> Foothold::call(long number, std::uint64_t a, std::uint64_t b, std::uint64_t c,
                            std::uint64_t d, std::uint64_t e, std::uint64_t f) {
    arch::Registers call = thread_.here;
    call.rip = code_.address;
    call.rsp = scratch_.address;
    call.r13 = frame_ + 8; // as if the handler had returned through pretcode
    call.rax = std::uint64_t(number);
    call.orig_rax = ~std::uint64_t(0);
    call.eflags = 0x202;
    call.rdi = a, call.rsi = b, call.rdx = c, call.r10 = d, call.r8 = e, call.r9 = f;
    call.r12 = patience_;
    // The patience is what is left of it after each call.
    const agent::Timespec patience{2, 0};
    poke_bytes(pid_, patience_, &patience, sizeof patience);
    // In this order: with its own mask in our code it comes back, without it nowhere.
    if (set_registers(thread_.tid, call) < 0 || set_mask(thread_.tid, all_signals) < 0)
        return died(thread_.tid);
    for (;;) {
        const Result<bool> done = run_for_a_moment();
        if (!done)
            return done.error();
        arch::Registers now;
        if (!*done)
            continue;
        if (get_registers(thread_.tid, now) < 0)
            return died(thread_.tid);
        const auto first = std::uint64_t(rfork_foothold_done - rfork_foothold);
        const bool before_move = now.rip - code_.address == first;
        return long(before_move ? now.rax : now.rbx);
    }
}

void Foothold::leave() {
    if (!entered_)
        return;
    entered_ = false;
    set_mask(thread_.tid, thread_.mask);
    set_registers(thread_.tid, thread_.here);
    erase_in(pid_);
}

void Foothold::erase_in(pid_t process) const {
    for (const Patch* patch : {&scratch_, &code_})
        if (!patch->before.empty())
            poke_bytes(process, patch->address, patch->before.data(), patch->before.size());
}

} // namespace rfork::capture
