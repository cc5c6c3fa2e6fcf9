// Allocation from the session; see arena.cc.
#pragma once

#include "api/session.h"

namespace rfork::api {

// Makes `session` the one this thread allocates from, for the guard's lifetime.
class ActiveSession {
  public:
    explicit ActiveSession(Session* session);
    ~ActiveSession();
    ActiveSession(const ActiveSession&) = delete;
    ActiveSession& operator=(const ActiveSession&) = delete;
};

// The copy's exit status when its tables outgrow the session.
inline constexpr int exit_out_of_memory = 77;

} // namespace rfork::api
