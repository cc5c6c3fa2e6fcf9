#include "format/kinds.h"
#include "format/records/cpu.h"
#include "process/source.h"

#include <string_view>

namespace rfork::kinds {
namespace {

// "NAME" as GLIBC_TUNABLES has it; older releases wrote "NAME_Usable".
bool names(std::string_view text, std::string_view feature) {
    constexpr std::string_view usable = "_Usable";
    if (text.size() > usable.size() && text.substr(text.size() - usable.size()) == usable)
        text.remove_suffix(usable.size());
    return text == feature;
}

// glibc.cpu.hwcaps=-AVX512F,-AVX2,... : what the program was started without, it does not need.
void remove_masked(std::string_view hwcaps, arch::CpuFeatureSet& set) {
    while (!hwcaps.empty()) {
        std::string_view item = hwcaps.substr(0, hwcaps.find(','));
        hwcaps.remove_prefix(item.size() < hwcaps.size() ? item.size() + 1 : hwcaps.size());
        if (item.empty() || item[0] != '-')
            continue;
        item.remove_prefix(1);
        for (unsigned i = 0; i < arch::cpu_feature_count; ++i)
            if (names(item, arch::cpu_features[i].name))
                set.remove(i);
    }
}

// The environment the program was started with: that is what libc's loader has read.
void apply_tunables(std::string_view environment, arch::CpuFeatureSet& set) {
    constexpr std::string_view variable = "GLIBC_TUNABLES=", key = "glibc.cpu.hwcaps=";
    while (!environment.empty()) {
        const std::string_view entry = environment.substr(0, environment.find('\0'));
        environment.remove_prefix(entry.size() < environment.size() ? entry.size() + 1
                                                                    : environment.size());
        // glibc before 2.39 ends each tunable with a zero byte where it stands, in place of its
        // colon.
        std::string_view tunables = entry;
        if (entry.substr(0, variable.size()) == variable)
            tunables.remove_prefix(variable.size());
        else if (entry.substr(0, key.size()) != key)
            continue;
        while (!tunables.empty()) {
            const std::string_view one = tunables.substr(0, tunables.find(':'));
            tunables.remove_prefix(one.size() < tunables.size() ? one.size() + 1 : tunables.size());
            if (one.substr(0, key.size()) == key)
                remove_masked(one.substr(key.size()), set);
        }
    }
}

} // namespace

Result<void> collect_cpu(const capture::Source& source, capture::ProcessSnapshot& process) {
    const Result<std::string> environment = source.read("environ");
    if (!environment)
        return environment.error();
    CpuRecord record{};
    record.required = arch::usable_cpu_features();
    apply_tunables(*environment, record.required);
    for (const capture::Thread& thread : source.threads())
        record.xstate |= arch::xstate_in_use(thread.xstate.data(), thread.record.layout);
    record.xstate &= ~arch::xstate_pkru;
    process.records.add(image::Kind::cpu, record);
    return {};
}

} // namespace rfork::kinds
