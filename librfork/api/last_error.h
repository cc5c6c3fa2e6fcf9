// The sentence behind rfork_strerror_last(), one a thread.
#pragma once

#include "base/result.h"

namespace rfork::api {

// Sets errno and keeps the sentence. Returns -1.
int fail(const Error& error);

// In a copy that is being frozen: nothing has failed there.
void forget_failure();

} // namespace rfork::api
