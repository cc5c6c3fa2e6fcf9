#include "describe/describe.h"
#include "format/records/cpu.h"

namespace rfork::tool {

Lines describe_cpu(const FrozenProgram&, const image::Record& whole) {
    return describe_as<kinds::CpuRecord>(whole, [](const kinds::CpuRecord& record) -> Lines {
        Lines lines = folded("CPU features", or_none(feature_names(record.required)));
        lines.push_back({"CPU state", format("components %#lx", record.xstate)});
        return lines;
    });
}

} // namespace rfork::tool
