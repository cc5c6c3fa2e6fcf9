#include "describe/describe.h"
#include "format/records/cpu.h"

namespace rfork::tool {
namespace {

std::string cpu_features(const arch::CpuFeatureSet& set) {
    std::string names;
    for (unsigned i = 0; i < arch::cpu_feature_count; ++i) {
        if (set.has(i))
            append_word(names, arch::cpu_features[i].name);
    }
    return or_none(names);
}

} // namespace

Lines describe_cpu(const FrozenProgram&, const image::Record& whole) {
    return describe_as<kinds::CpuRecord>(whole, [](const kinds::CpuRecord& record) -> Lines {
        Lines lines = folded("CPU features", cpu_features(record.required));
        lines.push_back({"CPU state", format("components %#lx", record.xstate)});
        return lines;
    });
}

} // namespace rfork::tool
