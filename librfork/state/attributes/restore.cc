#include "format/records/attributes.h"
#include "stub/stub.h"

#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/prctl.h>

namespace rfork::stub {
namespace {

constexpr int set_mdwe = 65;         // PR_SET_MDWE, Linux 6.3
constexpr int set_memory_merge = 67; // PR_SET_MEMORY_MERGE, Linux 6.4

long write_text(const char* path, const char* text) {
    const long fd = arch::syscall(__NR_open, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return fd;
    const long r = arch::syscall(__NR_write, fd, text, length(text));
    arch::syscall(__NR_close, fd);
    return r;
}

void restore_core_filter(const Stub& stub, std::uint32_t filter) {
    char digits[24];
    Text text(digits, sizeof digits);
    text << std::uint64_t(filter);
    if (long r = write_text("/proc/self/coredump_filter", digits); r < 0)
        fail(stub, int(-r),
             "cannot say again what of the program belongs into a core file "
             "(/proc/self/coredump_filter)");
}

// Less of it than one has needs a right; then it is what the image was started with.
void restore_oom_score_adj(std::int32_t value) {
    char digits[24];
    Text text(digits, sizeof digits);
    text << (value < 0 ? "-" : "") << std::uint64_t(value < 0 ? -value : value);
    write_text("/proc/self/oom_score_adj", digits);
}

} // namespace

void restore_attributes(Stub& stub, const image::RecordHeader& header) {
    const auto& record = as<kinds::AttributesRecord>(header);
    if (record.no_new_privileges)
        if (long r = arch::syscall(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); r < 0)
            fail(stub, int(-r), "cannot set no_new_privs again");
    if (record.child_subreaper)
        arch::syscall(__NR_prctl, PR_SET_CHILD_SUBREAPER, 1);
    if (record.name[0])
        arch::syscall(__NR_prctl, PR_SET_NAME, record.name);
    if (record.core_filter != kinds::default_core_filter)
        restore_core_filter(stub, record.core_filter);
    if (record.oom_score_adj)
        restore_oom_score_adj(record.oom_score_adj);
    if (record.memory_merge)
        arch::syscall(__NR_prctl, set_memory_merge, 1, 0, 0, 0);
    if (record.keep_capabilities)
        if (long r = arch::syscall(__NR_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0); r < 0)
            fail(stub, int(-r), "cannot keep capabilities across a change of user again");
    if (record.deny_write_execute)
        if (long r = arch::syscall(__NR_prctl, set_mdwe, record.deny_write_execute, 0, 0, 0); r < 0)
            fail(stub, int(-r),
                 "this kernel cannot deny that memory becomes executable (PR_SET_MDWE, Linux 6.3), "
                 "as the program has asked for");
    if (record.not_dumpable) // from here on the files in /proc are root's
        arch::syscall(__NR_prctl, PR_SET_DUMPABLE, 0);
    if (record.thp_disable)
        arch::syscall(__NR_prctl, PR_SET_THP_DISABLE, 1, 0, 0, 0);
}

} // namespace rfork::stub
