// One call at a time.
//
// While one thread freezes the process, another that wants to do the same waits for the call lock;
// so in a copy it is found there, not with its work half done. There it goes on when rfork_landing
// (entry.S) has released the lock, which is when all threads have left the stub.
#pragma once

#include <cstdint>

namespace rfork::api {

class CallLock {
  public:
    static void lock();
    static void unlock();
    // In a copy that becomes an image.
    static void leave_to_landing();
};

class CallLockHeld {
  public:
    CallLockHeld() { CallLock::lock(); }
    ~CallLockHeld() { CallLock::unlock(); }
    CallLockHeld(const CallLockHeld&) = delete;
    CallLockHeld& operator=(const CallLockHeld&) = delete;
};

} // namespace rfork::api
