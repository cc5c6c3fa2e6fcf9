#pragma once

#include "format/records/owner.h"

struct stat;

namespace rfork::kinds {

// Of a file of a process that has the rights of `user`.
Owner owner_of(const struct stat&, std::uint32_t user);

} // namespace rfork::kinds
