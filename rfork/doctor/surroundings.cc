#include "doctor/looks.h"

#include "arch/x86_64/cpu_features.h"
#include "base/progress.h"
#include "describe/describe.h"
#include "doctor/attempt.h"

#include <algorithm>
#include <cerrno>
#include <initializer_list>
#include <string_view>
#include <sys/resource.h>
#include <vector>

namespace rfork::tool {
namespace {

std::string text_of_limit(rlim_t limit) {
    return limit == RLIM_INFINITY ? "unlimited" : std::to_string(limit);
}

rlimit limit_of(__rlimit_resource_t resource) {
    rlimit limit{};
    ::getrlimit(resource, &limit);
    return limit;
}

struct Level {
    const char* name;
    std::initializer_list<std::string_view> features; // beside those of the levels before
};

// Of the psABI, as far as our table has their features.
const Level levels[] = {
    {"x86-64-v2", {"CMPXCHG16B", "LAHF64_SAHF64", "POPCNT", "SSE3", "SSE4_1", "SSE4_2", "SSSE3"}},
    {"x86-64-v3", {"AVX", "AVX2", "BMI1", "BMI2", "F16C", "FMA", "LZCNT", "MOVBE", "OSXSAVE"}},
    {"x86-64-v4", {"AVX512F", "AVX512BW", "AVX512CD", "AVX512DQ", "AVX512VL"}},
};
constexpr std::string_view first_level[] = {"CX8", "CMOV", "CLFSH", "MMX"};

void remove(std::vector<std::string_view>& names, std::string_view name) {
    std::erase(names, name);
}

bool has(const std::vector<std::string_view>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

} // namespace

Finding look_at_open_files() {
    constexpr rlim_t enough = 1024;
    const rlimit limit = limit_of(RLIMIT_NOFILE);
    const std::string found =
        text_of_limit(limit.rlim_cur) + ", at most " + text_of_limit(limit.rlim_max);
    return limit.rlim_max >= enough
               ? ok(found)
               : warning(found + ": an image needs as many as its program had, and some more",
                         "raise the hard limit (ulimit -Hn 4096, limits.conf(5))");
}

Finding look_at_processes() {
    const rlimit limit = limit_of(RLIMIT_NPROC);
    if (const int error = try_in_child([] {
            const IdleChild another, third;
            return third.pid() < 0 ? EAGAIN : 0;
        }))
        return problem("no more processes can be made (" + text_of_limit(limit.rlim_cur) +
                           "): " + std::string(errno_text(error)),
                       "end some, or raise the limit (ulimit -u, pids.max of the cgroup)");
    return ok(text_of_limit(limit.rlim_cur));
}

Finding look_at_address_space() {
    constexpr rlim_t enough = rlim_t(4) << 30;
    const rlimit limit = limit_of(RLIMIT_AS);
    if (limit.rlim_cur == RLIM_INFINITY)
        return ok("unlimited");
    const std::string found = bytes_text(limit.rlim_cur);
    return limit.rlim_cur >= enough
               ? ok(found)
               : warning(found + ": rfork() takes up to 1 GiB of it beside the program, and the "
                                 "image all that its program had",
                         "raise it (ulimit -v unlimited)");
}

Finding look_at_cpu() {
    const arch::CpuFeatureSet set = arch::usable_cpu_features();
    std::vector<std::string_view> names;
    for (unsigned i = 0; i < arch::cpu_feature_count; ++i)
        if (set.has(i))
            names.push_back(arch::cpu_features[i].name);
    for (std::string_view name : first_level)
        remove(names, name);
    std::string level = "x86-64-v1";
    for (const Level& next : levels) {
        const auto has_it = [&](std::string_view name) { return has(names, name); };
        if (!std::all_of(next.features.begin(), next.features.end(), has_it))
            break;
        level = next.name;
        for (std::string_view name : next.features)
            remove(names, name);
    }
    std::string others;
    for (std::string_view name : names)
        append_word(others, name);
    return ok(level + (others.empty() ? "" : ", and " + others));
}

} // namespace rfork::tool
