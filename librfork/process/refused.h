// What to say of a question that the surroundings do not let a process ask.
#pragma once

#include "ask/refused.h"
#include "base/result.h"

namespace rfork::capture {

Error refused_by_surroundings(const ask::Refused& refused);

} // namespace rfork::capture
