// From a name in a datagram to the descriptor of an image that may be executed, looked up by its
// owner, who we have become.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "rexecd/runner.h"

namespace rexecd {

// A regular file of the user's own, an undamaged image for this machine, one that travels, and the
// one whose id the authenticated request names. ENOENT if its name cannot be seen.
rfork::Result<rfork::UniqueFd> open_image(const Job& job, int directory);

} // namespace rexecd
