// Where the program, or its copy, went: for rfork_last_copy(), and for whoever sits at the
// terminal.
#pragma once

#include "remote/client.h"

namespace rfork::api {

// After a success, in the calling thread.
void remember_copy(const remote::ResumeRequest& request, const remote::Reply& reply);

// One line on standard error: if the program ends here and that is a terminal, or if RFORK_VERBOSE
// says so.
void tell_where(const remote::ResumeRequest& request, const remote::Reply& reply, bool ends);

} // namespace rfork::api
