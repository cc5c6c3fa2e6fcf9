#include "format/records/cpu.h"
#include "stub/stub.h"

#include <linux/errno.h>

namespace rfork::stub {

void restore_cpu(Stub& stub, const image::RecordHeader& header) {
    const auto& record = as<kinds::CpuRecord>(header);
    const arch::CpuFeatureSet here = arch::usable_cpu_features();
    char names[400];
    Text missing(names, sizeof names);
    for (unsigned i = 0; i < arch::cpu_feature_count; ++i)
        if (record.required.has(i) && !here.has(i))
            missing << (missing.size() ? ", " : "") << arch::cpu_features[i].name;
    if (missing.size() && !stub.ignore_cpu)
        fail(stub, EOPNOTSUPP,
             "this CPU lacks what the frozen program may be using (mask it at its start with "
             "GLIBC_TUNABLES=glibc.cpu.hwcaps, or set RFORK_CPU=ignore):",
             names);
    if (const std::uint64_t lost = record.xstate & ~stub.xcr0)
        fail(stub, EOPNOTSUPP,
             lost & arch::xstate_amx
                 ? "this CPU has no AMX registers, and the program holds values in them"
                 : "this CPU lacks vector registers that the program holds values in");
}

} // namespace rfork::stub
