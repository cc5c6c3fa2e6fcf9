#include "format/kinds.h"
#include "format/records/executable.h"
#include "stub/stub.h"

#include <asm/signal.h>
#include <asm/unistd.h>
#include <linux/errno.h>

namespace rfork::stub {

// /proc/PID/exe remains the image: the kernel changes it only for who may, and only when nothing of
// the old file is mapped. So the kernel leads a resumed program that executes /proc/self/exe to the
// image. Nobody else starts one by such a name, however the process is called in it.
bool is_link_to_executable(const char* name) {
    static constexpr char begin[] = "/proc/", end[] = "/exe";
    const unsigned size = length(name);
    return starts_with(name, begin) && size >= sizeof end &&
           same(name + size - (sizeof end - 1), end);
}

void execute_program_instead(Stub& stub, const char* const* arguments,
                             const char* const* environment, std::uint64_t signal_mask) {
    Records records(stub);
    const image::RecordHeader* record;
    while ((record = records.next()) && record->kind != image::Kind::executable) {
    }
    const char* path = record ? string_at(stub, as<kinds::ExecutableRecord>(*record).path) : "";
    arch::syscall(__NR_rt_sigprocmask, SIG_SETMASK, &signal_mask, nullptr, sizeof signal_mask);
    const long r = arch::syscall(__NR_execve, path, arguments, environment);
    fail(stub, int(-r),
         "the program executes itself (/proc/self/exe), but its file cannot be:", path);
}

} // namespace rfork::stub
