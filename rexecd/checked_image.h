// From a name in a datagram to the descriptor of an image that may be executed: first who owns it,
// which can be seen without opening it; then, as that user, whether it is what it should be.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "rexecd/runner.h"

#include <optional>
#include <sys/stat.h>
#include <sys/types.h>

namespace rexecd {

// The image, or, when it is gone or must not be run, its claim. Not held open: what somebody holds
// open, an NFS client does not unlink but rename.
struct Found {
    std::optional<struct stat> image;
    uid_t owner = 0;
};

// ENOENT and a sentence when there is neither, also after a second look; ESTALE when only a claim
// would do and there is none.
rfork::Result<Found> find(const Job& job, int spool);

// The image that was found, opened with our present rights: the same file still, trustworthy, an
// undamaged image for this machine, and the one whose id the authenticated request names.
rfork::Result<rfork::UniqueFd> open_image(const Job& job, int spool, const struct stat& found);

} // namespace rexecd
