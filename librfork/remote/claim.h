// The claim as the caller uses it: the exclusive create of "<image>.claim" that decides whether the
// copy runs. The stub's side is in stub/claim.cc.
//
// The order in which files go makes a claim final although both sides remove it in the end:
//
//   copy wins:    claim created (stub), image unlinked (rexecd's runner), claim unlinked (caller)
//   caller wins:  claim created, image unlinked, claim unlinked (all by the caller)
//
// Whoever creates a claim anew after that finds no image beside it, and has not won.
#pragma once

#include "base/result.h"

#include <string>

namespace rfork::remote {

enum class ClaimOutcome {
    won,  // the caller's: no copy will run; the image is gone
    lost, // a copy runs
};

// The caller gives up on `image` in the spool directory and withdraws it, unless a copy was faster.
// Waits as long as the spool cannot answer: nobody else can tell the outcome, and a guess would
// lose the process or double it.
ClaimOutcome withdraw(const std::string& spool, const std::string& image);

// After a copy has won: removes the claim, once the target has unlinked the image, for which it
// gets a moment. What is left after that is rexecd's to sweep.
void tidy(const std::string& spool, const std::string& image);

} // namespace rfork::remote
