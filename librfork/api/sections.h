// rfork_block() and rfork_unblock(): code in which the process must not be frozen.
#pragma once

#include "base/result.h"

#include <cstdint>

namespace rfork::api {

// Whether any thread is in such code. Reliable only while the threads stand still.
bool any_section_open();

// An error if the calling thread itself is.
Result<void> check_own_sections();

// Returns when no thread is, or after `milliseconds` with an error.
Result<void> wait_for_sections(int milliseconds);

// The library's own lists: they change in one thread at a time, and the process is not frozen then.
class UnfrozenList {
  public:
    UnfrozenList();
    ~UnfrozenList();
    UnfrozenList(const UnfrozenList&) = delete;
    UnfrozenList& operator=(const UnfrozenList&) = delete;
};

} // namespace rfork::api
