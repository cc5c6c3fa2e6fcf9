// RFORK_IGNORE: what a copy may do without. Descriptors given by number are left out in any case;
// those given by their sort, or because they were there when the program started, only if an image
// cannot carry them.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace rfork::capture {

enum class Sort : unsigned {
    socket,
    pipe,
    device,
    deleted, // files that cannot be had again by their path
    proc,
    other,
    lock,     // not the file: that it is locked
    async,    // likewise: O_ASYNC, F_SETOWN, F_SETSIG
    children, // processes
};

struct Ignored {
    std::vector<int> numbers;
    unsigned sorts = 0; // bit n: Sort n
    bool inherited = false;

    bool has(Sort sort) const { return sorts >> unsigned(sort) & 1; }
    bool has(int number) const;
};

// "3,17,socket,inherited"; blanks around words do not matter.
Result<Ignored> parse_ignored(std::string_view text);

// A descriptor that was there when the program started.
struct InheritedFile {
    int fd;
    std::uint64_t device;
    std::uint64_t inode;
};

} // namespace rfork::capture
