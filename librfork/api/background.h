// A checkpoint that is written while the program goes on (RFORK_BACKGROUND): one at a time.
//
// What is known of it lies in the page that is shared with the copy, which stays until the program
// has asked how it ended. A later image has neither that page nor any word of it.
#pragma once

#include "api/freeze.h"
#include "api/mailbox.h"

namespace rfork::api {

// EBUSY if there is one that has not been asked for.
Result<void> check_no_background();
// `mailbox` is kept from now on.
void keep_background(SharedMailbox& mailbox, const FreezeOrder& order, pid_t copy);

// In a copy: what is not the program's, its copy and the page; and that there is none.
pid_t background_copy(); // 0: none
capture::Range background_range();
void forget_background();

} // namespace rfork::api
