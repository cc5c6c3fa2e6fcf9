// All threads of the program.
//
// The stub's own thread becomes the program's main thread. For every other one it makes a thread
// with a stack in the window, and that thread asks the kernel for what it had: thread pointer, tid
// word, robust list, restartable sequences, name, scheduling, signals. Then it waits. So far
// nothing of the program has run; when all are ready, and everything else is in place, the claim is
// won and all of them leave (leave()).
//
//   caller      the thread that froze the program: by rt_sigreturn from the window to rfork_landing,
//               which waits for the others and unmaps the window
//   others      through `departure`, code of the program's own librfork, with a signal frame in the
//               part of the window that stays
//   main thread that had ended before the freeze: likewise, but to its end
//
// A program that was frozen from outside has no such code. With it all threads leave as the others
// do, through a few instructions in front of their frames that stay for ever (stub_door).
#include "arch/x86_64/thread_frame.h"
#include "format/kinds.h"
#include "format/records/thread.h"
#include "stub/stub.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/futex.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/sched.h>

namespace rfork::stub {

// arch/x86_64/stub_start.S: leaves for the program; the frame is read by the kernel, and never used
// again.
extern "C" [[noreturn]] void stub_leave(arch::SignalFrame*);
// The same by way of the program's departure code.
extern "C" [[noreturn]] void stub_depart(std::uint64_t departure, arch::SignalFrame*,
                                         std::uint32_t* counter, std::uint64_t start,
                                         std::uint64_t size);
// arch/x86_64/stub_start.S
extern "C" const std::uint8_t stub_door[] __attribute__((visibility("hidden"))),
    stub_door_end[] __attribute__((visibility("hidden")));
// clone3(2); the new thread begins with stub_thread().
extern "C" long stub_clone(const clone_args*, std::size_t size, Stub*, const kinds::ThreadRecord*,
                           unsigned index);
extern "C" [[noreturn, gnu::visibility("hidden"), gnu::used]] void
stub_thread(Stub&, const kinds::ThreadRecord&, unsigned index);

namespace {

using arch::ThreadFrame;
using kinds::ThreadRecord;

constexpr unsigned everybody = 0x7fffffff;

// At the top of each new thread's stack.
struct ThreadPlace {
    std::int32_t frozen_tid;
    std::int32_t tid;
    std::uint64_t frame; // of size
    std::uint64_t frame_size;
    std::uint8_t pad[40];
};
static_assert(sizeof(ThreadPlace) == 64);

// What the threads wait for, in Stub::go.
enum : std::uint32_t { go_and_queue = 1, go_and_leave };

std::uint64_t stack_of(const Stub& stub, unsigned index) {
    return stub.header->window.stacks + index * image::thread_stack_size;
}

ThreadPlace& place_of(const Stub& stub, unsigned index) {
    return reinterpret_cast<ThreadPlace*>(stack_of(stub, index + 1))[-1];
}

std::uint32_t& departure_counter(const Stub& stub) {
    return *reinterpret_cast<std::uint32_t*>(stub.header->window.frames);
}

void wait_while(std::uint32_t& word, std::uint32_t value) {
    while (__atomic_load_n(&word, __ATOMIC_ACQUIRE) == value)
        arch::syscall(__NR_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

void wake(std::uint32_t& word) {
    arch::syscall(__NR_futex, &word, FUTEX_WAKE_PRIVATE, everybody, nullptr, nullptr, 0);
}

void get_ready(Stub& stub) {
    __atomic_add_fetch(&stub.ready, 1, __ATOMIC_RELEASE);
    wake(stub.ready);
}

void wait_until_ready(Stub& stub, std::uint32_t wanted) {
    std::uint32_t ready;
    while ((ready = __atomic_load_n(&stub.ready, __ATOMIC_ACQUIRE)) < wanted)
        wait_while(stub.ready, ready);
}

void go(Stub& stub, std::uint32_t where) {
    __atomic_store_n(&stub.go, where, __ATOMIC_RELEASE);
    if (stub.threads)
        wake(stub.go);
}

// libc keeps the tid where set_tid_address pointed, and takes it for its own in mutexes and
// raise().
void restore_tid(const ThreadRecord& thread) {
    arch::syscall(__NR_set_tid_address, thread.tid_address);
    if (!thread.tid_address)
        return;
    auto* word = reinterpret_cast<std::int32_t*>(thread.tid_address);
    if (*word == thread.tid) // other libcs keep other things there
        *word = std::int32_t(arch::syscall(__NR_gettid));
}

void restore_registrations(const Stub& stub, const ThreadRecord& thread) {
    if (thread.robust_list)
        if (long r =
                arch::syscall(__NR_set_robust_list, thread.robust_list, thread.robust_list_size);
            r < 0)
            fail(stub, int(-r), "cannot register the thread's robust mutexes again");
    if (thread.rseq) {
        const long r =
            arch::syscall(__NR_rseq, thread.rseq, thread.rseq_size, 0, thread.rseq_signature);
        if (r < 0)
            fail(stub, int(-r), "cannot register the thread's restartable sequences again");
    }
    const arch::AlternateStack stack{thread.altstack_sp, std::int32_t(thread.altstack_flags), 0,
                                     thread.altstack_size};
    if (long r = arch::syscall(__NR_sigaltstack, &stack, nullptr); r < 0)
        fail(stub, int(-r), "cannot restore the thread's alternate signal stack");
}

constexpr std::uint32_t idle_policy = 5; // SCHED_IDLE
constexpr int priority_of_process = 0;   // PRIO_PROCESS

bool is_real_time(std::uint32_t policy) {
    constexpr std::uint32_t fifo = 1, round_robin = 2, deadline = 6;
    return policy == fifo || policy == round_robin || policy == deadline;
}

// A nice value that this host does not grant stays what the image was started with; a program that
// had real-time priority may not work without.
void restore_scheduling(const Stub& stub, const ThreadRecord& thread) {
    kinds::Scheduling wanted = thread.scheduling;
    kinds::Scheduling now{};
    arch::syscall(__NR_sched_getattr, 0, &now, sizeof now, 0);
    if (!wanted.size || (now.policy == wanted.policy && now.nice == wanted.nice &&
                         now.priority == wanted.priority && now.flags == wanted.flags))
        return;
    if (wanted.runtime == now.runtime)
        wanted.runtime = 0; // from Linux 6.12 on the length of a slice, here the default
    const long r = arch::syscall(__NR_sched_setattr, 0, &wanted, 0);
    if (r < 0 && is_real_time(wanted.policy))
        fail(stub, int(-r),
             "cannot give a thread of the program its real-time priority again (raise ulimit -r)");
    if (wanted.policy == idle_policy) // of which sched_setattr(2) leaves the nice value
        arch::syscall(__NR_setpriority, priority_of_process, 0, wanted.nice);
}

void restore_attributes(const ThreadRecord& thread) {
    arch::syscall(__NR_prctl, PR_SET_NAME, thread.name);
    arch::syscall(__NR_prctl, PR_SET_TIMERSLACK, thread.timer_slack);
    // These two a thread has from the one that makes it.
    arch::syscall(__NR_prctl, PR_MCE_KILL, PR_MCE_KILL_SET, thread.machine_checks, 0, 0);
    arch::syscall(__NR_prctl, PR_SET_TSC,
                  thread.flags & kinds::thread_without_tsc ? PR_TSC_SIGSEGV : PR_TSC_ENABLE);
}

void build_frame(const Stub& stub, const ThreadRecord& thread, std::uint8_t* xstate,
                 std::uint64_t room, arch::SignalFrame& frame) {
    const arch::FrameContent content{
        thread.registers,
        thread.xstate(),
        thread.layout,
        {thread.altstack_sp, std::int32_t(thread.altstack_flags), 0, thread.altstack_size},
        thread.signal_mask};
    const arch::FrameError e =
        arch::build_frame(content, stub.xsave, stub.xcr0, xstate, room, frame);
    if (e.error)
        fail(stub, e.error, e.why);
}

void become(const Stub& stub, const ThreadRecord& thread) {
    if (long r = arch::set_segment_bases(thread.registers); r < 0)
        fail(stub, int(-r), "cannot restore the thread pointer");
    restore_tid(thread);
    restore_registrations(stub, thread);
    restore_attributes(thread);
}

std::uint64_t frame_size_of(const ThreadRecord& thread) {
    const auto in_use =
        *reinterpret_cast<const std::uint64_t*>(thread.xstate() + arch::xstate_bv_offset);
    return in_use & arch::xstate_amx ? image::large_frame_size : image::frame_size;
}

// The frame of a thread that leaves while nobody watches, in the part of the window that stays.
arch::SignalFrame* kept_frame(const Stub& stub, const ThreadRecord& thread, std::uint64_t at) {
    const std::uint64_t xstate_room = (frame_size_of(thread) - sizeof(arch::SignalFrame)) / 64 * 64;
    auto* frame = reinterpret_cast<arch::SignalFrame*>(at + xstate_room);
    build_frame(stub, thread, reinterpret_cast<std::uint8_t*>(at), xstate_room, *frame);
    return frame;
}

std::uint64_t take_frame(Stub& stub, const ThreadRecord& thread) {
    if (!stub.next_frame)
        stub.next_frame = stub.header->window.frames + image::frames_header_size;
    const std::uint64_t frame = stub.next_frame;
    stub.next_frame += frame_size_of(thread);
    return frame;
}

bool leaves_by_door(const ThreadRecord& thread) {
    return thread.departure == 0;
}

// When all frames are there. From then on they are only read, and never go.
void hang_door(const Stub& stub) {
    const image::Window& window = stub.header->window;
    auto* to = reinterpret_cast<std::uint8_t*>(window.frames);
    const auto size = std::uint64_t(stub_door_end - stub_door);
    constexpr std::uint64_t magic = image::frames_header_size - sizeof image::door_magic;
    if (size > magic)
        fail(stub, EBADMSG, "the stub's way out is larger than its place");
    __builtin_memcpy(to, stub_door, size);
    __builtin_memcpy(to + magic, image::door_magic, sizeof image::door_magic);
    if (long r = arch::syscall(__NR_mprotect, window.frames, window.end - window.frames,
                               PROT_READ | PROT_EXEC);
        r < 0)
        fail(stub, int(-r), "cannot make the way out of the resume executable");
}

[[noreturn]] void depart(Stub& stub, const ThreadRecord& thread, arch::SignalFrame* frame) {
    const image::Window& window = stub.header->window;
    if (leaves_by_door(thread))
        stub_depart(window.frames, frame, &stub.inside, window.base, window.frames - window.base);
    stub_depart(thread.departure, frame, &departure_counter(stub), 0, 0);
}

// Then it becomes the main thread, whether it was that or not.
bool is_only_one(const Stub& stub) {
    unsigned count = 0;
    Records records(stub);
    while (const image::RecordHeader* record = records.next())
        count += record->kind == image::Kind::thread;
    return count == 1;
}

constexpr unsigned patience_s = 2;

void pause_briefly() {
    const struct { std::int64_t s, ns; } time = {0, 200'000};
    arch::syscall(__NR_nanosleep, &time, nullptr);
}

// Makes the thread; it goes on in stub_thread().
void start(Stub& stub, const ThreadRecord& thread) {
    const unsigned index = stub.threads++;
    ThreadPlace& place = place_of(stub, index);
    place.frozen_tid = thread.tid;
    if (&thread != stub.caller || leaves_by_door(thread))
        place.frame = take_frame(stub, thread);

    clone_args args{};
    args.flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                 CLONE_SETTLS;
    args.stack = stack_of(stub, index);
    args.stack_size = image::thread_stack_size - sizeof(ThreadPlace);
    args.tls = thread.registers.fs_base;
    if (stub.keeps_ids) {
        args.set_tid = reinterpret_cast<std::uint64_t>(&thread.tid);
        args.set_tid_size = 1;
    }
    // The number of a thread that has just ended, such as one of the caller's before an exec, is
    // free a moment later than it looks.
    const Deadline soon(patience_s);
    long tid;
    while ((tid = stub_clone(&args, sizeof args, &stub, &thread, index)) == -EEXIST &&
           !soon.passed())
        pause_briefly();
    if (tid == -EEXIST)
        fail(stub, EEXIST,
             "cannot give a thread of the program its id again: somebody has taken "
             "it meanwhile; try again");
    if (tid < 0)
        fail(stub, int(-tid), "cannot make a thread of the program again (raise ulimit -u)");
    place.tid = std::int32_t(tid);
}

} // namespace

std::int32_t tid_now(const Stub& stub, std::int32_t frozen_tid) {
    for (unsigned i = 0; i < stub.threads; ++i)
        if (place_of(stub, i).frozen_tid == frozen_tid)
            return place_of(stub, i).tid;
    return std::int32_t(arch::syscall(__NR_getpid));
}

// In a new thread, all signals blocked.
void stub_thread(Stub& stub, const ThreadRecord& thread, unsigned index) {
    become(stub, thread);
    restore_scheduling(stub, thread);
    const std::uint64_t at = place_of(stub, index).frame;
    ThreadFrame own;
    arch::SignalFrame* frame = &own.signal;
    if (at)
        frame = kept_frame(stub, thread, at);
    else
        build_frame(stub, thread, own.xstate, sizeof own.xstate, own.signal);
    get_ready(stub);
    wait_while(stub.go, 0);
    if (__atomic_load_n(&stub.go, __ATOMIC_ACQUIRE) == go_and_queue) {
        queue_pending_signals(stub, thread.tid);
        get_ready(stub);
        wait_while(stub.go, go_and_queue);
    }
    return_rights(stub);
    if (at)
        depart(stub, thread, frame);
    stub_leave(frame);
}

void restore_thread(Stub& stub, const image::RecordHeader& header) {
    const auto& thread = as<ThreadRecord>(header);
    if (!stub.caller)
        stub.caller = &thread;
    if (thread.flags & kinds::thread_leads || (!stub.keeps_ids && is_only_one(stub))) {
        stub.leader = &thread;
        become(stub, thread);
    } else {
        start(stub, thread);
    }
}

void leave(Stub& stub) {
    if (!stub.caller)
        fail(stub, EBADMSG, "the image holds no thread");
    const ThreadRecord* leader = stub.leader;
    if (leader) // only now, as the other threads would have inherited it
        restore_scheduling(stub, *leader);
    const bool by_door = leaves_by_door(*stub.caller);
    const bool leads = leader == stub.caller && !by_door;
    ThreadFrame own;
    arch::SignalFrame* frame = nullptr;
    if (leads)
        build_frame(stub, *leader, own.xstate, sizeof own.xstate, own.signal);
    else if (leader)
        frame = kept_frame(stub, *leader, take_frame(stub, *leader));
    wait_until_ready(stub, stub.threads);
    if (any_signal_waits_for_a_thread(stub)) {
        go(stub, go_and_queue);
        if (leader)
            queue_pending_signals(stub, leader->tid);
        wait_until_ready(stub, 2 * stub.threads);
    }
    if (by_door)
        hang_door(stub);
    stub.inside = stub.threads + 1;
    // This thread and the others, without the caller: as many as there are others.
    if (stub.threads && !by_door)
        departure_counter(stub) = stub.threads;

    await_guard(stub);
    claim(stub);
    return_lent_identity(stub);
    close_private_descriptors(stub);
    close_temporary_descriptors(stub);
    apply_final_limits(stub);
    pass_the_door(stub);
    go(stub, go_and_leave);
    if (leads)
        stub_leave(&own.signal);
    depart(stub, *stub.caller, frame);
}

} // namespace rfork::stub
