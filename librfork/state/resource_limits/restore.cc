// A limit that the program has not changed is part of its surroundings: the one that the image is
// started with holds. The program's own comes back; but what the hard limit does not allow here,
// the program does not get, and a hard limit is never raised. Two of them memory and descriptors
// depend on, whoever has set them: the stack's and that of open files are not lower than they were,
// where the hard limit allows.
//
// They are raised first, for the stub's own work, and lowered last, because of it.
#include "format/records/resource_limits.h"
#include "stub/stub.h"

#include <asm/resource.h>
#include <asm/unistd.h>
#include <linux/errno.h>

namespace rfork::stub {
namespace {

using kinds::Limit;
using kinds::ResourceLimitsRecord;

std::uint64_t lower(std::uint64_t a, std::uint64_t b) {
    return a < b ? a : b;
}

bool has(std::uint32_t set, unsigned i) {
    return set >> i & 1;
}

long ask_limit(unsigned i, Limit& now) {
    return arch::syscall(__NR_prlimit64, 0, i, nullptr, &now);
}

// Once, since what a process has raised its children have as well.
void find_limits_here(Stub& stub) {
    for (unsigned i = 0; i < kinds::limit_count && !stub.knows_limits; ++i)
        if (long r = ask_limit(i, stub.limits_here[i]); r < 0)
            fail(stub, int(-r), "cannot find out which limits hold here (getrlimit(2))");
    stub.knows_limits = true;
}

void set_limit(unsigned i, const Limit& limit) {
    arch::syscall(__NR_prlimit64, 0, i, &limit, nullptr);
}

Limit wanted(const ResourceLimitsRecord& record, unsigned i, const Limit& here) {
    const Limit& was = record.limits[i];
    Limit limit = here;
    if (has(record.own_hard, i))
        limit.hard = lower(here.hard, was.hard);
    if (has(record.own_soft, i) ||
        ((i == RLIMIT_STACK || i == RLIMIT_NOFILE) && was.soft > here.soft))
        limit.soft = was.soft;
    limit.soft = lower(limit.soft, limit.hard);
    return limit;
}

} // namespace

void restore_resource_limits(Stub& stub, const image::RecordHeader& header) {
    const auto& record = as<ResourceLimitsRecord>(header);
    stub.limits = &record;
    find_limits_here(stub);
    for (unsigned i = 0; i < kinds::limit_count; ++i) {
        const Limit here = stub.limits_here[i];
        Limit limit = wanted(record, i, here);
        if (i == RLIMIT_STACK && has(record.own_soft, i) && limit.soft < record.limits[i].soft)
            fail(stub, EPERM,
                 "cannot allow the program as large a stack as it has asked for: raise the hard "
                 "limit (ulimit -Hs)");
        if (i == RLIMIT_NOFILE && are_several(stub)) // what any of them has open is open twice
            limit.soft = here.hard;
        Limit now;
        if (ask_limit(i, now) < 0 || limit.soft > now.soft)
            set_limit(i, {limit.soft, here.hard});
    }
}

// For the program's next image, what it has not set itself is what it finds here.
void apply_final_limits(const Stub& stub) {
    if (!stub.limits)
        return;
    const ResourceLimitsRecord& record = *stub.limits;
    auto* beginnings = reinterpret_cast<Limit*>(record.beginnings);
    for (unsigned i = 0; i < kinds::limit_count; ++i) {
        const Limit limit = wanted(record, i, stub.limits_here[i]);
        Limit now;
        if (ask_limit(i, now) < 0 || !(limit == now))
            set_limit(i, limit);
        if (beginnings && !has(record.own_soft, i))
            beginnings[i].soft = limit.soft;
        if (beginnings && !has(record.own_hard, i))
            beginnings[i].hard = limit.hard;
    }
}

} // namespace rfork::stub
