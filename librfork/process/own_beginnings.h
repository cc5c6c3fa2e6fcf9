// The beginnings of the process that this library is in.
#pragma once

#include "process/beginnings.h"

namespace rfork::capture {

const Beginnings& own_beginnings();

} // namespace rfork::capture
