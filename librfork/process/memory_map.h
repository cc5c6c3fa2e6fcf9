// The mappings of a process as /proc/PID/smaps tells them.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <vector>

namespace rfork::capture {

enum VmFlag : std::uint32_t {    // the letters of the VmFlags line that matter here
    vm_growsdown = 1 << 0,       // gd
    vm_hugepage = 1 << 1,        // hg
    vm_nohugepage = 1 << 2,      // nh
    vm_wipeonfork = 1 << 3,      // wf
    vm_dontdump = 1 << 4,        // dd
    vm_noreserve = 1 << 5,       // nr
    vm_mergeable = 1 << 6,       // mg
    vm_maywrite = 1 << 7,        // mw
    vm_hugetlb = 1 << 8,         // ht
    vm_device = 1 << 9,          // pf, io
    vm_userfault = 1 << 10,      // um, uw, ui
    vm_shadow_stack = 1 << 11,   // ss
    vm_accounted = 1 << 12,      // ac
    vm_protection_key = 1 << 13, // not the letters: a ProtectionKey line that is not 0
    vm_dontfork = 1 << 14,       // dc
    vm_sequential = 1 << 15,     // sr
    vm_random = 1 << 16,         // rr
    vm_droppable = 1 << 17,      // dp
    vm_sealed = 1 << 18,         // sl
};

struct MemoryMapEntry {
    std::uint64_t start = 0, end = 0;
    std::uint32_t prot = 0; // PROT_*
    bool shared = false;
    std::uint64_t offset = 0, device = 0, inode = 0; // device: major number << 32
    std::string name; // with " (deleted)" and octal escapes undone as far as the kernel makes them
    std::uint64_t rss = 0, swap = 0; // bytes
    std::uint32_t flags = 0;         // VmFlag
};

// Reads smaps from an open descriptor to the end.
Result<std::vector<MemoryMapEntry>> read_memory_map(int fd);

} // namespace rfork::capture
