#include "kinds/collectors.h"
#include "kinds/membarrier/record.h"

#include <cerrno>
#include <linux/membarrier.h>
#include <sys/syscall.h>

namespace rfork::kinds {
namespace {

constexpr int get_registrations = 1 << 9; // MEMBARRIER_CMD_GET_REGISTRATIONS, Linux 6.3

// Before Linux 6.3 the kernel only tells by refusing what memory is not registered for. What is
// done in the copy disturbs nobody. Of the global command it does not even tell so; to be
// registered for it means to answer others, which does not hurt.
std::uint64_t try_commands() {
    static constexpr struct {
        int command, registration;
    } table[] = {
        {MEMBARRIER_CMD_PRIVATE_EXPEDITED, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED},
        {MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE,
         MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE},
        {MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ}};
    const long known = arch::syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    if (known < 0)
        return 0;
    std::uint64_t registrations = known & MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED;
    for (const auto& entry : table)
        if (arch::syscall(SYS_membarrier, entry.command, 0, 0) == 0)
            registrations |= unsigned(entry.registration);
    return registrations;
}

} // namespace

// The copy's are those of the process.
Result<void> collect_membarrier(const capture::Source&, capture::Snapshot& snapshot) {
    const long told = arch::syscall(SYS_membarrier, get_registrations, 0, 0);
    MembarrierRecord record{};
    record.registrations = told >= 0 ? std::uint64_t(told) : try_commands();
    if (record.registrations)
        snapshot.records.add(image::Kind::membarrier, record);
    return {};
}

} // namespace rfork::kinds
