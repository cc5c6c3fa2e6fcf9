// What the claim beside an image says; remote/claim.h and stub/claim.cc tell how claims decide who
// runs it.
//
// A copy writes "<pid> <host>\n" into its claim a moment after it has made it, or, on a full disk,
// nothing. Who gives up writes "0 <host>\n", or makes the claim a second link to the image.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>

namespace rexecd {

struct Claim {
    bool given_up = false; // nobody runs the image, nor will
    std::int64_t pid = 0;  // of the copy; 0 when the claim does not say
    std::string host;      // who made the claim; empty when it does not say
    uid_t owner = 0;       // to compare with the image's: in a spool like /tmp anybody can make one
};

std::string claim_name(const std::string& image_name);
std::string host_name(); // as the stub writes it

// Nothing when there is no claim. An empty one is read again for up to a second.
rfork::Result<std::optional<Claim>> read_claim(int spool, const std::string& image_name);

// Makes the claim, so that no copy can any more; false when somebody else has made it. The maker
// removes it before he answers the caller, who takes a claim that is there for a running copy's.
rfork::Result<bool> take_claim(int spool, const std::string& image_name);
void remove_claim(int spool, const std::string& image_name);

} // namespace rexecd
