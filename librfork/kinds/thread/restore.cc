#include "arch/x86_64/stub_frame.h"
#include "kinds/thread/record.h"
#include "stub/stub.h"

#include <asm/unistd.h>
#include <linux/errno.h>

namespace rfork::stub {
namespace {

// libc keeps the tid where set_tid_address pointed, and takes it for its own in mutexes and
// raise().
void restore_tid(const Stub&, const kinds::ThreadRecord& thread) {
    arch::syscall(__NR_set_tid_address, thread.tid_address);
    if (thread.tid_address)
        *reinterpret_cast<std::int32_t*>(thread.tid_address) =
            std::int32_t(arch::syscall(__NR_gettid));
}

void restore_registrations(const Stub& stub, const kinds::ThreadRecord& thread) {
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

} // namespace

void restore_thread(Stub& stub, const image::RecordHeader& header) {
    const auto& thread = as<kinds::ThreadRecord>(header);
    set_segment_bases(stub, thread);
    restore_tid(stub, thread);
    restore_registrations(stub, thread);
    stub.leader = &thread;
}

void leave(Stub& stub) {
    if (!stub.leader)
        fail(stub, EBADMSG, "the image holds no thread");
    Frame frame;
    build_frame(stub, *stub.leader, frame);

    claim(stub);
    announce(stub);
    close_private_descriptors(stub);
    stub_leave(&frame.signal);
}

} // namespace rfork::stub
