// rfork doctor: whether this machine, this user's settings and another host offer what rfork needs,
// and what to do where they do not.
#pragma once

#include "base/result.h"

#include <string>

namespace rfork::tool {

struct DoctorOptions {
    std::string host; // empty: none
    bool json = false;
};

// A finding for each check on standard output; an error if there is a problem among them.
Result<void> doctor(const DoctorOptions& options);

} // namespace rfork::tool
