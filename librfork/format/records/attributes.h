// Small per-process attributes, most of them set with prctl(2), that an exec would lose.
#pragma once

#include "format/record.h"

namespace rfork::kinds {

struct AttributesRecord {
    image::RecordHeader header;
    std::uint32_t no_new_privileges;
    std::uint32_t child_subreaper;
    std::uint32_t thp_disable;
    std::uint32_t not_dumpable;
    std::uint32_t deny_write_execute; // PR_SET_MDWE
    std::uint32_t memory_merge;
    std::uint32_t keep_capabilities;
    std::uint32_t core_filter; // coredump_filter in /proc; the kernel's default is not restored
    std::int32_t oom_score_adj;
    std::uint32_t pad;
    char name[16]; // of a main thread that has ended
};
static_assert(sizeof(AttributesRecord) == 64);

inline constexpr std::uint32_t default_core_filter = 0x33;

} // namespace rfork::kinds
