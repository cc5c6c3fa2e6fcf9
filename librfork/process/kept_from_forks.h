// Memory that the program keeps from its forks (MADV_DONTFORK), as compilers at run time do with
// all they make.
//
// A child of fork(2) is not meant to have it; a program that goes on cannot do without. Only smaps
// tells where it is, and to read that takes time that grows with the memory, while everything
// stands still. So a first copy is made without; that it lacks something shows in the number of its
// pages, and then another is made, to which all is given.
#pragma once

#include "base/result.h"
#include "snapshot/snapshot.h"

#include <cstdint>
#include <string>
#include <vector>

namespace rfork::capture {

// How many pages are mapped; `directory` is the process's, or one of its thread's, in /proc. A copy
// that is like its original in this has all of its memory.
Result<std::uint64_t> mapped_pages(const std::string& directory);
// Called in a copy whose original has `pages`.
Result<bool> lacks_memory(std::uint64_t pages);

class KeptFromForks {
  public:
    // Lets the next clone(2) have it all; or nothing, after an error. `directory`: as above.
    Result<void> give(const std::string& directory);
    // The program's own advice again: for the process and, called there, for the copy.
    void keep_again();

  private:
    std::vector<Range> given_;
};

} // namespace rfork::capture
