// rfork_atfork(): the program's own steps around a call.
#pragma once

#include "api/session.h"

#include <cstdint>

namespace rfork::api {

extern "C" {
// For entry.S: how many registrations there are. With any, a call goes through
// rfork_call_with_handlers(), on the caller's stack, to the same entry as without.
extern std::uint32_t rfork_handler_count;
int rfork_call_with_handlers(const char* argument, const rfork_options*, Operation);
int rfork_enter(const char* argument, const rfork_options*, Operation);
}

} // namespace rfork::api
